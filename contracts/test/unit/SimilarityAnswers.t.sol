// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {COMMERCIAL, DERIVATIVES} from "../../src/interfaces/IMarket.sol";
import {IWorks, Registration, Standing} from "../../src/interfaces/IWorks.sol";
import {ISimilarity, Stage} from "../../src/interfaces/ISimilarity.sol";
import {ImageCodes} from "../support/ImageCodes.sol";
import {SimilaritySystem} from "../support/SimilaritySystem.sol";

/// @notice How flags end.
contract SimilarityAnswersTest is SimilaritySystem {
    function setUp() public override {
        super.setUp();
        printBoth(8);
    }

    function test_acknowledge_withALicence_clears() external {
        flagIt();
        uint256 licence = buyAs(BOB, offerOf(older, 7, 0, DERIVATIVES));
        vm.expectEmit(address(compared));
        emit ISimilarity.Acknowledged(younger, older, licence);
        vm.expectEmit(address(compared));
        emit ISimilarity.Released(younger, older, BOB);
        vm.expectEmit(address(works));
        emit IWorks.StandingChanged(younger, Standing.Clear, older);
        acknowledgeAs(BOB, licence);
        isStanding(Standing.Clear);
        vm.assertEq(market.pendingOf(older), 7);
    }

    function test_acknowledge_afterUpheld_sellsAgain() external {
        bytes32 id = offerOf(younger, 0, 0, COMMERCIAL);
        flagIt();
        upholdIt();
        acknowledgeAs(BOB, buyAs(BOB, offerOf(older, 7, 0, DERIVATIVES)));
        isStanding(Standing.Clear);
        buyAs(CAROL, id);
    }

    function test_acknowledge_unfitLicences_areRefused() external {
        flagIt();
        bytes32 id = offerOf(older, 0, 0, DERIVATIVES);
        uint256[5] memory unfit = [
            buyAs(CAROL, id), // of another holder
            buyAs(BOB, offerOf(older, 0, 0, COMMERCIAL)),
            buyAs(BOB, offerOf(younger, 0, 0, DERIVATIVES)), // of another work
            0,
            99
        ];
        for (uint256 i = 0; i < 5; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ISimilarity.NotLicensed.selector, unfit[i]));
            acknowledgeAs(BOB, unfit[i]);
        }
        isStanding(Standing.Flagged);
    }

    function test_acknowledge_notTheOwner_isRefused() external {
        flagIt();
        uint256 licence = buyAs(CAROL, offerOf(older, 0, 0, DERIVATIVES));
        vm.expectRevert(notYours(CAROL));
        acknowledgeAs(CAROL, licence);
    }

    function test_acknowledge_notPending_isRefused() external {
        uint256 licence = buyAs(BOB, offerOf(older, 0, 0, DERIVATIVES));
        vm.expectRevert(wrongStage(Stage.None));
        acknowledgeAs(BOB, licence);
        flagIt();
        acknowledgeAs(BOB, licence);
        vm.expectRevert(wrongStage(Stage.Released));
        acknowledgeAs(BOB, licence);
    }

    function test_contest_inTime_waitsForTheArbiter() external {
        flagIt();
        vm.expectEmit(address(compared));
        emit ISimilarity.Contested(younger, older, "ipfs://reasons");
        contestIt();
        isStanding(Standing.Contested);
        waitForSilence();
        address[3] memory callers = [ALICE, MALLORY, BOB];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(notYours(callers[i]));
            vm.prank(callers[i]);
            compared.uphold(younger, older);
        }
        vm.prank(ARBITER);
        compared.uphold(younger, older);
        isStanding(Standing.Upheld);
    }

    /// @dev The token may lie with a market that cannot answer.
    function test_contest_byTheCreator_isHeard() external {
        vm.prank(BOB);
        works.transferFrom(BOB, CAROL, younger);
        flagIt();
        contestIt();
        isStanding(Standing.Contested);
    }

    function test_contest_byAnother_isRefused() external {
        flagIt();
        address[3] memory callers = [ALICE, MALLORY, ARBITER];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(notYours(callers[i]));
            vm.prank(callers[i]);
            compared.contest(younger, older, "");
        }
    }

    /// @dev Only silence was held against the work, and it is over.
    function test_contest_afterSilence_sellsAgain() external {
        flagIt();
        upholdIt();
        contestIt();
        isStanding(Standing.Contested);
        buyAs(CAROL, offerOf(younger, 0, 0, COMMERCIAL));
    }

    function test_contest_afterTheArbitersDecision_isRefused() external {
        flagIt();
        contestIt();
        vm.prank(ARBITER);
        compared.uphold(younger, older);
        vm.expectRevert(abi.encodeWithSelector(ISimilarity.AlreadyContested.selector, younger, older));
        contestIt();
    }

    function test_contest_twice_isRefused() external {
        flagIt();
        contestIt();
        vm.expectRevert(abi.encodeWithSelector(ISimilarity.AlreadyContested.selector, younger, older));
        contestIt();
    }

    function test_contest_notPending_isRefused() external {
        vm.expectRevert(wrongStage(Stage.None));
        contestIt();
        flagIt();
        release(ALICE);
        vm.expectRevert(wrongStage(Stage.Released));
        contestIt();
    }

    function test_uphold_withoutAnArbiter_neverForAContestedFlag() external {
        deploy(prints, ROUNDING, address(0));
        older = picture(ALICE, "older", SHARP);
        vm.warp(block.timestamp + 1 days);
        younger = picture(BOB, "younger", COPIED);
        printBoth(8);
        flagIt();
        contestIt();
        waitForSilence();
        vm.expectRevert(notYours(ARBITER));
        vm.prank(ARBITER);
        compared.uphold(younger, older);
        isStanding(Standing.Contested);
    }

    function test_release_byTheOlderOwnerOrTheArbiter_clears() external {
        flagIt();
        vm.expectEmit(address(compared));
        emit ISimilarity.Released(younger, older, ALICE);
        release(ALICE);
        isStanding(Standing.Clear);
        uint256 third = copyBy(CAROL);
        vm.prank(ALICE);
        compared.flag(third, older);
        vm.prank(ARBITER);
        compared.release(third, older);
        vm.assertEq(uint256(works.standingOf(third)), uint256(Standing.Clear));
    }

    function test_release_fromEveryStage_clears() external {
        flagIt();
        upholdIt();
        release(ALICE);
        isStanding(Standing.Clear);
        vm.assertEq(stage(), uint256(Stage.Released));
    }

    function test_release_byAnother_isRefused() external {
        flagIt();
        address[2] memory callers = [BOB, MALLORY];
        for (uint256 i = 0; i < 2; ++i) {
            vm.expectRevert(notYours(callers[i]));
            release(callers[i]);
        }
    }

    /// @dev A record from before a stop may have been forged by the bug that caused it.
    function test_release_afterTheStop_byAnybody() external {
        flagIt();
        upholdIt();
        vm.prank(GUARDIAN);
        stop.stop();
        release(MALLORY);
        isStanding(Standing.Clear);
    }

    function test_release_notPending_isRefused() external {
        vm.expectRevert(wrongStage(Stage.None));
        release(ALICE);
    }

    /// @dev A work with several flags has the standing of the worst one. So nobody is shielded by a friend's flag.
    function test_standing_severalFlags_isThatOfTheWorst() external {
        uint256 friend = older;
        vm.prank(ALICE);
        works.transferFrom(ALICE, MALLORY, friend);
        older = twinOfTheOlder();
        vm.prank(MALLORY);
        compared.flag(younger, friend);
        flagIt();
        contestIt();
        isStanding(Standing.Flagged); // the friend's flag waits for an answer
        vm.prank(MALLORY);
        compared.release(younger, friend);
        isStanding(Standing.Contested);
        vm.prank(ARBITER);
        compared.uphold(younger, older);
        isStanding(Standing.Upheld);
        release(ALICE);
        isStanding(Standing.Clear);
    }

    /// @dev A remix of a remix may look like the first work: its lineage is declared.
    function test_dismiss_declaredAncestor_clears() external {
        (uint256 middle, uint256 last) = lineage();
        vm.prank(ALICE);
        compared.flag(last, older);
        vm.prank(MALLORY);
        compared.dismiss(last, older, path(last, middle, older));
        vm.assertEq(uint256(works.standingOf(last)), uint256(Standing.Clear));
    }

    function test_dismiss_notAPath_isRefused() external {
        (uint256 middle, uint256 last) = lineage();
        vm.prank(ALICE);
        compared.flag(last, older);
        uint256[][6] memory bad = [
            path(last, older, older),
            path(older, middle, last), // from parent to child
            path(last, middle, middle),
            path(middle, middle, older),
            path(last, younger, older),
            new uint256[](0)
        ];
        for (uint256 i = 0; i < 6; ++i) {
            vm.expectRevert(ISimilarity.NotAPath.selector);
            compared.dismiss(last, older, bad[i]);
        }
        vm.expectRevert(ISimilarity.NotAPath.selector);
        compared.dismiss(last, older, list(last, older));
        vm.expectRevert(ISimilarity.NotAPath.selector);
        compared.dismiss(last, older, list(last));
    }

    /// @dev A path of another pair says nothing of this one.
    function test_dismiss_pathOfAnotherPair_isRefused() external {
        (uint256 middle, uint256 last) = lineage();
        flagIt();
        vm.expectRevert(ISimilarity.NotAPath.selector);
        compared.dismiss(younger, older, path(last, middle, older));
    }

    function test_dismiss_notPending_isRefused() external {
        (uint256 middle, uint256 last) = lineage();
        vm.expectRevert(wrongStage(Stage.None));
        compared.dismiss(last, older, path(last, middle, older));
    }

    /// forge-config: default.isolate = true
    function test_gas_flags() external {
        flagIt();
        vm.snapshotGasLastCall("similarity", "flag");
        contestIt();
        vm.snapshotGasLastCall("similarity", "contest");
        vm.prank(ARBITER);
        compared.uphold(younger, older);
        vm.snapshotGasLastCall("similarity", "uphold");
        release(ALICE);
        vm.snapshotGasLastCall("similarity", "release");
    }

    function isStanding(Standing expected) private view {
        vm.assertEq(uint256(works.workOf(younger).standing), uint256(expected));
        vm.assertEq(uint256(works.standingOf(younger)), uint256(expected));
    }

    function acknowledgeAs(address caller, uint256 licence) private {
        vm.prank(caller);
        compared.acknowledge(younger, older, licence);
    }

    function release(address caller) private {
        vm.prank(caller);
        compared.release(younger, older);
    }

    function copyBy(address creator) private returns (uint256 work) {
        vm.warp(block.timestamp + 2 days);
        work = picture(creator, "copy", COPIED);
        printAs(work, COPIED, ImageCodes.having(near(8), 5000));
    }

    /// @dev Another older work of Alice with the same picture.
    function twinOfTheOlder() private returns (uint256 work) {
        work = picture(ALICE, "twin", SHARP);
        printAs(work, SHARP, ImageCodes.having(CODE, 5000));
        vm.warp(block.timestamp + 1 days);
        younger = picture(BOB, "younger still", COPIED);
        printAs(younger, COPIED, ImageCodes.having(near(8), 5000));
    }

    /// @dev From the older work, a work without a picture, and from that one a picture.
    function lineage() private returns (uint256 middle, uint256 last) {
        middle = derivedFrom(CAROL, "middle", list(offerOf(older, 0, 1000, REMIX)));
        Registration memory what = named("last");
        (what.pixels, what.offers) = (keccak256(abi.encode(COPIED)), list(offerOf(middle, 0, 1000, REMIX)));
        last = registerAs(BOB, what, 0);
        printAs(last, COPIED, ImageCodes.having(CODE, 5000));
    }

    function path(uint256 one, uint256 two, uint256 three) private pure returns (uint256[] memory all) {
        all = new uint256[](3);
        (all[0], all[1], all[2]) = (one, two, three);
    }
}
