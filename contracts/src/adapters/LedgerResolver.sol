// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Attestation, ISchemaResolver} from "../interfaces/IEAS.sol";
import {IInferenceLedger, Request} from "../interfaces/IInferenceLedger.sol";

/// @title A resolver for the Ethereum Attestation Service that admits proven answers only
/// @notice Under a schema with this resolver an attestation exists only if the ledger had recorded exactly these
/// outputs of one model for exactly this request, the model was not revoked nor its verifier stopped when it was made,
/// and its recipient is the requester. `data` is abi.encode(request, outputs), nothing else. An attester may revoke,
/// which says nothing about the proof; a later stop revokes nothing here, so call the ledger's requireSound before
/// acting.
contract LedgerResolver is ISchemaResolver {
    /// @notice The schema to register with this resolver.
    string public constant SCHEMA =
        "(bytes32 listing,bytes32 inputCommitment,address consumer,address requester,uint64 expiry,address prover,uint96 proverFee,address refundTo,uint96 ownerFee,bytes32 salt) request,int256[] outputs";

    /// @notice Where answers are recorded.
    IInferenceLedger public immutable LEDGER;
    /// @notice The attestation service.
    address public immutable EAS;
    /// @notice The one model whose answers are attested.
    bytes32 public immutable LISTING;

    /// @notice Only the attestation service may call.
    error NotEAS(address caller);
    /// @notice The recipient must be the requester.
    error WrongRecipient(address expected, address actual);
    /// @notice The answer is another model's.
    error ForeignListing(bytes32 listing);
    /// @notice The data is not the one encoding of a request and outputs.
    error NonCanonicalData();
    /// @notice Payments are not accepted.
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
        (Request memory request, int256[] memory outputs) = abi.decode(attestation.data, (Request, int256[]));
        if (keccak256(abi.encode(request, outputs)) != keccak256(attestation.data)) revert NonCanonicalData();
        if (request.listing != LISTING) revert ForeignListing(request.listing);
        if (attestation.recipient != request.requester) {
            revert WrongRecipient(request.requester, attestation.recipient);
        }
        LEDGER.requireSound(request, outputs);
    }
}
