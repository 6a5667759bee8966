// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {KeyFacts} from "../../src/interfaces/IInferenceVerifier.sol";
import {IModelRegistry, Model, Program, Registration, Status} from "../../src/interfaces/IModelRegistry.sol";
import {IVerifierRouter} from "../../src/interfaces/IVerifierRouter.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {TrustedSetups} from "../../src/libraries/TrustedSetups.sol";
import {Layout, StatementLayout, Visibility} from "../../src/libraries/StatementLayout.sol";
import {EmergencyStop} from "../../src/verifiers/EmergencyStop.sol";
import {BindingVerifier} from "../support/BindingVerifier.sol";
import {System} from "../support/System.sol";

contract ModelRegistryTest is System {
    function test_register_storesEverything() external view {
        Model memory model = registry.modelOf(listing);
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        vm.assertEq(model.modelId, keccak256(abi.encode(wanted.onnxDigest, keyDigest)));
        vm.assertEq(model.onnxDigest, wanted.onnxDigest);
        vm.assertEq(model.keyDigest, CodeStore.digest(bindingKey(COUNT, TrustedSetups.HERMEZ)));
        vm.assertEq(abi.encode(CodeStore.read(model.key)), abi.encode(bindingKey(COUNT, TrustedSetups.HERMEZ)));
        vm.assertEq(model.setup, TrustedSetups.HERMEZ);
        vm.assertEq(bytes32(model.selector), bytes32(wanted.selector));
        vm.assertEq(abi.encode(model.statementLayout), abi.encode(wanted.statementLayout));
        vm.assertEq(uint256(model.status), uint256(Status.Active));
        vm.assertEq(model.publisher, PUBLISHER);
        vm.assertEq(model.owner, PUBLISHER);
        vm.assertEq(model.pendingOwner, address(0));
        vm.assertEq(model.fee, OWNER_FEE);
        vm.assertEq(model.uri, wanted.uri);
        vm.assertEq(registry.listingOf(model.modelId, PUBLISHER, wanted.selector, wanted.statementLayout), listing);
        vm.assertEq(registry.ownerOf(listing), PUBLISHER);
    }

    function test_register_emitsEverything() external {
        Registration memory wanted = registration(Visibility.Private, 0, 2);
        bytes32[] memory key = bindingKey(2, TrustedSetups.PERPETUAL_POWERS_OF_TAU);
        bytes32 digest = CodeStore.digest(key);
        bytes32 modelId = keccak256(abi.encode(wanted.onnxDigest, digest));
        bytes32 hash = keccak256(
            abi.encodePacked(bytes1(0xff), address(registry), bytes32(0), keccak256(CodeStore.initCode(key)))
        );
        vm.expectEmit(address(registry));
        emit IModelRegistry.ModelRegistered(
            registry.listingOf(modelId, ALICE, wanted.selector, wanted.statementLayout),
            modelId,
            ALICE,
            digest,
            address(uint160(uint256(hash))),
            TrustedSetups.PERPETUAL_POWERS_OF_TAU,
            wanted
        );
        vm.prank(ALICE);
        registry.register(wanted, key);
    }

    function test_register_twiceByOnePublisher_reverts() external {
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.AlreadyRegistered.selector, listing));
        vm.prank(PUBLISHER);
        registry.register(wanted, bindingKey(COUNT, TrustedSetups.HERMEZ));
    }

    /// @dev Copying a registration from a pending transaction creates another listing, and takes none.
    function test_register_copiedByAnother_changesNothingForThePublisher() external {
        Registration memory wanted = registration(Visibility.Public, 3, 1);
        vm.prank(MALLORY);
        bytes32 copied = registry.register(wanted, bindingKey(COUNT, TrustedSetups.HERMEZ));
        vm.assertTrue(copied != listing);
        vm.assertEq(registry.programOf(listing).statementLayout.inputs, 2);
        vm.assertEq(registry.programOf(copied).key, registry.programOf(listing).key);
        vm.assertEq(registry.ownerOf(listing), PUBLISHER);
    }

    /// @dev A stopped verifier ends a listing, not the model: its publisher lists it again under the sound one.
    function test_register_again_underTheNextSelector_isANewListing() external {
        vm.prank(GUARDIAN);
        stop.stop();
        bytes32 next = registerUnder(routeNext());
        vm.assertTrue(next != listing);
        vm.assertEq(registry.modelOf(next).modelId, registry.modelOf(listing).modelId);
        vm.prank(PUBLISHER);
        registry.deprecate(listing, next);
        vm.assertEq(uint256(registry.statusOf(next)), uint256(Status.Active));
    }

    function test_register_again_afterTheSelectorWasRemoved_isANewListing() external {
        bytes4 removed = binding.selector();
        vm.prank(TIMELOCK);
        router.removeVerifier(removed);
        vm.assertTrue(registerUnder(routeNext()) != listing);
    }

    /// @dev A publisher corrects a wrong layout by listing the same key again.
    function test_register_again_inAnotherLayout_isANewListing() external {
        bytes32 next = registerModel(Visibility.Public, 3, 1);
        vm.assertTrue(next != listing);
        vm.assertEq(registry.programOf(next).keyDigest, keyDigest);
        vm.assertEq(registry.programOf(next).statementLayout.inputs, 3);
        vm.assertEq(registry.programOf(listing).statementLayout.inputs, 2);
    }

    function test_register_again_withOtherFeeAndUri_reverts() external {
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        (wanted.fee, wanted.uri) = (0, "ipfs://other");
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.AlreadyRegistered.selector, listing));
        vm.prank(PUBLISHER);
        registry.register(wanted, bindingKey(COUNT, TrustedSetups.HERMEZ));
    }

    function test_register_again_onceRevoked_reverts() external {
        vm.prank(PUBLISHER);
        registry.revoke(listing);
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.AlreadyRegistered.selector, listing));
        vm.prank(PUBLISHER);
        registry.register(wanted, bindingKey(COUNT, TrustedSetups.HERMEZ));
    }

    function testFuzz_listingOf_dependsOnEveryArgument(bytes32 modelId, address publisher, bytes4 selector)
        external
        view
    {
        Layout memory wanted = Layout(Visibility.Public, 1, 2, 3);
        bytes32 one = registry.listingOf(modelId, publisher, selector, wanted);
        vm.assertTrue(one != registry.listingOf(~modelId, publisher, selector, wanted));
        vm.assertTrue(one != registry.listingOf(modelId, address(~uint160(publisher)), selector, wanted));
        vm.assertTrue(one != registry.listingOf(modelId, publisher, ~selector, wanted));
        Layout[4] memory others = [
            Layout(Visibility.Hashed, 1, 2, 3),
            Layout(Visibility.Public, 2, 2, 3),
            Layout(Visibility.Public, 1, 3, 3),
            Layout(Visibility.Public, 1, 2, 2)
        ];
        for (uint256 i = 0; i < 4; ++i) {
            vm.assertTrue(one != registry.listingOf(modelId, publisher, selector, others[i]));
        }
    }

    function test_register_layoutOfAnotherKey_reverts() external {
        Registration memory wanted = registration(Visibility.Public, 2, 3);
        vm.expectRevert(IModelRegistry.LayoutDoesNotFit.selector);
        registry.register(wanted, bindingKey(COUNT, TrustedSetups.HERMEZ));
    }

    function test_register_impossibleLayout_reverts() external {
        Registration memory wanted = registration(Visibility.Public, 2, 0);
        vm.expectRevert(StatementLayout.ImpossibleLayout.selector);
        registry.register(wanted, bindingKey(COUNT, TrustedSetups.HERMEZ));
    }

    function test_register_everyWidth_isKept() external {
        uint8[4] memory widths = [1, 2, 4, 8];
        for (uint256 i = 0; i < 4; ++i) {
            Registration memory wanted = registration(Visibility.Public, 2, 2);
            wanted.statementLayout.inputWidth = widths[i];
            bytes32 made = registry.register(wanted, bindingKey(COUNT, TrustedSetups.HERMEZ));
            vm.assertEq(abi.encode(registry.programOf(made).statementLayout), abi.encode(wanted.statementLayout));
        }
    }

    function test_register_insecureDev_reverts() external {
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        vm.expectRevert(IModelRegistry.InsecureSetup.selector);
        registry.register(wanted, bindingKey(COUNT, TrustedSetups.INSECURE_DEV));
    }

    function test_register_insecureDevInATestDeployment_passes() external {
        ModelRegistry testRegistry = new ModelRegistry(router, true);
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        bytes32 made = testRegistry.register(wanted, bindingKey(COUNT, TrustedSetups.INSECURE_DEV));
        vm.assertEq(testRegistry.modelOf(made).setup, TrustedSetups.INSECURE_DEV);
    }

    function testFuzz_register_unknownSetup_reverts(bytes32 setup) external {
        vm.assume(
            setup != TrustedSetups.HERMEZ && setup != TrustedSetups.PERPETUAL_POWERS_OF_TAU
                && setup != TrustedSetups.INSECURE_DEV
        );
        ModelRegistry testRegistry = new ModelRegistry(router, true);
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UntrustedSetup.selector, setup));
        testRegistry.register(wanted, bindingKey(COUNT, setup));
    }

    function test_register_unknownSelector_reverts() external {
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        wanted.selector = "new";
        vm.expectRevert(abi.encodeWithSelector(IVerifierRouter.SelectorUnknown.selector, bytes4("new")));
        registry.register(wanted, bindingKey(COUNT, TrustedSetups.HERMEZ));
    }

    function test_register_withAStoppedVerifier_reverts() external {
        vm.prank(GUARDIAN);
        stop.stop();
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        vm.expectRevert(EmergencyStop.Stopped.selector);
        registry.register(wanted, bindingKey(COUNT, TrustedSetups.HERMEZ));
    }

    function test_register_emptyKey_reverts() external {
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        vm.expectRevert(abi.encodeWithSelector(CodeStore.SizeOutOfRange.selector, 0));
        registry.register(wanted, new bytes32[](0));
    }

    function test_register_verifierWithAnotherKeyDigest_reverts() external {
        bytes32[] memory key = bindingKey(COUNT, TrustedSetups.HERMEZ);
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        vm.etch(address(binding), address(new OtherDigest()).code);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.KeyDigestMismatch.selector, keyDigest, bytes32("other")));
        registry.register(wanted, key);
    }

    function test_statusOf_unknownListing_isUnknown() external view {
        vm.assertEq(uint256(registry.statusOf(listing)), uint256(Status.Active));
        vm.assertEq(uint256(registry.statusOf("none")), uint256(Status.Unknown));
    }

    function test_deprecate_thenRevoke_isOneWay() external {
        vm.startPrank(PUBLISHER);
        vm.expectEmit(address(registry));
        emit IModelRegistry.StatusChanged(listing, Status.Deprecated, 0);
        registry.deprecate(listing, 0);
        vm.expectRevert(
            abi.encodeWithSelector(IModelRegistry.StatusNeverReturns.selector, Status.Deprecated, Status.Deprecated)
        );
        registry.deprecate(listing, 0);
        vm.expectEmit(address(registry));
        emit IModelRegistry.StatusChanged(listing, Status.Revoked, 0);
        registry.revoke(listing);
        vm.expectRevert(
            abi.encodeWithSelector(IModelRegistry.StatusNeverReturns.selector, Status.Revoked, Status.Deprecated)
        );
        registry.deprecate(listing, 0);
    }

    function test_deprecate_withSuccessor_namesIt() external {
        bytes32 next = registerModel(Visibility.Public, 3, 2);
        vm.expectEmit(address(registry));
        emit IModelRegistry.StatusChanged(listing, Status.Deprecated, next);
        vm.prank(PUBLISHER);
        registry.deprecate(listing, next);
    }

    function test_deprecate_withUnknownSuccessor_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.UnknownListing.selector, bytes32("none")));
        vm.prank(PUBLISHER);
        registry.deprecate(listing, "none");
    }

    function test_changes_byAnotherAccount_revert() external {
        bytes memory expected = abi.encodeWithSelector(IModelRegistry.NotOwner.selector, listing, MALLORY);
        vm.startPrank(MALLORY);
        vm.expectRevert(expected);
        registry.deprecate(listing, 0);
        vm.expectRevert(expected);
        registry.revoke(listing);
        vm.expectRevert(expected);
        registry.setFee(listing, 0);
        vm.expectRevert(expected);
        registry.setUri(listing, "");
        vm.expectRevert(expected);
        registry.offerOwnership(listing, MALLORY);
    }

    function test_setFee_changesAndEmits() external {
        vm.expectEmit(address(registry));
        emit IModelRegistry.FeeChanged(listing, 99);
        vm.prank(PUBLISHER);
        registry.setFee(listing, 99);
        vm.assertEq(registry.programOf(listing).fee, 99);
    }

    function test_setUri_changesAndEmits() external {
        vm.expectEmit(address(registry));
        emit IModelRegistry.UriChanged(listing, "ipfs://more");
        vm.prank(PUBLISHER);
        registry.setUri(listing, "ipfs://more");
        vm.assertEq(registry.modelOf(listing).uri, "ipfs://more");
    }

    function test_changes_keepTheModelsIdentity() external {
        Program memory before_ = registry.programOf(listing);
        vm.startPrank(PUBLISHER);
        registry.setFee(listing, 99);
        registry.setUri(listing, "");
        registry.deprecate(listing, 0);
        Program memory after_ = registry.programOf(listing);
        vm.assertEq(after_.keyDigest, before_.keyDigest);
        vm.assertEq(after_.key, before_.key);
        vm.assertEq(abi.encode(after_.statementLayout), abi.encode(before_.statementLayout));
        vm.assertEq(bytes32(after_.selector), bytes32(before_.selector));
    }

    function test_ownership_changesInTwoSteps() external {
        vm.expectEmit(address(registry));
        emit IModelRegistry.OwnershipOffered(listing, PUBLISHER, BOB);
        vm.prank(PUBLISHER);
        registry.offerOwnership(listing, BOB);
        vm.assertEq(registry.ownerOf(listing), PUBLISHER);
        vm.expectEmit(address(registry));
        emit IModelRegistry.OwnershipTransferred(listing, PUBLISHER, BOB);
        vm.prank(BOB);
        registry.acceptOwnership(listing);
        vm.assertEq(registry.ownerOf(listing), BOB);
        vm.assertEq(registry.modelOf(listing).publisher, PUBLISHER);
    }

    function test_acceptOwnership_notOffered_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotPendingOwner.selector, listing, MALLORY));
        vm.prank(MALLORY);
        registry.acceptOwnership(listing);
    }

    function test_acceptOwnership_offerWithdrawn_reverts() external {
        vm.startPrank(PUBLISHER);
        registry.offerOwnership(listing, BOB);
        registry.offerOwnership(listing, address(0));
        vm.stopPrank();
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotPendingOwner.selector, listing, BOB));
        vm.prank(BOB);
        registry.acceptOwnership(listing);
    }

    function testFuzz_views_unknownListing_revert(bytes32 unknown) external {
        vm.assume(unknown != listing);
        bytes memory expected = abi.encodeWithSelector(IModelRegistry.UnknownListing.selector, unknown);
        vm.expectRevert(expected);
        registry.modelOf(unknown);
        vm.expectRevert(expected);
        registry.programOf(unknown);
        vm.expectRevert(expected);
        registry.ownerOf(unknown);
        vm.expectRevert(expected);
        registry.acceptOwnership(unknown);
        vm.expectRevert(expected);
        registry.revoke(unknown);
    }

    function routeNext() private returns (bytes4 selector) {
        NextVerifier next = new NextVerifier();
        selector = next.selector();
        vm.prank(TIMELOCK);
        router.addVerifier(selector, next);
    }

    function registerUnder(bytes4 selector) private returns (bytes32) {
        Registration memory wanted = registration(Visibility.Public, 2, 2);
        wanted.selector = selector;
        vm.prank(PUBLISHER);
        return registry.register(wanted, bindingKey(COUNT, TrustedSetups.HERMEZ));
    }

    function test_supportsInterface_ownAndERC165_only() external view {
        vm.assertTrue(registry.supportsInterface(type(IERC165).interfaceId));
        vm.assertTrue(registry.supportsInterface(type(IModelRegistry).interfaceId));
        vm.assertFalse(registry.supportsInterface(0xffffffff));
    }
}

/// @notice The next version of the same proving system.
contract NextVerifier is BindingVerifier {
    function selector() external pure override returns (bytes4) {
        return bytes4(keccak256("binding-v2"));
    }
}

/// @notice Returns a digest that is not the key's hash.
contract OtherDigest {
    function prepare(address) external {}

    function inspect(address, Layout calldata) external pure returns (KeyFacts memory facts) {
        facts.digest = "other";
    }
}
