// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {EzklCall} from "../../src/verifiers/ezkl/EzklCall.sol";
import {IEzklReusableVerifier} from "../../src/verifiers/ezkl/IEzklHalo2Verifier.sol";
import {Test} from "../support/Test.sol";

/// @notice Returns or reverts as configured.
contract StubAnswer {
    bytes private _answer;
    bool private _reverts;

    constructor(bytes memory answer, bool reverts) {
        (_answer, _reverts) = (answer, reverts);
    }

    fallback(bytes calldata) external returns (bytes memory) {
        require(!_reverts, "no");
        return _answer;
    }
}

contract EzklCallTest is Test {
    function reusable(bytes calldata proof, uint256[] memory instances, bytes32[] memory vka)
        external
        pure
        returns (bytes memory data, uint256 next)
    {
        data = EzklCall.reusable(proof, instances, vka);
        next = freeMemory();
    }

    function testFuzz_reusable_agreesWithTheCompiler(
        bytes calldata proof,
        uint256[] calldata instances,
        bytes32[] calldata vka
    ) external view {
        (bytes memory data, uint256 next) = this.reusable(proof, instances, vka);
        vm.assertEq(data, abi.encodeCall(IEzklReusableVerifier.verifyProof, (proof, instances, vka)));
        vm.assertEq(next % 32, 0);
    }

    function test_send_trueAndAWord_succeeds() external {
        (bool success, bytes32 second) = sent(abi.encode(true, bytes32("key")), false);
        vm.assertTrue(success);
        vm.assertEq(second, bytes32("key"));
    }

    function test_send_trueAlone_hasNoSecondWord() external {
        (bool success, bytes32 second) = sent(abi.encode(true), false);
        vm.assertTrue(success);
        vm.assertEq(second, bytes32(0));
    }

    function test_send_anythingElse_fails() external {
        bytes[5] memory answers = [bytes(""), abi.encode(false), abi.encode(2), hex"01", new bytes(31)];
        for (uint256 i = 0; i < 5; ++i) {
            (bool success,) = sent(answers[i], false);
            vm.assertFalse(success, vm.toString(i));
        }
    }

    function test_send_revertWithData_fails() external {
        (bool success,) = sent(abi.encode(true), true);
        vm.assertFalse(success);
    }

    function test_send_noCode_fails() external view {
        (bool success,) = EzklCall.send(ALICE, "");
        vm.assertFalse(success);
    }

    function sent(bytes memory answer, bool reverts) private returns (bool, bytes32) {
        return EzklCall.send(address(new StubAnswer(answer, reverts)), "any");
    }

    function freeMemory() private pure returns (uint256 next) {
        assembly ("memory-safe") {
            next := mload(0x40)
        }
    }
}
