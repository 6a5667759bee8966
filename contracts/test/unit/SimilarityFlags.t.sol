// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {COMMERCIAL, DERIVATIVES, IMarket} from "../../src/interfaces/IMarket.sol";
import {IWorks, Registration, Standing} from "../../src/interfaces/IWorks.sol";
import {Flag, ISimilarity, Stage} from "../../src/interfaces/ISimilarity.sol";
import {ImageCodes} from "../support/ImageCodes.sol";
import {SimilaritySystem} from "../support/SimilaritySystem.sol";

contract SimilarityFlagsTest is SimilaritySystem {
    function setUp() public override {
        super.setUp();
        printBoth(24);
    }

    function test_flag_nearlyTheSame_asksForAnAnswer() external {
        uint40 answerBy = uint40(block.timestamp + 14 days);
        vm.expectEmit(address(compared));
        emit ISimilarity.Flagged(younger, older, 24, 256, answerBy);
        vm.expectEmit(address(works));
        emit IWorks.StandingChanged(younger, Standing.Flagged, older);
        flagIt();
        Flag memory held = compared.flagOf(younger, older);
        vm.assertEq(uint256(held.stage), uint256(Stage.Flagged));
        vm.assertEq(held.answerBy, answerBy);
        isStanding(younger, Standing.Flagged);
        isStanding(older, Standing.Clear);
    }

    function test_flag_notTheOwnerOfTheOlder_isRefused() external {
        vm.prank(ALICE);
        works.setApprovalForAll(MALLORY, true);
        address[3] memory callers = [MALLORY, BOB, ARBITER];
        for (uint256 i = 0; i < 3; ++i) {
            refusesFlag(callers[i], younger, older, notYours(callers[i]));
        }
    }

    function test_flag_byTheNewOwnerOfTheOlder_isAccepted() external {
        vm.prank(ALICE);
        works.transferFrom(ALICE, CAROL, older);
        refusesFlag(ALICE, younger, older, notYours(ALICE));
        vm.prank(CAROL);
        compared.flag(younger, older);
        isStanding(younger, Standing.Flagged);
    }

    function test_flag_tooFar_isRefused() external {
        (address creator, bytes32 pixels) = (CAROL, "far");
        uint256 far = picture(creator, "far", pixels);
        printAs(far, pixels, ImageCodes.having(near(32), 5000));
        refusesFlag(ALICE, far, older, abi.encodeWithSelector(ISimilarity.TooFar.selector, 32, 256));
    }

    /// @dev Of 26 exchanged bits, one is not sure.
    function test_flag_oneBitBeyondTheLimit_isRefused() external {
        uint256 far = picture(CAROL, "far", "far");
        int256[] memory values = ImageCodes.having(near(24) ^ (1 << 50 | 1 << 8), 5000);
        (values[255 - 8], values[255 - 9]) = (int256(ROUNDING) / 2, -int256(ROUNDING) / 2);
        printAs(far, "far", values);
        (uint16 differ, uint16 sure) = compared.distance(far, older);
        vm.assertEq(differ, 25);
        vm.assertEq(sure, 254);
        refusesFlag(ALICE, far, older, abi.encodeWithSelector(ISimilarity.TooFar.selector, differ, sure));
    }

    function test_flag_tooFewSureBits_isRefused() external {
        uint256 vague = picture(CAROL, "vague", "vague");
        printAs(vague, "vague", blurred(8)); // of each 32: 2 * 4 * 4 bits are not sure
        (uint16 differ, uint16 sure) = compared.distance(vague, older);
        vm.assertEq(differ, 0);
        vm.assertEq(sure, 256 - 64);
        refusesFlag(ALICE, vague, older, abi.encodeWithSelector(ISimilarity.TooFar.selector, 0, sure));
    }

    function test_flag_leastSureBits_isAccepted() external {
        uint256 vague = picture(CAROL, "vague", "vague");
        printAs(vague, "vague", blurred(4));
        (, uint16 sure) = compared.distance(vague, older);
        vm.assertEq(sure, 224);
        vm.prank(ALICE);
        compared.flag(vague, older);
        isStanding(vague, Standing.Flagged);
    }

    function test_flag_withoutAPrint_isRefused() external {
        uint256 bare = picture(CAROL, "bare", "bare");
        refusesFlag(ALICE, bare, older, abi.encodeWithSelector(ISimilarity.NotPrinted.selector, bare));
    }

    function test_flag_theOlderByTheYounger_isRefused() external {
        (uint40 first, uint40 second) = (works.workOf(younger).since, works.workOf(older).since);
        refusesFlag(BOB, older, younger, abi.encodeWithSelector(ISimilarity.NotOlder.selector, first, second));
    }

    function test_flag_aSecondLessThanADay_isRefused() external {
        vm.warp(block.timestamp + 1 days - 1);
        uint256 late = picture(CAROL, "late", COPIED);
        printAs(late, COPIED, ImageCodes.having(CODE, 5000));
        bytes memory why =
            abi.encodeWithSelector(ISimilarity.NotOlder.selector, uint40(NOW + 1 days), uint40(NOW + 2 days - 1));
        refusesFlag(BOB, late, younger, why);
    }

    function test_flag_itself_isRefused() external {
        uint40 since = works.workOf(older).since;
        refusesFlag(ALICE, older, older, abi.encodeWithSelector(ISimilarity.NotOlder.selector, since, since));
    }

    /// @dev Nobody is accused: both are the caller's.
    function test_flag_ownWork_isRefused() external {
        vm.prank(BOB);
        works.transferFrom(BOB, ALICE, younger);
        refusesFlag(ALICE, younger, older, related(younger));
    }

    function test_flag_ownRemix_isRefused() external {
        uint256 remix = remixOf(older, CAROL);
        refusesFlag(ALICE, remix, older, related(remix));
    }

    /// @dev A commitment makes a child older than its parent.
    function test_flag_theParentByItsChild_isRefused() external {
        bytes32 id = offerOf(younger, 0, 1000, REMIX);
        vm.warp(block.timestamp + 2 days);
        Registration memory what = named("early child");
        (what.pixels, what.offers) = (keccak256(abi.encode(SHARP)), list(id));
        uint256 child = registerAs(CAROL, what, 0);
        vm.mockCall(address(works), abi.encodeCall(works.workOf, (child)), abi.encode(works.workOf(older)));
        printAs(child, SHARP, ImageCodes.having(CODE, 5000));
        refusesFlag(CAROL, younger, child, abi.encodeWithSelector(ISimilarity.Related.selector, younger, child));
    }

    function test_flag_twice_isRefused() external {
        flagIt();
        refusesFlag(ALICE, younger, older, flaggedBefore());
        vm.prank(ALICE);
        compared.release(younger, older);
        refusesFlag(ALICE, younger, older, flaggedBefore());
    }

    function test_flag_byAnUpheldWork_isRefused() external {
        flagIt();
        upholdIt();
        uint256 third = copyBy(CAROL);
        refusesFlag(BOB, third, younger, abi.encodeWithSelector(ISimilarity.OlderIsUpheld.selector, younger));
        vm.prank(ALICE);
        compared.flag(third, older);
    }

    function test_flag_afterTheStop_isRefused() external {
        vm.prank(GUARDIAN);
        stop.stop();
        vm.assertFalse(compared.isSound());
        refusesFlag(ALICE, younger, older, abi.encodeWithSelector(ISimilarity.EvidenceVoid.selector));
    }

    function test_flag_afterTheRevocation_isRefused() external {
        vm.prank(PUBLISHER);
        registry.revoke(prints);
        vm.assertFalse(compared.isSound());
        refusesFlag(ALICE, younger, older, abi.encodeWithSelector(ISimilarity.EvidenceVoid.selector));
    }

    function test_flag_deprecatedListing_isAccepted() external {
        vm.prank(PUBLISHER);
        registry.deprecate(prints, 0);
        flagIt();
        isStanding(younger, Standing.Flagged);
    }

    function test_flag_unknownWork_isRefused() external {
        refusesFlag(ALICE, younger, 1, nonexistent(1));
        refusesFlag(ALICE, 1, older, abi.encodeWithSelector(ISimilarity.NotPrinted.selector, 1));
    }

    function test_uphold_silence_endsTheSaleOfLicences() external {
        bytes32 id = offerOf(younger, 0, 0, COMMERCIAL);
        uint256 held = buyAs(CAROL, id);
        flagIt();
        buyAs(CAROL, id); // a flag alone stops nothing
        waitForSilence();
        vm.expectEmit(address(compared));
        emit ISimilarity.Upheld(younger, older);
        vm.prank(MALLORY);
        compared.uphold(younger, older);
        isStanding(younger, Standing.Upheld);
        vm.expectRevert(abi.encodeWithSelector(IMarket.WorkBlocked.selector, younger));
        market.buy(id, CAROL, 0);
        vm.assertTrue(market.covers(held, younger, CAROL, COMMERCIAL));
    }

    /// @dev What was earned stays, and tokens move.
    function test_uphold_seizesNothing() external {
        payWork(younger, 100);
        flagIt();
        upholdIt();
        payWork(younger, 10);
        vm.prank(BOB);
        works.transferFrom(BOB, CAROL, younger);
        vm.assertEq(market.creditOf(BOB), 110);
    }

    function test_uphold_inTime_isRefused() external {
        flagIt();
        uint40 answerBy = compared.flagOf(younger, older).answerBy;
        vm.warp(answerBy);
        vm.expectRevert(abi.encodeWithSelector(ISimilarity.TooEarly.selector, answerBy));
        compared.uphold(younger, older);
    }

    function test_uphold_neverFlagged_isRefused() external {
        vm.expectRevert(wrongStage(Stage.None));
        compared.uphold(younger, older);
    }

    function test_uphold_twice_isRefused() external {
        flagIt();
        upholdIt();
        vm.expectRevert(wrongStage(Stage.Upheld));
        compared.uphold(younger, older);
    }

    function test_uphold_afterTheStop_isRefused() external {
        flagIt();
        waitForSilence();
        vm.prank(GUARDIAN);
        stop.stop();
        vm.expectRevert(ISimilarity.EvidenceVoid.selector);
        compared.uphold(younger, older);
    }

    /// @dev The older work turned out to be a copy itself.
    function test_uphold_forAnUpheldWork_isRefused() external {
        uint256 third = copyBy(CAROL);
        vm.prank(BOB);
        compared.flag(third, younger);
        flagIt();
        upholdIt();
        vm.expectRevert(abi.encodeWithSelector(ISimilarity.OlderIsUpheld.selector, younger));
        compared.uphold(third, younger);
    }

    function isStanding(uint256 work, Standing expected) private view {
        vm.assertEq(uint256(works.workOf(work).standing), uint256(expected));
    }

    function refusesFlag(address caller, uint256 accused, uint256 first, bytes memory why) private {
        vm.expectRevert(why);
        vm.prank(caller);
        compared.flag(accused, first);
    }

    function related(uint256 accused) private view returns (bytes memory) {
        return abi.encodeWithSelector(ISimilarity.Related.selector, accused, older);
    }

    function flaggedBefore() private view returns (bytes memory) {
        return abi.encodeWithSelector(ISimilarity.AlreadyFlagged.selector, younger, older);
    }

    /// @dev The same picture again, two days later.
    function copyBy(address creator) private returns (uint256 work) {
        vm.warp(block.timestamp + 2 days);
        work = picture(creator, "copy", COPIED);
        printAs(work, COPIED, ImageCodes.having(near(24), 5000));
    }

    function remixOf(uint256 parent, address creator) private returns (uint256 work) {
        Registration memory what = named("remix");
        what.pixels = keccak256(abi.encode(COPIED));
        what.offers = list(offerOf(parent, 0, 1000, REMIX));
        work = registerAs(creator, what, 0);
        printAs(work, COPIED, ImageCodes.having(CODE, 5000));
    }

    /// @dev The code, with this many coefficients of each half of a block so near the median that they are not sure.
    function blurred(uint256 count) private pure returns (int256[] memory values) {
        values = ImageCodes.having(CODE, 5000);
        for (uint256 i = 0; i < 256; ++i) {
            if (i % 32 < count) values[i] = values[i] / 10;
        }
    }
}
