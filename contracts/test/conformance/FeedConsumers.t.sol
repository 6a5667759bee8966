// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {AproDoor, Price} from "../../src/feeds/AproDoor.sol";
import {CreDoor} from "../../src/feeds/CreDoor.sol";
import {FeedFace} from "../../src/feeds/FeedFace.sol";
import {FeedProxy} from "../../src/feeds/FeedProxy.sol";
import {IFeedHub, Level, Spec} from "../../src/interfaces/IFeedHub.sol";
import {IFeeManager} from "../../src/interfaces/IFeeManager.sol";
import {IReceiver} from "../../src/interfaces/IReceiver.sol";
import {IVerifierProxy} from "../../src/interfaces/IVerifierProxy.sol";
import {Draft, Feeds} from "../support/Feeds.sol";
import {AproClient, Forwarder, IPriceReader, LendingReader, StreamsClient} from "./Consumers.sol";

/// @notice Consumers that were written for other oracles read this one.
contract FeedConsumersTest is Feeds {
    address private constant WORKFLOW_OWNER = address(0xc4e);

    FeedFace private face;
    AproDoor private apro;
    CreDoor private cre;
    Forwarder private forwarder;

    function setUp() public override {
        super.setUp();
        face = new FeedFace(hub, feedId, Level.Proven);
        apro = new AproDoor(hub);
        forwarder = new Forwarder();
        cre = new CreDoor(hub, address(forwarder), WORKFLOW_OWNER);
    }

    /// @dev As the published contracts call them.
    function test_selectors_areThePublishedOnes() external pure {
        vm.assertEq(bytes32(IVerifierProxy.verify.selector), bytes32(bytes4(0xf7e83aee)));
        vm.assertEq(bytes32(IVerifierProxy.verifyBulk.selector), bytes32(bytes4(0xf873a61c)));
        vm.assertEq(bytes32(IVerifierProxy.s_feeManager.selector), bytes32(bytes4(0x38416b5b)));
        vm.assertEq(bytes32(IFeeManager.getFeeAndReward.selector), bytes32(bytes4(0xe03dab1a)));
        vm.assertEq(bytes32(IPriceReader.getPriceUnsafe.selector), bytes32(bytes4(0x96834ad3)));
        vm.assertEq(bytes32(IPriceReader.getPriceNoOlderThan.selector), bytes32(bytes4(0xa4ae35e0)));
        vm.assertEq(bytes32(AproDoor.getPriceNoOlderThan.selector), bytes32(bytes4(0xa4ae35e0)));
        vm.assertEq(bytes32(AproDoor.getPriceUnsafe.selector), bytes32(bytes4(0x96834ad3)));
    }

    function test_lending_freshAnswer_isRead() external {
        LendingReader reader = new LendingReader(face, 120);
        post(proven(NOW));
        vm.assertEq(reader.price(), 10e18);
        vm.warp(NOW + 120);
        reader.price();
        vm.warp(NOW + 121);
        vm.expectRevert(bytes("old price"));
        reader.price();
    }

    /// @dev A report that is posted late is as old as its observation.
    function test_lending_answerPostedLate_isOld() external {
        LendingReader reader = new LendingReader(face, 120);
        post(proven(NOW - 180));
        vm.expectRevert(bytes("old price"));
        reader.price();
    }

    function test_lending_withoutAnAnswer_reverts() external {
        LendingReader reader = new LendingReader(face, 120);
        vm.expectRevert(error_(IFeedHub.NoData.selector));
        reader.price();
    }

    /// @dev The second face is of another feed, which begins later.
    function test_lending_pagesBack_overAChangeOfTheModel() external {
        FeedProxy proxy = new FeedProxy(face, OWNER, 0);
        LendingReader reader = new LendingReader(proxy, 120);
        post(provenOutput(NOW - 2 * TICK, ANSWER - 2, 40));
        post(provenOutput(NOW - TICK, ANSWER - 1, 40));
        Spec memory other = spec();
        other.description = "another model";
        feedId = createFeed(other, config);
        FeedFace next = new FeedFace(hub, feedId, Level.Proven);
        vm.startPrank(OWNER);
        proxy.proposeAggregator(next);
        proxy.confirmAggregator(next);
        vm.stopPrank();
        post(proven(NOW));
        vm.assertEq(reader.answerAt(NOW), ANSWER);
        vm.assertEq(reader.answerAt(NOW - 1), ANSWER - 1);
        vm.assertEq(reader.answerAt(NOW - TICK - 1), ANSWER - 2);
    }

    function test_streams_report_isVerifiedAndDecoded() external {
        StreamsClient client = new StreamsClient(hub);
        client.verifyReport(encode(provenOutput(NOW, -100, -40)));
        vm.assertEq(int256(client.lastDecodedPrice()), -100);
        client.verifyReport(encode(attested(NOW - TICK, ANSWER)));
        vm.assertEq(int256(client.lastDecodedPrice()), ANSWER);
        hub.requireAt(feedId, uint40(NOW / TICK), Level.Proven); // the proof was handed on
    }

    function test_streams_anotherSchema_isRefused() external {
        StreamsClient client = new StreamsClient(hub);
        Draft memory made = attested(NOW, ANSWER);
        made.report[1] = 0x04;
        vm.expectRevert(abi.encodeWithSelector(StreamsClient.InvalidReportVersion.selector, 4));
        client.verifyReport(encode(made));
    }

    /// @dev Instead of a report that was shown to be false, it gets nothing to decode.
    function test_streams_contradictedReport_reverts() external {
        StreamsClient client = new StreamsClient(hub);
        bytes memory payload = encode(provenOutput(NOW, ANSWER + 3, 40));
        (bool success,) = address(client).call(abi.encodeCall(client.verifyReport, (payload)));
        vm.assertFalse(success);
        vm.assertEq(int256(client.lastDecodedPrice()), 0);
    }

    function test_apro_latestPrice_isVerifiedAndRead() external {
        AproClient client = new AproClient(apro);
        client.verifyAndReadLatestPrice(encode(proven(NOW)));
        vm.assertEq(uint256(client.last()), uint256(ANSWER));
        vm.assertEq(uint256(client.readPrice(feedId)), uint256(ANSWER));
    }

    function test_apro_priceOfATime_isVerified() external {
        AproClient client = new AproClient(apro);
        client.verifyAndReadThePrice(encode(proven(NOW - TICK)), uint32(NOW - TICK));
        vm.assertEq(uint256(client.last()), uint256(ANSWER));
    }

    /// @dev The readers answer with proven prices only.
    function test_apro_attestedPrice_isNotRead() external {
        AproClient client = new AproClient(apro);
        bytes memory payload = encode(attested(NOW, ANSWER));
        vm.expectRevert(error_(IFeedHub.NoData.selector));
        client.verifyAndReadLatestPrice(payload);
    }

    /// @dev Its report has unsigned prices, and so has the reader.
    function test_apro_negativeAnswer_isNotRead() external {
        AproClient client = new AproClient(apro);
        bytes memory payload = encode(provenOutput(NOW, -100, -40));
        (bool success,) = address(client).call(abi.encodeCall(client.verifyAndReadLatestPrice, (payload)));
        vm.assertFalse(success);
        hub.verify(payload, "");
        vm.expectRevert(abi.encodeWithSelector(AproDoor.NegativeAnswer.selector, int192(-100)));
        client.readPrice(feedId);
    }

    function test_aproDoor_bulkAndFees_areTheHubs() external {
        bytes[] memory payloads = new bytes[](1);
        payloads[0] = encode(proven(NOW));
        vm.assertEq(apro.verifyBulk(payloads, "")[0], reportOf(feedId, NOW, ANSWER));
        vm.assertTrue(apro.i_linkAddress() == address(0) && apro.i_rewardManager() == address(0));
        vm.deal(address(this), 1);
        vm.expectRevert(IFeedHub.ValueRefused.selector);
        apro.verify{value: 1}(payloads[0], "");
    }

    function test_aproDoor_getPrice_proven_only() external {
        post(attested(NOW, ANSWER));
        vm.expectRevert(error_(IFeedHub.NoData.selector));
        apro.getPriceUnsafe(feedId);
        post(proven(NOW));
        Price memory price = apro.getPriceUnsafe(feedId);
        vm.assertEq(uint256(price.value), uint256(ANSWER));
        vm.assertEq(int256(price.decimal), 1);
        vm.assertEq(price.observeAt, NOW);
        vm.assertEq(price.expireAt, NOW + MAX_AGE);
    }

    function test_aproDoor_getPrice_negative_isRefused() external {
        post(provenOutput(NOW, -1, 0));
        vm.expectRevert(abi.encodeWithSelector(AproDoor.NegativeAnswer.selector, int192(-1)));
        apro.getPriceUnsafe(feedId);
    }

    function test_aproDoor_getPriceNoOlderThan_older_isRefused() external {
        post(proven(NOW));
        vm.warp(NOW + 30);
        apro.getPriceNoOlderThan(feedId, 30);
        vm.expectRevert(abi.encodeWithSelector(AproDoor.TooOldToRead.selector, 30));
        apro.getPriceNoOlderThan(feedId, 29);
    }

    function test_cre_delivery_isPosted() external {
        vm.assertTrue(forwarder.deliver(cre, WORKFLOW_OWNER, encode(proven(NOW))));
        requireStored(uint40(NOW / TICK), ANSWER, NOW, Level.Proven);
    }

    /// @dev What the hub refuses may be delivered again later.
    function test_cre_refusedDelivery_canBeRetried() external {
        bytes memory payload = encode(proven(NOW));
        vm.warp(NOW - 1);
        vm.assertFalse(forwarder.deliver(cre, WORKFLOW_OWNER, payload));
        vm.warp(NOW);
        vm.assertTrue(forwarder.deliver(cre, WORKFLOW_OWNER, payload));
    }

    function test_cre_workflowOfAnotherOwner_isRefused() external {
        vm.assertFalse(forwarder.deliver(cre, MALLORY, encode(proven(NOW))));
        bytes memory metadata = abi.encodePacked(bytes32(0), bytes10(0), MALLORY, bytes2(0));
        vm.startPrank(address(forwarder));
        vm.expectRevert(abi.encodeWithSelector(CreDoor.NotWorkflowOwner.selector, MALLORY));
        cre.onReport(metadata, "");
        vm.expectRevert(abi.encodeWithSelector(CreDoor.MetadataTooShort.selector, 61));
        cre.onReport(resized(metadata, 61), "");
        vm.stopPrank();
    }

    function test_cre_callByAnybodyElse_isRefused() external {
        vm.expectRevert(abi.encodeWithSelector(CreDoor.NotForwarder.selector, MALLORY));
        vm.prank(MALLORY);
        cre.onReport("", "");
    }

    function test_cre_withoutForwarderOrOwner_isNotCreated() external {
        vm.expectRevert(CreDoor.AddressMissing.selector);
        new CreDoor(hub, address(0), WORKFLOW_OWNER);
        vm.expectRevert(CreDoor.AddressMissing.selector);
        new CreDoor(hub, address(forwarder), address(0));
    }

    function test_cre_supportsInterface_itsOwn_only() external view {
        vm.assertTrue(cre.supportsInterface(type(IReceiver).interfaceId));
        vm.assertTrue(cre.supportsInterface(type(IERC165).interfaceId));
        vm.assertFalse(cre.supportsInterface(0xffffffff));
        vm.assertEq(bytes32(type(IReceiver).interfaceId), bytes32(IReceiver.onReport.selector));
    }
}
