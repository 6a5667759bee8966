// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {CanonicalCalldata} from "../../src/libraries/CanonicalCalldata.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {Layout, Visibility} from "../../src/libraries/StatementLayout.sol";
import {TrustedSetups} from "../../src/libraries/TrustedSetups.sol";
import {EmergencyStop} from "../../src/verifiers/EmergencyStop.sol";
import {BindingVerifier, Statement} from "../support/BindingVerifier.sol";
import {Test} from "../support/Test.sol";

contract EmergencyStopTest is Test {
    BindingVerifier private inner;
    EmergencyStop private stop;
    address private canary;
    bytes32 private digest;
    Layout private form;
    Statement private said;

    function setUp() external {
        inner = new BindingVerifier();
        bytes32[] memory key = new bytes32[](2);
        (key[0], key[1]) = (bytes32(uint256(2)), TrustedSetups.HERMEZ);
        canary = CodeStore.write(key);
        digest = CodeStore.digest(key);
        inner.setCanary(canary);
        stop = new EmergencyStop(inner, ALICE);
        form = Layout(Visibility.Public, 1, 1, 1);
        answer(3, 3);
    }

    function test_verify_beforeStop_passesThrough() external view {
        stop.verify(digest, canary, form, 0, said.inputs, said.outputs, proof());
        vm.assertTrue(stop.live());
    }

    function test_verify_badProofBeforeStop_reverts() external {
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        stop.verify(digest, canary, form, 0, said.inputs, said.outputs, "");
    }

    function test_selector_isTheVerifiers() external view {
        vm.assertEq(bytes32(stop.selector()), bytes32(inner.selector()));
    }

    function test_inspect_isTheVerifiers() external view {
        vm.assertEq(stop.inspect(canary, form).digest, digest);
    }

    function test_stop_byGuardian_stopsForEver() external {
        vm.expectEmit(address(stop));
        emit EmergencyStop.VerifierStopped(ALICE, false);
        vm.prank(ALICE);
        stop.stop();
        refusesEverything();
    }

    function test_stop_byAnotherAccount_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, MALLORY));
        vm.prank(MALLORY);
        stop.stop();
    }

    function test_stop_twice_reverts() external {
        vm.startPrank(ALICE);
        stop.stop();
        vm.expectRevert(EmergencyStop.Stopped.selector);
        stop.stop();
    }

    function test_stopByProof_ofAFalseStatement_stopsForEver() external {
        inner.breakIt();
        answer(3, 4);
        vm.expectEmit(address(stop));
        emit EmergencyStop.VerifierStopped(MALLORY, true);
        vm.prank(MALLORY);
        stop.stopByProof(0, said.inputs, said.outputs, "anything");
        refusesEverything();
    }

    function test_stopByProof_twice_reverts() external {
        inner.breakIt();
        answer(3, 4);
        stop.stopByProof(0, said.inputs, said.outputs, "");
        vm.expectRevert(EmergencyStop.Stopped.selector);
        stop.stopByProof(0, said.inputs, said.outputs, "");
    }

    function test_stopByProof_rejectedByASoundVerifier_reverts() external {
        answer(3, 4);
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        stop.stopByProof(0, said.inputs, said.outputs, "");
    }

    function testFuzz_stopByProof_ofATrueStatement_reverts(uint8 x) external {
        answer(x, int256(uint256(x)));
        bytes memory good = proof();
        vm.expectRevert(EmergencyStop.NotImpossible.selector);
        stop.stopByProof(0, said.inputs, said.outputs, good);
    }

    function test_stopByProof_notOfTheCanary_reverts() external {
        inner.breakIt();
        said.outputs.push(1);
        vm.expectRevert(EmergencyStop.NotImpossible.selector);
        stop.stopByProof(0, said.inputs, said.outputs, "");
    }

    function test_stopByProof_withoutCanary_reverts() external {
        EmergencyStop bare = new EmergencyStop(new BindingVerifier(), ALICE);
        answer(3, 4);
        vm.expectRevert(EmergencyStop.NoCanary.selector);
        bare.stopByProof(0, said.inputs, said.outputs, "");
    }

    function test_canary_isTheVerifiers() external view {
        vm.assertEq(stop.canary().key, canary);
        vm.assertEq(stop.canary().keyDigest, digest);
        vm.assertTrue(stop.isImpossible(hex"03", new int256[](1)));
        vm.assertFalse(stop.isImpossible(hex"00", new int256[](1)));
    }

    function test_renounceOwnership_byTheGuardian_reverts() external {
        vm.expectRevert(EmergencyStop.RenouncingRefused.selector);
        vm.prank(ALICE);
        stop.renounceOwnership();
        vm.assertEq(stop.owner(), ALICE);
    }

    function test_guardian_changesInTwoSteps() external {
        vm.prank(ALICE);
        stop.transferOwnership(BOB);
        vm.assertEq(stop.owner(), ALICE);
        vm.prank(BOB);
        stop.acceptOwnership();
        vm.assertEq(stop.owner(), BOB);
    }

    function test_verify_shiftedProof_reverts() external view {
        bytes memory call_ =
            abi.encodeCall(IInferenceVerifier.verify, (digest, canary, form, 0, said.inputs, said.outputs, proof()));
        (bool success, bytes memory answer_) = address(stop).staticcall(shifted(call_, 9, 32));
        vm.assertFalse(success);
        vm.assertEq(bytes32(answer_), bytes32(CanonicalCalldata.NonCanonicalCalldata.selector));
    }

    function test_stopByProof_shiftedProof_reverts() external {
        inner.breakIt();
        answer(3, 4);
        bytes memory call_ = abi.encodeCall(EmergencyStop.stopByProof, (0, said.inputs, said.outputs, proof()));
        (bool success, bytes memory answer_) = address(stop).call(shifted(call_, 3, 32));
        vm.assertFalse(success);
        vm.assertEq(bytes32(answer_), bytes32(CanonicalCalldata.NonCanonicalCalldata.selector));
    }

    function answer(uint8 x, int256 y) private {
        (said.inputs, said.outputs) = (abi.encodePacked(x), new int256[](1));
        said.outputs[0] = y;
    }

    function proof() private view returns (bytes memory) {
        return abi.encode(inner.proofOf(digest, said));
    }

    function refusesEverything() private {
        vm.assertTrue(stop.stopped());
        vm.assertFalse(stop.live());
        bytes memory good = proof();
        vm.expectRevert(EmergencyStop.Stopped.selector);
        stop.verify(digest, canary, form, 0, said.inputs, said.outputs, good);
        vm.expectRevert(EmergencyStop.Stopped.selector);
        stop.prepare(canary);
    }
}
