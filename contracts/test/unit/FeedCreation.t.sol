// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {FeedHub} from "../../src/feeds/FeedHub.sol";
import {IFeedHub, Spec} from "../../src/interfaces/IFeedHub.sol";
import {IModelRegistry} from "../../src/interfaces/IModelRegistry.sol";
import {FeedSpecs} from "../../src/libraries/FeedSpecs.sol";
import {Visibility} from "../../src/libraries/StatementLayout.sol";
import {FeedVectors} from "../support/FeedVectors.sol";
import {Draft, Feeds} from "../support/Feeds.sol";

/// @notice Configs, and the creation of feeds.
contract FeedCreationTest is Feeds {
    function test_configure_digest_isTheHashOfTheContent() external {
        address[] memory signers = addressesOf(firstKeys(2));
        bytes32 digest = keccak256(abi.encode(keccak256("zkinfer.feed-config.1"), signers, uint8(2)));
        vm.expectEmit(address(hub));
        emit IFeedHub.ConfigSet(digest, signers, 2);
        vm.assertEq(hub.configure(signers, 2), digest);
        (address[] memory found, uint8 threshold) = hub.signersOf(digest);
        vm.assertEq(keccak256(abi.encode(found, threshold)), keccak256(abi.encode(signers, uint8(2))));
        vm.recordLogs();
        vm.assertEq(hub.configure(signers, 2), digest); // again
        vm.assertEq(vm.getRecordedLogs().length, 0);
    }

    function test_configure_mostSigners_areSet() external {
        hub.configure(addressesOf(keysFrom(1, 31)), 31);
        refusesConfig(addressesOf(keysFrom(1, 32)), 31, notAscending());
    }

    function test_configure_noneZeroTwiceOrDescending_areRefused() external {
        refusesConfig(new address[](0), 1, notAscending());
        refusesConfig(new address[](1), 1, notAscending());
        address[] memory signers = addressesOf(firstKeys(2));
        (signers[0], signers[1]) = (signers[1], signers[0]);
        refusesConfig(signers, 1, notAscending());
        signers[0] = signers[1];
        refusesConfig(signers, 1, notAscending());
    }

    function test_configure_impossibleThreshold_isRefused() external {
        address[] memory signers = addressesOf(firstKeys(2));
        refusesConfig(signers, 0, abi.encodeWithSelector(IFeedHub.ImpossibleThreshold.selector, 0, 2));
        refusesConfig(signers, 3, abi.encodeWithSelector(IFeedHub.ImpossibleThreshold.selector, 3, 2));
    }

    function test_create_feed_isWhatItsIdNames() external view {
        Spec memory wanted = spec();
        uint256 hash = uint256(keccak256(abi.encode(wanted)));
        vm.assertEq(feedId, bytes32((uint256(3) << 240) | (hash & ((1 << 240) - 1))));
        vm.assertEq(keccak256(abi.encode(hub.specOf(feedId))), keccak256(abi.encode(wanted)));
        vm.assertEq(hub.configOf(feedId), config);
    }

    function idOf(Spec calldata wanted) external pure returns (bytes32) {
        return FeedSpecs.id(wanted);
    }

    function test_id_vectors_agreeWithPython() external view {
        string memory json = vm.readFile("../tests/vectors/feeds.json");
        for (uint256 i = 0; i < 4; ++i) {
            string memory path = string.concat(".specs[", vm.toString(i), "]");
            vm.assertEq(
                this.idOf(FeedVectors.read(vm, json, path)), vm.parseJsonBytes32(json, string.concat(path, ".feedId"))
            );
        }
    }

    /// @dev On every chain, and every hub.
    function test_create_onAnotherHub_hasTheSameId() external {
        vm.chainId(7);
        FeedHub second = new FeedHub(registry, router);
        second.configure(addressesOf(keys), THRESHOLD);
        vm.prank(OWNER);
        vm.assertEq(second.create(spec(), config), feedId);
    }

    function test_create_byAnybodyElse_isRefused() external {
        vm.expectRevert(abi.encodeWithSelector(IFeedHub.NotFeedOwner.selector, OWNER, MALLORY));
        vm.prank(MALLORY);
        hub.create(spec(), config);
    }

    function test_create_again_isRefused() external {
        refusesSpec(spec(), config, error_(IFeedHub.FeedExists.selector));
    }

    function test_create_unknownConfig_isRefused() external {
        Spec memory wanted = another();
        refusesSpec(wanted, 0, abi.encodeWithSelector(IFeedHub.UnknownConfig.selector, 0));
        bytes32 digest = keccak256("config");
        refusesSpec(wanted, digest, abi.encodeWithSelector(IFeedHub.UnknownConfig.selector, digest));
    }

    function test_create_listingThatIsNotActive_isRefused() external {
        Spec memory wanted = another();
        wanted.listing = keccak256("listing");
        refusesSpec(wanted, config, abi.encodeWithSelector(IModelRegistry.UnknownListing.selector, wanted.listing));
        vm.prank(PUBLISHER);
        registry.deprecate(listing, 0);
        wanted.listing = listing;
        refusesSpec(wanted, config, abi.encodeWithSelector(IFeedHub.ListingNotActive.selector, listing));
    }

    function test_create_privateInputs_areRefused() external {
        Spec memory wanted = another();
        wanted.listing = registerModel(Visibility.Private, 0, 4);
        refusesField(wanted, "listing");
    }

    function test_create_hashedInputs_areAccepted() external {
        Spec memory wanted = another();
        wanted.listing = registerModel(Visibility.Hashed, 2, 2);
        createFeed(wanted, config);
    }

    function test_create_impossibleFields_areRefused() external {
        Spec memory wanted = another();
        wanted.output = 2;
        refusesField(wanted, "output");
        wanted = another();
        wanted.scale = 65;
        refusesField(wanted, "scale");
        wanted = another();
        wanted.decimals = 19;
        refusesField(wanted, "decimals");
        wanted = another();
        wanted.least = wanted.most + 1;
        refusesField(wanted, "least");
        wanted = another();
        wanted.tick = 0;
        refusesField(wanted, "tick");
        wanted = another();
        wanted.heartbeat = wanted.tick - 1;
        refusesField(wanted, "heartbeat");
        wanted = another();
        wanted.maxAge = wanted.tick - 1;
        refusesField(wanted, "maxAge");
        wanted.maxAge = uint32(type(uint32).max - NOW + 1); // no report could say until when it holds
        refusesField(wanted, "maxAge");
        wanted = another();
        wanted.source = address(0x1234); // nothing is there
        refusesField(wanted, "source");
        wanted = another();
        wanted.description = string(new bytes(201));
        refusesField(wanted, "description");
    }

    function test_create_extremeFields_areAccepted() external {
        Spec memory wanted = another();
        (wanted.output, wanted.scale, wanted.decimals) = (1, 64, 18);
        (wanted.least, wanted.most) = (type(int192).min, type(int192).max);
        (wanted.tolerance, wanted.heartbeat) = (type(uint64).max, type(uint32).max);
        wanted.maxAge = uint32(type(uint32).max - NOW);
        wanted.tick = wanted.maxAge;
        wanted.description = string(new bytes(200));
        bytes32 made = createFeed(wanted, config);
        vm.assertEq(keccak256(abi.encode(hub.specOf(made))), keccak256(abi.encode(wanted)));
    }

    function test_choose_byTheOwner_only() external {
        bytes32 other = hub.configure(addressesOf(keys), 5);
        vm.expectRevert(abi.encodeWithSelector(IFeedHub.NotFeedOwner.selector, OWNER, MALLORY));
        vm.prank(MALLORY);
        hub.choose(feedId, other);
        vm.expectEmit(address(hub));
        emit IFeedHub.ConfigChosen(feedId, other);
        vm.prank(OWNER);
        hub.choose(feedId, other);
        vm.assertEq(hub.configOf(feedId), other);
    }

    function test_choose_unknownFeedOrConfig_isRefused() external {
        vm.startPrank(OWNER);
        bytes32 unknown = keccak256("unknown");
        vm.expectRevert(abi.encodeWithSelector(IFeedHub.UnknownFeed.selector, unknown));
        hub.choose(unknown, config);
        vm.expectRevert(abi.encodeWithSelector(IFeedHub.UnknownConfig.selector, unknown));
        hub.choose(feedId, unknown);
        vm.stopPrank();
    }

    function test_signersOf_unknownConfig_isEmpty() external view {
        (address[] memory found, uint8 threshold) = hub.signersOf(feedId);
        vm.assertEq(found.length, 0);
        vm.assertEq(threshold, 0);
    }

    /// @dev The same signers with another threshold are another config.
    function test_verify_configOfTheSameSigners_isRefused() external {
        Draft memory made = attested(NOW, ANSWER);
        made.config = hub.configure(addressesOf(keys), 2);
        refuses(made, abi.encodeWithSelector(IFeedHub.WrongConfig.selector, config, made.config));
    }

    function test_specOf_unknownFeed_isRefused() external {
        vm.expectRevert(abi.encodeWithSelector(IFeedHub.UnknownFeed.selector, config));
        hub.specOf(config);
    }

    function another() private view returns (Spec memory wanted) {
        wanted = spec();
        wanted.description = "another";
    }

    function notAscending() private pure returns (bytes memory) {
        return abi.encodeWithSelector(IFeedHub.SignersNotAscending.selector);
    }

    function refusesConfig(address[] memory signers, uint8 threshold, bytes memory why) private {
        vm.expectRevert(why);
        hub.configure(signers, threshold);
    }

    function refusesField(Spec memory wanted, string memory field) private {
        refusesSpec(wanted, config, abi.encodeWithSelector(IFeedHub.ImpossibleSpec.selector, field));
    }

    function refusesSpec(Spec memory wanted, bytes32 digest, bytes memory why) private {
        vm.expectRevert(why);
        createFeed(wanted, digest);
    }
}
