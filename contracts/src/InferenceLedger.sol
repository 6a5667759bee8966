// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {Entry, IInferenceLedger, Request, State} from "./interfaces/IInferenceLedger.sol";
import {IModelRegistry, Program, Status} from "./interfaces/IModelRegistry.sol";
import {IVerifierRouter} from "./interfaces/IVerifierRouter.sol";
import {CanonicalCalldata} from "./libraries/CanonicalCalldata.sol";
import {ANY_INPUT, InferenceProof} from "./libraries/InferenceProof.sol";
import {Outputs} from "./libraries/Outputs.sol";
import {RequestContext} from "./libraries/RequestContext.sol";
import {Visibility} from "./libraries/StatementLayout.sol";

/// @title Proven answers, each recorded once
/// @notice There is no administrator, no pause and no upgrade. Every field of a request is part of its id, the id is
/// part of the context, and the proof binds the context: so a proof answers one request and pays the prover that the
/// request names, and copying it from a pending transaction gains nothing.
contract InferenceLedger is IInferenceLedger, IERC165 {
    /// @inheritdoc IInferenceLedger
    IModelRegistry public immutable override REGISTRY;
    /// @notice The router that maps selectors to verifiers.
    IVerifierRouter public immutable ROUTER;
    /// @notice The chain that this ledger was deployed on. If the chain splits, ids stay the same on both sides, so that
    /// fees can be refunded; contexts do not, so a proof serves one side only.
    uint256 public immutable HOME_CHAIN;

    mapping(bytes32 id => Entry) private _entries;
    mapping(address account => uint256) private _credits;

    /// @param registry The listings of models.
    /// @param router Maps selectors to verifiers.
    constructor(IModelRegistry registry, IVerifierRouter router) {
        REGISTRY = registry;
        ROUTER = router;
        HOME_CHAIN = block.chainid;
    }

    /// @inheritdoc IInferenceLedger
    function request(Request calldata request_) external payable override returns (bytes32 id) {
        if (request_.requester != msg.sender) revert NotRequester(request_.requester, msg.sender);
        uint256 fees = _fees(request_);
        if (msg.value != fees) revert WrongValue(fees, msg.value);
        _requireValid(request_, REGISTRY.programOf(request_.listing));
        id = idOf(request_);
        if (_entries[id].state != State.None) revert AlreadyRequested(id);
        _entries[id].state = State.Open;
        emit Requested(id, request_.listing, request_.consumer, request_);
    }

    /// @inheritdoc IInferenceLedger
    function record(Request calldata request_, bytes calldata inputs, int256[] calldata outputs, bytes calldata proof)
        external
        override
        returns (bytes32 id)
    {
        CanonicalCalldata.requireStatement(inputs, outputs, proof, 0x1a0);
        id = idOf(request_);
        _record(id, request_, inputs, outputs, proof);
    }

    /// @inheritdoc IInferenceLedger
    function recordBatch(
        Request[] calldata requests,
        bytes[] calldata inputs,
        int256[][] calldata outputs,
        bytes[] calldata proofs
    ) external override returns (uint256 recorded) {
        uint256 count = requests.length;
        if (count == 0 || inputs.length != count || outputs.length != count || proofs.length != count) {
            revert BatchMismatch();
        }
        _requireCanonical(requests, inputs, outputs, proofs);
        for (uint256 i = 0; i < count; ++i) {
            bytes32 id = idOf(requests[i]);
            // Another account may have ended one of the requests first; one that was never opened is the caller's error.
            State state = _entries[id].state;
            if (state > State.Open || (state == State.Open && block.timestamp > requests[i].expiry)) continue;
            _record(id, requests[i], inputs[i], outputs[i], proofs[i]);
            ++recorded;
        }
    }

    /// @inheritdoc IInferenceLedger
    function refund(Request calldata request_) external override returns (bytes32 id) {
        id = idOf(request_);
        State state = _entries[id].state;
        if (state != State.Open) revert NotOpen(id, state);
        if (block.timestamp <= request_.expiry && ROUTER.isLive(REGISTRY.programOf(request_.listing).selector)) {
            revert NotRefundable(id);
        }
        _entries[id].state = State.Refunded;
        uint256 fees = _fees(request_);
        _credits[request_.refundTo] += fees;
        emit Refunded(id, request_.refundTo, fees);
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
    function requireSound(Request calldata request_, int256[] calldata outputs)
        external
        view
        override
        returns (bytes32 id)
    {
        id = requireRecorded(request_, outputs);
        Program memory program = REGISTRY.programOf(request_.listing);
        if (program.status == Status.Revoked) revert ModelRevoked(request_.listing);
        if (!ROUTER.isLive(program.selector)) revert VerifierNotLive(program.selector);
    }

    /// @inheritdoc IERC165
    function supportsInterface(bytes4 interfaceId) external pure override returns (bool) {
        return interfaceId == type(IERC165).interfaceId || interfaceId == type(IInferenceLedger).interfaceId;
    }

    /// @inheritdoc IInferenceLedger
    function idOf(Request calldata request_) public view override returns (bytes32) {
        return keccak256(abi.encode(HOME_CHAIN, address(this), request_));
    }

    /// @inheritdoc IInferenceLedger
    function requireRecorded(Request calldata request_, int256[] calldata outputs)
        public
        view
        override
        returns (bytes32 id)
    {
        id = idOf(request_);
        // A digest is stored only when an answer is recorded, so an equal one proves the record.
        if (_entries[id].outputDigest != bytes26(Outputs.commitment(outputs))) revert NotRecorded(id);
    }

    /// @inheritdoc IInferenceLedger
    function contextOf(Request calldata request_) external view override returns (bytes32) {
        return _contextOf(idOf(request_), request_);
    }

    /// @dev Steps: (1) the request is open, or its requester posts it without fees; (2) it has not expired; (3) the
    /// proof shows the model's answer to this request (see InferenceProof). Only then (4) the fees are credited, (5) the
    /// request ends, the answer is stored, and an event is emitted. If the model was revoked meanwhile, the owner's fee
    /// goes back, and no answer is stored.
    function _record(
        bytes32 id,
        Request calldata request_,
        bytes calldata inputs,
        int256[] calldata outputs,
        bytes calldata proof
    ) private {
        Program memory program = REGISTRY.programOf(request_.listing);
        // (1)
        State state = _entries[id].state;
        if (state != State.Open) _open(id, state, request_, program);
        // (2)
        if (block.timestamp > request_.expiry) revert Expired(request_.expiry);
        // (3)
        InferenceProof.requireValid(
            ROUTER, program, _contextOf(id, request_), request_.inputCommitment, inputs, outputs, proof
        );
        // (4)
        bool revoked = program.status == Status.Revoked;
        if (request_.proverFee != 0) _credits[request_.prover] += request_.proverFee;
        if (request_.ownerFee != 0) _credits[revoked ? request_.refundTo : program.owner] += request_.ownerFee;
        // (5)
        if (revoked) {
            _entries[id].state = State.Paid;
            emit PaidUnrecorded(id, request_.listing, request_.consumer, msg.sender);
            return;
        }
        _entries[id] = Entry(State.Recorded, uint40(block.timestamp), bytes26(Outputs.commitment(outputs)));
        emit Recorded(id, request_.listing, request_.consumer, msg.sender, outputs);
    }

    /// @dev The requester posts request and answer in one transaction: the record follows, or all reverts.
    function _open(bytes32 id, State state, Request calldata request_, Program memory program) private {
        if (state != State.None || request_.requester != msg.sender) revert NotOpen(id, state);
        if (_fees(request_) != 0) revert WrongValue(0, _fees(request_));
        _requireValid(request_, program);
        emit Requested(id, request_.listing, request_.consumer, request_);
    }

    function _contextOf(bytes32 id, Request calldata request_) private view returns (bytes32) {
        return RequestContext.digest(block.chainid, request_.consumer, id, request_.requester, request_.expiry);
    }

    function _requireValid(Request calldata request_, Program memory program) private view {
        if (program.status != Status.Active) revert ModelNotActive(request_.listing);
        if (block.timestamp > request_.expiry) revert Expired(request_.expiry);
        if (request_.ownerFee < program.fee) revert FeeTooLow(program.fee, request_.ownerFee);
        if (request_.consumer == address(0)) revert AddressMissing("consumer");
        if (request_.proverFee != 0 && request_.prover == address(0)) revert AddressMissing("prover");
        if (_fees(request_) != 0 && request_.refundTo == address(0)) revert AddressMissing("refundTo");
        if (request_.inputCommitment == 0) revert InputCommitmentMissing();
        if (program.statementLayout.visibility == Visibility.Private && request_.inputCommitment != ANY_INPUT) {
            revert InputsArePrivate(request_.listing);
        }
    }

    function _requireCanonical(
        Request[] calldata requests,
        bytes[] calldata inputs,
        int256[][] calldata outputs,
        bytes[] calldata proofs
    ) private pure {
        uint256 start;
        assembly ("memory-safe") {
            start := requests.offset
        }
        // After the selector, four heads and a length.
        if (start != 0xa4) revert CanonicalCalldata.NonCanonicalCalldata();
        CanonicalCalldata.requireBatch(inputs, outputs, proofs, start + requests.length * 0x140);
    }

    function _fees(Request calldata request_) private pure returns (uint256) {
        return uint256(request_.proverFee) + request_.ownerFee;
    }
}
