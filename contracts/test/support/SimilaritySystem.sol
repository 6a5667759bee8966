// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Request} from "../../src/interfaces/IInferenceLedger.sol";
import {Registration} from "../../src/interfaces/IWorks.sol";
import {ISimilarity, Stage} from "../../src/interfaces/ISimilarity.sol";
import {Visibility} from "../../src/libraries/StatementLayout.sol";
import {Works} from "../../src/works/Works.sol";
import {Statement} from "./BindingVerifier.sol";
import {ImageCodes} from "./ImageCodes.sol";
import {WorksSystem} from "./WorksSystem.sol";

/// @notice Works with the contract that compares them, on a listing of fingerprints whose proofs tests can make.
/// Alice's picture is older; Bob's, whose fingerprint is nearly the same, is younger.
abstract contract SimilaritySystem is WorksSystem {
    address internal constant ARBITER = address(0xa4b1);
    uint256 internal constant ROUNDING = 1000;
    bytes32 internal constant SHARP = "pixels of the older picture";
    bytes32 internal constant COPIED = "pixels of the younger picture";
    /// @dev The upper half of each block.
    uint256 internal constant CODE = 0xffffffff00000000ffffffff00000000ffffffff00000000ffffffff00000000;

    bytes32 internal prints;
    ISimilarity internal compared;
    uint256 internal older;
    uint256 internal younger;
    uint256 private _salt;

    function setUp() public virtual override {
        super.setUp();
        prints = registerModel(Visibility.Hashed, 1, 256);
        deploy(prints, ROUNDING, ARBITER);
        older = picture(ALICE, "older", SHARP);
        vm.warp(NOW + 1 days);
        younger = picture(BOB, "younger", COPIED);
    }

    /// @dev Works that create the contract under test.
    function deploy(bytes32 listing_, uint256 margin, address arbiter) internal {
        works = new Works(ledger, BASE, creation(listing_, margin, arbiter));
        market = works.MARKET();
        compared = ISimilarity(works.SIMILARITY());
    }

    function creation(bytes32 listing_, uint256 margin, address arbiter) internal view returns (bytes memory) {
        return abi.encodePacked(vm.getCode("Similarity.sol:Similarity"), abi.encode(ledger, listing_, margin, arbiter));
    }

    function picture(address creator, string memory name, bytes32 pixels) internal returns (uint256) {
        Registration memory what = named(name);
        what.pixels = keccak256(abi.encode(pixels));
        return registerAs(creator, what, 0);
    }

    /// @dev `count` of the bits exchanged for others, evenly in all blocks; even, and a multiple of eight.
    function near(uint256 count) internal pure returns (uint256 code) {
        code = CODE;
        for (uint256 i = 0; i < count / 8; ++i) {
            code ^= uint256(1 << i | 1 << (63 - i)) * 0x0000000000000001000000000000000100000000000000010000000000000001;
        }
    }

    function printBoth(uint256 count) internal {
        printAs(older, SHARP, ImageCodes.having(CODE, 5000));
        printAs(younger, COPIED, ImageCodes.having(near(count), 5000));
    }

    /// @dev Proves, records and stores a fingerprint.
    function printAs(uint256 work, bytes32 pixels, int256[] memory values) internal {
        Request memory asked = printRequest(pixels);
        recordPrint(asked, pixels, values);
        (uint256 bits,,) = ImageCodes.read(values, ROUNDING);
        compared.print(work, asked, values, bits);
    }

    function printRequest(bytes32 pixels) internal returns (Request memory asked) {
        asked = freeRequest(uint256(keccak256(abi.encode("print", ++_salt))));
        asked.listing = prints;
        asked.expiry = uint64(block.timestamp + 1 hours);
        asked.inputCommitment = keccak256(abi.encode(pixels));
        (asked.ownerFee, asked.refundTo) = (OWNER_FEE, BOB);
        ask(asked);
    }

    function recordPrint(Request memory asked, bytes32 pixels, int256[] memory values) internal {
        Statement memory said = Statement(ledger.contextOf(asked), abi.encode(pixels), values);
        bytes32 digest = registry.programOf(asked.listing).keyDigest;
        ledger.record(asked, said.inputs, values, abi.encode(binding.proofOf(digest, said)));
    }

    function flagIt() internal {
        vm.prank(ALICE);
        compared.flag(younger, older);
    }

    function contestIt() internal {
        vm.prank(BOB);
        compared.contest(younger, older, "ipfs://reasons");
    }

    function waitForSilence() internal {
        vm.warp(block.timestamp + 14 days + 1);
    }

    function upholdIt() internal {
        waitForSilence();
        compared.uphold(younger, older);
    }

    function stage() internal view returns (uint256) {
        return uint256(compared.flagOf(younger, older).stage);
    }

    function wrongStage(Stage found) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(ISimilarity.WrongStage.selector, found);
    }

    function notYours(address caller) internal pure returns (bytes memory) {
        return abi.encodeWithSelector(ISimilarity.NotYours.selector, caller);
    }
}
