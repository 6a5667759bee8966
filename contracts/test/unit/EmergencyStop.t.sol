// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {Canonical} from "../../src/libraries/Canonical.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {PublicValues} from "../../src/libraries/PublicValues.sol";
import {Setups} from "../../src/libraries/Setups.sol";
import {EmergencyStop} from "../../src/verifiers/EmergencyStop.sol";
import {BindingVerifier} from "../support/BindingVerifier.sol";
import {Test} from "../support/Test.sol";

contract EmergencyStopTest is Test {
    BindingVerifier private inner;
    EmergencyStop private stop;
    address private canary;
    bytes32 private digest;
    uint256[] private values;

    function setUp() external {
        inner = new BindingVerifier();
        bytes32[] memory key = new bytes32[](2);
        (key[0], key[1]) = (bytes32(uint256(7)), Setups.HERMEZ);
        canary = CodeStore.write(key);
        digest = CodeStore.digest(key);
        stop = new EmergencyStop(inner, ALICE, canary, digest);
        values = new uint256[](7);
    }

    function test_verify_beforeStop_passesThrough() external view {
        stop.verify(digest, canary, proof(), values);
        vm.assertTrue(stop.live());
    }

    function test_verify_badProofBeforeStop_reverts() external {
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        stop.verify(digest, canary, "", values);
    }

    function test_selector_isTheVerifiers() external view {
        vm.assertEq(bytes32(stop.selector()), bytes32(inner.selector()));
    }

    function test_inspect_isTheVerifiers() external view {
        vm.assertEq(stop.inspect(canary).digest, digest);
    }

    function test_stop_byGuardian_stopsForEver() external {
        vm.expectEmit(address(stop));
        emit EmergencyStop.VerifierStopped(ALICE, false);
        vm.prank(ALICE);
        stop.stop();
        refusesEverything();
    }

    function test_stop_byAnybodyElse_reverts() external {
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

    function test_stopByProof_ofTheImpossible_stopsForEver() external {
        inner.breakIt();
        answer(3, 4);
        vm.expectEmit(address(stop));
        emit EmergencyStop.VerifierStopped(MALLORY, true);
        vm.prank(MALLORY);
        stop.stopByProof("anything", values);
        refusesEverything();
    }

    function test_stopByProof_ofNegativeKept_stops() external {
        inner.breakIt();
        answer(-3, -3);
        stop.stopByProof("", values);
        vm.assertTrue(stop.stopped());
    }

    function test_stopByProof_twice_reverts() external {
        inner.breakIt();
        answer(3, 4);
        stop.stopByProof("", values);
        vm.expectRevert(EmergencyStop.Stopped.selector);
        stop.stopByProof("", values);
    }

    function test_stopByProof_ofTheImpossibleToASoundVerifier_reverts() external {
        answer(3, 4);
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        stop.stopByProof("", values);
    }

    function testFuzz_stopByProof_ofTheTruth_reverts(int120 x) external {
        answer(x, x > 0 ? x : int256(0));
        bytes memory good = proof();
        vm.expectRevert(EmergencyStop.NotImpossible.selector);
        stop.stopByProof(good, values);
    }

    function test_stopByProof_ofAnotherCount_reverts() external {
        inner.breakIt();
        values.push(1);
        vm.expectRevert(EmergencyStop.NotImpossible.selector);
        stop.stopByProof("", values);
    }

    function test_stopByProof_ofNoInteger_reverts() external {
        inner.breakIt();
        values[5] = PublicValues.MODULUS / 2;
        vm.expectRevert(abi.encodeWithSelector(PublicValues.NotAnInteger.selector, values[5]));
        stop.stopByProof("", values);
    }

    function test_stopByProof_withoutCanary_reverts() external {
        EmergencyStop bare = new EmergencyStop(inner, ALICE, address(0), 0);
        answer(3, 4);
        vm.expectRevert(EmergencyStop.NoCanary.selector);
        bare.stopByProof("", values);
    }

    function test_constructor_otherDigest_reverts() external {
        vm.expectRevert(EmergencyStop.NotACanary.selector);
        new EmergencyStop(inner, ALICE, canary, 0);
    }

    function test_constructor_otherCount_reverts() external {
        bytes32[] memory key = new bytes32[](2);
        key[0] = bytes32(uint256(8));
        address pointer = CodeStore.write(key);
        vm.expectRevert(EmergencyStop.NotACanary.selector);
        new EmergencyStop(inner, ALICE, pointer, CodeStore.digest(key));
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
        bytes memory call_ = abi.encodeCall(IInferenceVerifier.verify, (digest, canary, proof(), values));
        (bool success, bytes memory answer_) = address(stop).staticcall(shifted(call_, 2, 32));
        vm.assertFalse(success);
        vm.assertEq(bytes32(answer_), bytes32(Canonical.NonCanonicalCalldata.selector));
    }

    function test_stopByProof_shiftedProof_reverts() external {
        inner.breakIt();
        answer(3, 4);
        bytes memory call_ = abi.encodeCall(EmergencyStop.stopByProof, (proof(), values));
        (bool success, bytes memory answer_) = address(stop).call(shifted(call_, 0, 32));
        vm.assertFalse(success);
        vm.assertEq(bytes32(answer_), bytes32(Canonical.NonCanonicalCalldata.selector));
    }

    function answer(int256 x, int256 y) private {
        values[5] = PublicValues.encode(x);
        values[6] = PublicValues.encode(y);
    }

    function proof() private view returns (bytes memory) {
        return abi.encode(inner.proofOf(digest, values));
    }

    function refusesEverything() private {
        vm.assertTrue(stop.stopped());
        vm.assertFalse(stop.live());
        bytes memory good = proof();
        vm.expectRevert(EmergencyStop.Stopped.selector);
        stop.verify(digest, canary, good, values);
        vm.expectRevert(EmergencyStop.Stopped.selector);
        stop.prepare(canary);
    }
}
