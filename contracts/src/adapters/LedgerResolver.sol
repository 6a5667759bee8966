// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Attestation, ISchemaResolver} from "../interfaces/IEAS.sol";
import {IInferenceLedger, Request} from "../interfaces/IInferenceLedger.sol";

/// @title A resolver for the Ethereum Attestation Service: what is attested was proven
/// @notice Under a schema with this resolver an attestation exists only if the ledger had recorded exactly these
/// outputs of one model for exactly this request, neither model nor verifier was taken back when it was made, and its
/// recipient is who asked. `data` is abi.encode(question, outputs), nothing else. Who attests may revoke, which says
/// nothing about the proof; a later stop revokes nothing here, so ask the ledger's requireSound before acting.
contract LedgerResolver is ISchemaResolver {
    /// @notice The schema to register with this resolver.
    string public constant SCHEMA =
        "(bytes32 listing,bytes32 inputCommitment,address consumer,address requester,uint64 expiry,address prover,uint96 proverFee,address refundTo,uint96 ownerFee,bytes32 salt) question,uint256[] outputs";

    /// @notice Where answers are recorded.
    IInferenceLedger public immutable LEDGER;
    /// @notice The attestation service.
    address public immutable EAS;
    /// @notice The one model whose answers are attested.
    bytes32 public immutable LISTING;

    /// @notice Only the attestation service asks.
    error NotEAS(address caller);
    /// @notice The recipient must be who asked the model.
    error WrongRecipient(address expected, address actual);
    /// @notice The answer is another model's.
    error ForeignListing(bytes32 listing);
    /// @notice The data is not the one encoding of a request and outputs.
    error NonCanonicalData();
    /// @notice Nothing is paid here.
    error ValueRefused();

    modifier onlyEAS() {
        if (msg.sender != EAS) revert NotEAS(msg.sender);
        if (msg.value != 0) revert ValueRefused();
        _;
    }

    /// @param ledger Where answers are recorded.
    /// @param eas The attestation service.
    /// @param listing The one model whose answers are attested.
    constructor(IInferenceLedger ledger, address eas, bytes32 listing) {
        LEDGER = ledger;
        EAS = eas;
        LISTING = listing;
    }

    /// @inheritdoc ISchemaResolver
    function attest(Attestation calldata attestation) external payable override onlyEAS returns (bool) {
        _requireProven(attestation);
        return true;
    }

    /// @inheritdoc ISchemaResolver
    function multiAttest(Attestation[] calldata attestations, uint256[] calldata)
        external
        payable
        override
        onlyEAS
        returns (bool)
    {
        for (uint256 i = 0; i < attestations.length; ++i) {
            _requireProven(attestations[i]);
        }
        return true;
    }

    /// @inheritdoc ISchemaResolver
    function revoke(Attestation calldata) external payable override onlyEAS returns (bool) {
        return true;
    }

    /// @inheritdoc ISchemaResolver
    function multiRevoke(Attestation[] calldata, uint256[] calldata) external payable override onlyEAS returns (bool) {
        return true;
    }

    /// @inheritdoc ISchemaResolver
    function isPayable() external pure override returns (bool) {
        return false;
    }

    function _requireProven(Attestation calldata attestation) private view {
        (Request memory question, uint256[] memory outputs) = abi.decode(attestation.data, (Request, uint256[]));
        if (keccak256(abi.encode(question, outputs)) != keccak256(attestation.data)) revert NonCanonicalData();
        if (question.listing != LISTING) revert ForeignListing(question.listing);
        if (attestation.recipient != question.requester) {
            revert WrongRecipient(question.requester, attestation.recipient);
        }
        LEDGER.requireSound(question, outputs);
    }
}
