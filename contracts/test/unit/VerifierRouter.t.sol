// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {IVerifierRouter} from "../../src/interfaces/IVerifierRouter.sol";
import {CanonicalCalldata} from "../../src/libraries/CanonicalCalldata.sol";
import {VerifierRouter} from "../../src/verifiers/VerifierRouter.sol";
import {BindingVerifier} from "../support/BindingVerifier.sol";
import {Layout, Visibility} from "../../src/libraries/StatementLayout.sol";
import {Statement} from "../support/BindingVerifier.sol";
import {System} from "../support/System.sol";

contract VerifierRouterTest is System {
    bytes4 private constant SELECTOR = bytes4(keccak256("binding-v1"));

    function test_addVerifier_emits() external {
        VerifierRouter other = new VerifierRouter(ALICE, none());
        vm.expectEmit(address(other));
        emit IVerifierRouter.VerifierAdded(SELECTOR, address(binding));
        vm.prank(ALICE);
        other.addVerifier(SELECTOR, binding);
        vm.assertEq(address(other.verifierOf(SELECTOR)), address(binding));
    }

    function test_addVerifier_byAnotherAccount_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, MALLORY));
        vm.prank(MALLORY);
        router.addVerifier(SELECTOR, binding);
    }

    function test_addVerifier_inUse_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IVerifierRouter.SelectorInUse.selector, SELECTOR));
        vm.prank(TIMELOCK);
        router.addVerifier(SELECTOR, binding);
    }

    function test_addVerifier_afterRemoval_reverts() external {
        vm.startPrank(TIMELOCK);
        router.removeVerifier(SELECTOR);
        vm.expectRevert(abi.encodeWithSelector(IVerifierRouter.SelectorInUse.selector, SELECTOR));
        router.addVerifier(SELECTOR, binding);
    }

    function test_addVerifier_underAnotherSelector_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IVerifierRouter.SelectorMismatch.selector, bytes4("new"), SELECTOR));
        vm.prank(TIMELOCK);
        router.addVerifier(bytes4("new"), binding);
    }

    function test_addVerifier_underZero_reverts() external {
        vm.etch(address(binding), address(new Nameless()).code);
        vm.expectRevert(abi.encodeWithSelector(IVerifierRouter.SelectorUnknown.selector, bytes4(0)));
        vm.prank(TIMELOCK);
        router.addVerifier(0, binding);
    }

    function test_removeVerifier_isForEver() external {
        vm.expectEmit(address(router));
        emit IVerifierRouter.VerifierRemoved(SELECTOR, address(stop));
        vm.prank(TIMELOCK);
        router.removeVerifier(SELECTOR);
        vm.assertFalse(router.isLive(SELECTOR));
        vm.expectRevert(abi.encodeWithSelector(IVerifierRouter.SelectorRemoved.selector, SELECTOR));
        router.verifierOf(SELECTOR);
    }

    function test_removeVerifier_byAnotherAccount_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, MALLORY));
        vm.prank(MALLORY);
        router.removeVerifier(SELECTOR);
    }

    function test_removeVerifier_twice_reverts() external {
        vm.startPrank(TIMELOCK);
        router.removeVerifier(SELECTOR);
        vm.expectRevert(abi.encodeWithSelector(IVerifierRouter.SelectorRemoved.selector, SELECTOR));
        router.removeVerifier(SELECTOR);
    }

    function test_removeVerifier_unknown_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IVerifierRouter.SelectorUnknown.selector, bytes4("new")));
        vm.prank(TIMELOCK);
        router.removeVerifier("new");
    }

    function test_verify_goodProof_passes() external view {
        Statement memory said = statementFor(requestOf(0));
        address key = registry.programOf(listing).key;
        router.verify(SELECTOR, keyDigest, key, form(), said.context, said.inputs, said.outputs, prove(said));
    }

    function test_verify_badProof_reverts() external {
        Statement memory said = statementFor(requestOf(0));
        address key = registry.programOf(listing).key;
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        router.verify(SELECTOR, keyDigest, key, form(), said.context, said.inputs, said.outputs, "");
    }

    function test_verify_unknownSelector_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IVerifierRouter.SelectorUnknown.selector, bytes4("new")));
        router.verify("new", keyDigest, ALICE, form(), 0, "", new int256[](0), "");
    }

    function test_verify_removed_reverts() external {
        vm.prank(TIMELOCK);
        router.removeVerifier(SELECTOR);
        vm.expectRevert(abi.encodeWithSelector(IVerifierRouter.SelectorRemoved.selector, SELECTOR));
        router.verify(SELECTOR, keyDigest, ALICE, form(), 0, "", new int256[](0), "");
    }

    function form() private pure returns (Layout memory) {
        return layoutOf(Visibility.Public, 2, 2);
    }

    function test_verify_shiftedProof_reverts() external view {
        Statement memory said = statementFor(requestOf(0));
        address key = registry.programOf(listing).key;
        bytes memory call_ = abi.encodeCall(
            IVerifierRouter.verify,
            (SELECTOR, keyDigest, key, form(), said.context, said.inputs, said.outputs, prove(said))
        );
        (bool success, bytes memory why) = address(router).staticcall(shifted(call_, 10, 32));
        vm.assertFalse(success);
        vm.assertEq(bytes32(why), bytes32(CanonicalCalldata.NonCanonicalCalldata.selector));
    }

    function test_renounceOwnership_byTheOwner_reverts() external {
        vm.expectRevert(VerifierRouter.RenouncingRefused.selector);
        vm.prank(TIMELOCK);
        router.renounceOwnership();
        vm.assertEq(router.owner(), TIMELOCK);
    }

    function test_isLive_unknown_isFalse() external view {
        vm.assertFalse(router.isLive("new"));
    }

    function test_isLive_stopped_isFalse() external {
        vm.assertTrue(router.isLive(SELECTOR));
        vm.prank(GUARDIAN);
        stop.stop();
        vm.assertFalse(router.isLive(SELECTOR));
    }

    function test_supportsInterface_ownAndERC165_only() external view {
        vm.assertTrue(router.supportsInterface(type(IERC165).interfaceId));
        vm.assertTrue(router.supportsInterface(type(IVerifierRouter).interfaceId));
        vm.assertFalse(router.supportsInterface(0xffffffff));
    }

    function test_constructor_sameSelectorTwice_reverts() external {
        IInferenceVerifier[] memory twice = new IInferenceVerifier[](2);
        (twice[0], twice[1]) = (binding, stop);
        vm.expectRevert(abi.encodeWithSelector(IVerifierRouter.SelectorInUse.selector, SELECTOR));
        new VerifierRouter(TIMELOCK, twice);
    }

    function test_timelock_addVerifier_waitsForTheDelay() external {
        address[] memory one = new address[](1);
        one[0] = ALICE;
        TimelockController timelock = new TimelockController(2 days, one, one, address(0));
        VerifierRouter slow = new VerifierRouter(address(timelock), none());
        bytes memory add = abi.encodeCall(VerifierRouter.addVerifier, (SELECTOR, binding));
        vm.startPrank(ALICE);
        timelock.schedule(address(slow), 0, add, 0, 0, 2 days);
        bytes32 id = timelock.hashOperation(address(slow), 0, add, 0, 0);
        vm.warp(block.timestamp + 2 days - 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                TimelockController.TimelockUnexpectedOperationState.selector,
                id,
                bytes32(1 << uint8(TimelockController.OperationState.Ready))
            )
        );
        timelock.execute(address(slow), 0, add, 0, 0);
        vm.warp(block.timestamp + 1);
        timelock.execute(address(slow), 0, add, 0, 0);
        vm.assertEq(address(slow.verifierOf(SELECTOR)), address(binding));
    }

    function none() private pure returns (IInferenceVerifier[] memory) {
        return new IInferenceVerifier[](0);
    }
}

/// @notice A verifier that names no proving system.
contract Nameless {
    function selector() external pure returns (bytes4) {
        return 0;
    }
}
