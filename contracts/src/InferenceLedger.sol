// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {Entry, IInferenceLedger, Request, State} from "./interfaces/IInferenceLedger.sol";
import {IModelRegistry, Program, Status} from "./interfaces/IModelRegistry.sol";
import {IVerifierRouter} from "./interfaces/IVerifierRouter.sol";
import {Canonical} from "./libraries/Canonical.sol";
import {Contexts} from "./libraries/Contexts.sol";
import {PublicValues} from "./libraries/PublicValues.sol";
import {ANY_INPUT, Statements} from "./libraries/Statements.sol";

/// @title Proven answers, each recorded once
/// @notice It has no administrator, no pause and no upgrade. Every field of a request is part of its id, the id is
/// part of the context, and the context is part of the proof: so a proof answers one request, pays whom that request
/// names, and copying it from a pending transaction gains nothing.
contract InferenceLedger is IInferenceLedger, IERC165 {
    /// @inheritdoc IInferenceLedger
    IModelRegistry public immutable override REGISTRY;
    /// @notice Where verifiers are found.
    IVerifierRouter public immutable ROUTER;
    /// @notice The chain that this ledger was deployed on. Should the chain split, ids stay the same on both sides, so
    /// that fees can be taken back; contexts do not, so no proof serves both.
    uint256 public immutable HOME_CHAIN;

    mapping(bytes32 id => Entry) private _entries;
    mapping(address account => uint256) private _credits;

    /// @param registry Which model is which.
    /// @param router Where verifiers are found.
    constructor(IModelRegistry registry, IVerifierRouter router) {
        REGISTRY = registry;
        ROUTER = router;
        HOME_CHAIN = block.chainid;
    }

    /// @inheritdoc IInferenceLedger
    function request(Request calldata question) external payable override returns (bytes32 id) {
        if (question.requester != msg.sender) revert NotRequester(question.requester, msg.sender);
        uint256 fees = _fees(question);
        if (msg.value != fees) revert WrongValue(fees, msg.value);
        _requireSensible(question, REGISTRY.programOf(question.listing));
        id = idOf(question);
        if (_entries[id].state != State.None) revert AlreadyRequested(id);
        _entries[id].state = State.Open;
        emit Requested(id, question.listing, question.consumer, question);
    }

    /// @inheritdoc IInferenceLedger
    function record(Request calldata question, bytes calldata proof, uint256[] calldata instances)
        external
        override
        returns (bytes32 id)
    {
        Canonical.require_(proof, instances, 0x180);
        id = idOf(question);
        _record(id, question, proof, instances);
    }

    /// @inheritdoc IInferenceLedger
    function recordBatch(Request[] calldata questions, bytes[] calldata proofs, uint256[][] calldata instances)
        external
        override
        returns (uint256 recorded)
    {
        uint256 count = questions.length;
        if (count == 0 || proofs.length != count || instances.length != count) revert BatchMismatch();
        _requireCanonical(questions, proofs, instances);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 id = idOf(questions[i]);
            // Anybody may have ended one of the requests first; what was never opened is an error of the caller's.
            State state = _entries[id].state;
            if (state > State.Open || (state == State.Open && block.timestamp > questions[i].expiry)) continue;
            _record(id, questions[i], proofs[i], instances[i]);
            ++recorded;
        }
    }

    /// @inheritdoc IInferenceLedger
    function refund(Request calldata question) external override returns (bytes32 id) {
        id = idOf(question);
        State state = _entries[id].state;
        if (state != State.Open) revert NotOpen(id, state);
        if (block.timestamp <= question.expiry && ROUTER.isLive(REGISTRY.programOf(question.listing).selector)) {
            revert NotRefundable(id);
        }
        _entries[id].state = State.Refunded;
        uint256 fees = _fees(question);
        _credits[question.refundTo] += fees;
        emit Refunded(id, question.refundTo, fees);
    }

    /// @inheritdoc IInferenceLedger
    function withdraw(address payable to) external override returns (uint256 amount) {
        if (to == address(0)) revert AddressMissing("to");
        amount = _credits[msg.sender];
        if (amount == 0) revert NothingToWithdraw();
        _credits[msg.sender] = 0;
        emit Withdrawn(msg.sender, to, amount);
        (bool success,) = to.call{value: amount}("");
        if (!success) revert PaymentFailed(to);
    }

    /// @inheritdoc IInferenceLedger
    function creditOf(address account) external view override returns (uint256) {
        return _credits[account];
    }

    /// @inheritdoc IInferenceLedger
    function entryOf(bytes32 id) external view override returns (Entry memory) {
        return _entries[id];
    }

    /// @inheritdoc IInferenceLedger
    function requireSound(Request calldata question, uint256[] calldata outputs)
        external
        view
        override
        returns (bytes32 id)
    {
        id = requireRecorded(question, outputs);
        Program memory program = REGISTRY.programOf(question.listing);
        if (program.status == Status.Revoked) revert ModelRevoked(question.listing);
        if (!ROUTER.isLive(program.selector)) revert VerifierNotLive(program.selector);
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure override returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IInferenceLedger).interfaceId;
    }

    /// @inheritdoc IInferenceLedger
    function idOf(Request calldata question) public view override returns (bytes32) {
        return keccak256(abi.encode(HOME_CHAIN, address(this), question));
    }

    /// @inheritdoc IInferenceLedger
    function requireRecorded(Request calldata question, uint256[] calldata outputs)
        public
        view
        override
        returns (bytes32 id)
    {
        id = idOf(question);
        // Digests are stored for what is recorded only, so an equal one says that it is.
        if (_entries[id].outputDigest != bytes26(PublicValues.commitment(outputs))) revert NotRecorded(id);
    }

    /// @inheritdoc IInferenceLedger
    function contextOf(Request calldata question) external view override returns (bytes32) {
        return _contextOf(idOf(question), question);
    }

    /// @dev Steps: (1) the request is open, or its requester posts it without fees; (2) it has not expired; (3) the
    /// proof shows the model's answer to this request (see Statements.check). Only then (4) the fees
    /// are credited, (5) the request is consumed, the answer stored, and all of it told. If the model was revoked
    /// meanwhile, the owner's fee goes back, and no answer is stored.
    function _record(bytes32 id, Request calldata question, bytes calldata proof, uint256[] calldata instances)
        private
    {
        Program memory program = REGISTRY.programOf(question.listing);
        // (1)
        State state = _entries[id].state;
        if (state != State.Open) _open(id, state, question, program);
        // (2)
        if (block.timestamp > question.expiry) revert Expired(question.expiry);
        // (3)
        uint256[] calldata outputs =
            Statements.check(ROUTER, program, _contextOf(id, question), question.inputCommitment, proof, instances);
        // (4)
        bool revoked = program.status == Status.Revoked;
        if (question.proverFee != 0) _credits[question.prover] += question.proverFee;
        if (question.ownerFee != 0) _credits[revoked ? question.refundTo : program.owner] += question.ownerFee;
        // (5)
        if (revoked) {
            _entries[id].state = State.Paid;
            emit PaidUnrecorded(id, question.listing, question.consumer, msg.sender);
            return;
        }
        _entries[id] = Entry(State.Recorded, uint40(block.timestamp), bytes26(PublicValues.commitment(outputs)));
        emit Recorded(id, question.listing, question.consumer, msg.sender, outputs);
    }

    /// @dev A requester who posts the answer in the transaction that asks. The record follows at once, or all reverts.
    function _open(bytes32 id, State state, Request calldata question, Program memory program) private {
        if (state != State.None || question.requester != msg.sender) revert NotOpen(id, state);
        if (_fees(question) != 0) revert WrongValue(0, _fees(question));
        _requireSensible(question, program);
        emit Requested(id, question.listing, question.consumer, question);
    }

    function _contextOf(bytes32 id, Request calldata question) private view returns (bytes32) {
        return Contexts.digest(block.chainid, question.consumer, id, question.requester, question.expiry);
    }

    function _requireSensible(Request calldata question, Program memory program) private view {
        if (program.status != Status.Active) revert ModelNotActive(question.listing);
        if (block.timestamp > question.expiry) revert Expired(question.expiry);
        if (question.ownerFee < program.fee) revert FeeTooLow(program.fee, question.ownerFee);
        if (question.consumer == address(0)) revert AddressMissing("consumer");
        if (question.proverFee != 0 && question.prover == address(0)) revert AddressMissing("prover");
        if (_fees(question) != 0 && question.refundTo == address(0)) revert AddressMissing("refundTo");
        if (question.inputCommitment == 0) revert InputCommitmentMissing();
        if (program.slots.inputCount == 0 && question.inputCommitment != ANY_INPUT) {
            revert InputsArePrivate(question.listing);
        }
    }

    function _requireCanonical(Request[] calldata questions, bytes[] calldata proofs, uint256[][] calldata instances)
        private
        pure
    {
        uint256 start;
        assembly ("memory-safe") {
            start := questions.offset
        }
        // After the selector, three heads and a length.
        if (start != 0x84) revert Canonical.NonCanonicalCalldata();
        Canonical.requireBatch(proofs, instances, start + questions.length * 0x140);
    }

    function _fees(Request calldata question) private pure returns (uint256) {
        return uint256(question.proverFee) + question.ownerFee;
    }
}
