// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceLedger, Request} from "../../src/interfaces/IInferenceLedger.sol";
import {IWorks, Registration} from "../../src/interfaces/IWorks.sol";
import {ISimilarity, Print} from "../../src/interfaces/ISimilarity.sol";
import {ImageCode} from "../../src/libraries/ImageCode.sol";
import {Visibility} from "../../src/libraries/StatementLayout.sol";
import {Works} from "../../src/works/Works.sol";
import {ImageCodes} from "../support/ImageCodes.sol";
import {SimilaritySystem} from "../support/SimilaritySystem.sol";

contract SimilarityPrintsTest is SimilaritySystem {
    function test_constructor_asDeployed_knowsWhatItReliesOn() external view {
        vm.assertEq(address(compared.WORKS()), address(works));
        vm.assertEq(address(compared.LEDGER()), address(ledger));
        vm.assertEq(compared.LISTING(), prints);
        vm.assertEq(compared.MARGIN(), ROUNDING);
        vm.assertEq(compared.ARBITER(), ARBITER);
        vm.assertTrue(compared.isSound());
    }

    function test_constructor_otherOutputs_isRefused() external {
        refusesDeployment(registerModel(Visibility.Public, 2, 64), ROUNDING);
        refusesDeployment(registerModel(Visibility.Public, 2, 257), ROUNDING);
    }

    function test_constructor_privateInputs_isRefused() external {
        refusesDeployment(registerModel(Visibility.Private, 0, 256), ROUNDING);
    }

    function test_constructor_unfitMargin_isRefused() external {
        refusesDeployment(prints, 0);
        refusesDeployment(prints, 1 << 60);
        deploy(prints, (1 << 60) - 1, ARBITER);
    }

    function test_constructor_unknownListing_isRefused() external {
        refusesDeployment("none", ROUNDING);
    }

    function test_print_proven_isStored() external {
        Request memory asked = printRequest(SHARP);
        int256[] memory values = ImageCodes.having(CODE, 5000);
        values[9] = 4999;
        recordPrint(asked, SHARP, values);
        vm.expectEmit(address(compared));
        emit ISimilarity.Printed(older, CODE, type(uint256).max, ledger.idOf(asked));
        compared.print(older, asked, values, CODE);
        Print memory found = compared.printOf(older);
        vm.assertEq(bytes32(found.bits), bytes32(CODE));
        vm.assertEq(bytes32(found.sure), bytes32(type(uint256).max));
    }

    /// @dev A print is a fact about the pixels: whoever has it proven may store it, for all works that name them.
    function test_print_byAnother_isStored() external {
        uint256 twin = picture(CAROL, "twin", SHARP);
        Request memory asked = printRequest(SHARP);
        int256[] memory values = ImageCodes.having(CODE, 5000);
        recordPrint(asked, SHARP, values);
        vm.startPrank(MALLORY);
        compared.print(older, asked, values, CODE);
        compared.print(twin, asked, values, CODE);
        vm.stopPrank();
        vm.assertEq(compared.printOf(twin).bits, compared.printOf(older).bits);
    }

    function test_print_otherPixels_isRefused() external {
        Request memory asked = printRequest(COPIED);
        int256[] memory values = ImageCodes.having(CODE, 5000);
        recordPrint(asked, COPIED, values);
        refuses(
            older,
            asked,
            values,
            abi.encodeWithSelector(
                ISimilarity.PixelsMismatch.selector, works.workOf(older).pixels, asked.inputCommitment
            )
        );
    }

    function test_print_workWithoutPixels_isRefused() external {
        uint256 work = registerAs(CAROL, "no pixels");
        Request memory asked = printRequest(SHARP);
        int256[] memory values = ImageCodes.having(CODE, 5000);
        recordPrint(asked, SHARP, values);
        bytes32 actual = asked.inputCommitment;
        refuses(work, asked, values, abi.encodeWithSelector(ISimilarity.PixelsMismatch.selector, bytes32(0), actual));
    }

    /// @dev A request for any input has a commitment that a creator can name as the pixels. Its prover chooses them.
    function test_print_anyInputAsPixels_isRefused() external {
        Registration memory what = named("any");
        what.pixels = anyInput();
        uint256 work = registerAs(MALLORY, what, 0);
        Request memory asked = printRequest(SHARP);
        asked.inputCommitment = anyInput();
        ask(asked);
        int256[] memory values = ImageCodes.having(CODE, 5000);
        recordPrint(asked, SHARP, values);
        refuses(
            work, asked, values, abi.encodeWithSelector(ISimilarity.PixelsMismatch.selector, anyInput(), anyInput())
        );
    }

    function test_print_unknownWork_isRefused() external {
        Request memory asked = printRequest(SHARP);
        refuses(1, asked, ImageCodes.having(CODE, 5000), nonexistent(1));
    }

    /// @dev The same model, listed by another account: its key may accept anything.
    function test_print_otherListing_isRefused() external {
        Request memory asked = printRequest(SHARP);
        asked.listing = listing;
        refuses(
            older,
            asked,
            ImageCodes.having(CODE, 5000),
            abi.encodeWithSelector(ISimilarity.ForeignListing.selector, listing)
        );
    }

    function test_print_notRecorded_isRefused() external {
        Request memory asked = printRequest(SHARP);
        bytes memory why = abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, ledger.idOf(asked));
        refuses(older, asked, ImageCodes.having(CODE, 5000), why);
    }

    function test_print_otherOutputsThanRecorded_isRefused() external {
        Request memory asked = printRequest(SHARP);
        recordPrint(asked, SHARP, ImageCodes.having(CODE, 5000));
        bytes memory why = abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, ledger.idOf(asked));
        refuses(older, asked, ImageCodes.having(CODE, 5001), why);
    }

    function test_print_afterTheStop_isRefused() external {
        Request memory asked = printRequest(SHARP);
        int256[] memory values = ImageCodes.having(CODE, 5000);
        recordPrint(asked, SHARP, values);
        vm.prank(GUARDIAN);
        stop.stop();
        bytes memory why = abi.encodeWithSelector(IInferenceLedger.VerifierNotLive.selector, binding.selector());
        refuses(older, asked, values, why);
    }

    function test_print_afterTheRevocation_isRefused() external {
        Request memory asked = printRequest(SHARP);
        int256[] memory values = ImageCodes.having(CODE, 5000);
        recordPrint(asked, SHARP, values);
        vm.prank(PUBLISHER);
        registry.revoke(prints);
        refuses(older, asked, values, abi.encodeWithSelector(IInferenceLedger.ModelRevoked.selector, prints));
    }

    function test_print_wrongBits_isRefused() external {
        Request memory asked = printRequest(SHARP);
        int256[] memory values = ImageCodes.having(CODE, 5000);
        recordPrint(asked, SHARP, values);
        vm.expectRevert(abi.encodeWithSelector(ImageCode.NotTheMedian.selector, 0));
        compared.print(older, asked, values, near(8));
    }

    function test_print_flatPicture_isRefused() external {
        Request memory asked = printRequest(SHARP);
        int256[] memory values = new int256[](256);
        recordPrint(asked, SHARP, values);
        refuses(older, asked, values, abi.encodeWithSelector(ImageCode.NotTheMedian.selector, 0));
    }

    /// @dev A prover who may choose the rounding cannot hide a print behind one with fewer sure bits.
    function test_print_again_isReplacedBySurerOnesOnly() external {
        int256[] memory values = ImageCodes.having(CODE, 5000);
        (values[0], values[63]) = (int256(ROUNDING / 2), -int256(ROUNDING / 2));
        printAs(older, SHARP, values);
        uint256 first = compared.printOf(older).sure;
        vm.assertEq(ImageCode.count(first), 254);
        Request memory asked = printRequest(SHARP);
        recordPrint(asked, SHARP, values);
        refuses(older, asked, values, abi.encodeWithSelector(ISimilarity.AlreadyPrinted.selector, older));
        printAs(older, SHARP, ImageCodes.having(CODE, 5000));
        vm.assertEq(compared.printOf(older).sure, type(uint256).max);
        asked = printRequest(SHARP);
        recordPrint(asked, SHARP, values);
        refuses(older, asked, values, abi.encodeWithSelector(ISimilarity.AlreadyPrinted.selector, older));
    }

    function test_distance_ofSureBitsOnly() external {
        int256[] memory values = ImageCodes.having(near(8), 5000);
        printAs(older, SHARP, ImageCodes.having(CODE, 5000));
        values[0] = -int256(ROUNDING) / 2; // one of the bits that differ, and its block's threshold
        values[63] = int256(ROUNDING) / 2;
        printAs(younger, COPIED, values);
        (uint16 differ, uint16 sure) = compared.distance(younger, older);
        vm.assertEq(differ, 6);
        vm.assertEq(sure, 254);
        (uint16 back, uint16 same) = compared.distance(older, younger);
        vm.assertEq(back, differ);
        vm.assertEq(same, sure);
    }

    function test_distance_withoutAPrint_isRefused() external {
        vm.expectRevert(abi.encodeWithSelector(ISimilarity.NotPrinted.selector, younger));
        compared.distance(younger, older);
        printAs(younger, COPIED, ImageCodes.having(CODE, 5000));
        vm.expectRevert(abi.encodeWithSelector(ISimilarity.NotPrinted.selector, older));
        compared.distance(younger, older);
    }

    /// forge-config: default.fuzz.runs = 32
    function testFuzz_print_randomCoefficients_areStoredAsTheSortSays(uint256 seed) external {
        int256[] memory values = ImageCodes.random(seed, 1 << 20);
        (uint256 bits, uint256 sure, bool defined) = ImageCodes.read(values, ROUNDING);
        vm.assume(defined);
        printAs(older, SHARP, values);
        vm.assertEq(bytes32(compared.printOf(older).bits), bytes32(bits));
        vm.assertEq(bytes32(compared.printOf(older).sure), bytes32(sure));
    }

    /// forge-config: default.isolate = true
    function test_gas_print() external {
        Request memory asked = printRequest(SHARP);
        int256[] memory values = ImageCodes.random(1, 1 << 42);
        recordPrint(asked, SHARP, values);
        (uint256 bits,,) = ImageCodes.read(values, ROUNDING);
        compared.print(older, asked, values, bits);
        vm.snapshotGasLastCall("similarity", "print");
    }

    function refuses(uint256 work, Request memory asked, int256[] memory values, bytes memory why) private {
        vm.expectRevert(why);
        compared.print(work, asked, values, CODE);
    }

    function refusesDeployment(bytes32 listing_, uint256 margin) private {
        bytes memory code = creation(listing_, margin, ARBITER);
        vm.expectRevert(IWorks.SimilarityFailed.selector);
        new Works(ledger, BASE, code);
    }
}
