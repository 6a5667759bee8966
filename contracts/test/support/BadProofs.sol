// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {Canonical} from "../../src/libraries/Canonical.sol";
import {PublicValues} from "../../src/libraries/PublicValues.sol";
import {RealProofs} from "./RealProofs.sol";

/// @notice Everything that a verifier of real proofs must refuse, whichever it is.
abstract contract BadProofs is RealProofs {
    uint256 private constant Q = 0x30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47;

    function verifier() internal view virtual returns (IInferenceVerifier);

    function generated() internal view virtual returns (address);

    /// @dev The generated verifier's own call, and how many dynamic arguments it has.
    function generatedCall() internal view virtual returns (bytes memory);

    function test_verify_honestProof_isAccepted() external view {
        verifier().verify(keyDigest, key, proof, instances);
    }

    function test_verify_everyWordOfTheProofWithABitFlipped_isRefused() external {
        for (uint256 i = 0; i < proof.length / 32; ++i) {
            bytes memory bad = copyOf(proof);
            writeWord(bad, i, readWord(bad, i) ^ (1 << (i * 37 % 250)));
            refuses(bad, instances);
        }
    }

    function test_verify_everyWordOfTheProofZeroed_isRefused() external {
        for (uint256 i = 0; i < proof.length / 32; ++i) {
            bytes memory bad = copyOf(proof);
            if (readWord(bad, i) == 0) continue; // an evaluation that is zero
            writeWord(bad, i, 0);
            refuses(bad, instances);
        }
    }

    /// @dev The second form of every coordinate, and of every evaluation: a verifier must not reduce.
    function test_verify_everyWordOfTheProofPlusAModulus_isRefused() external {
        for (uint256 i = 0; i < proof.length / 32; ++i) {
            bytes memory bad = copyOf(proof);
            uint256 word = readWord(bad, i);
            writeWord(bad, i, word + PublicValues.MODULUS);
            refuses(bad, instances);
            writeWord(bad, i, word + Q);
            refuses(bad, instances);
        }
    }

    function test_verify_everyPointAtInfinity_isRefused() external {
        for (uint256 i = 0; i + 1 < proof.length / 32; i += 2) {
            bytes memory bad = copyOf(proof);
            writeWord(bad, i, 0);
            writeWord(bad, i + 1, 0);
            refuses(bad, instances);
        }
    }

    function test_verify_everyInstanceChanged_isRefused() external {
        for (uint256 i = 0; i < instances.length; ++i) {
            uint256[] memory bad = copyOf(instances);
            bad[i] = addmod(bad[i], 1, PublicValues.MODULUS);
            refuses(proof, bad);
        }
    }

    function test_verify_everyInstancePlusTheModulus_isRefused() external {
        for (uint256 i = 0; i < instances.length; ++i) {
            uint256[] memory bad = copyOf(instances);
            bad[i] += PublicValues.MODULUS;
            refuses(proof, bad);
        }
    }

    function test_verify_twoInstancesSwapped_isRefused() external {
        uint256[] memory bad = copyOf(instances);
        (bad[0], bad[1]) = (bad[1], bad[0]);
        refuses(proof, bad);
    }

    function test_verify_missingInstance_isRefused() external {
        refuses(proof, slice(instances, 0, instances.length - 1));
    }

    function test_verify_extraInstance_isRefused() external {
        uint256[] memory bad = new uint256[](instances.length + 1);
        for (uint256 i = 0; i < instances.length; ++i) {
            bad[i] = instances[i];
        }
        refuses(proof, bad);
    }

    function test_verify_noInstances_isRefused() external {
        refuses(proof, new uint256[](0));
    }

    function test_verify_instancesOfAnotherProof_isRefused() external {
        (, uint256[] memory others) = proofAt(".batch[1]");
        refuses(proof, others);
    }

    function test_verify_truncatedProof_isRefused() external {
        bytes memory bad = copyOf(proof);
        for (uint256 cut = 1; cut <= 64; cut += 21) {
            assembly ("memory-safe") {
                mstore(bad, sub(mload(bad), 21))
            }
            refuses(bad, instances);
        }
    }

    function test_verify_emptyProof_isRefused() external {
        refuses("", instances);
    }

    function test_verify_extendedProof_isRefused() external {
        refuses(abi.encodePacked(proof, bytes1(0)), instances);
        refuses(abi.encodePacked(proof, bytes32(0)), instances);
        refuses(abi.encodePacked(proof, proof), instances);
    }

    function test_verify_anotherModelsProof_isRefused() external {
        (bytes memory other, uint256[] memory values) = proofAt(".canary");
        refuses(other, values);
    }

    /// forge-config: default.fuzz.runs = 32
    /// forge-config: nightly.fuzz.runs = 2000
    function testFuzz_verify_anyWordReplaced_isRefused(uint256 place, uint256 word) external {
        place %= proof.length / 32;
        bytes memory bad = copyOf(proof);
        vm.assume(readWord(bad, place) != word);
        writeWord(bad, place, word);
        refuses(bad, instances);
    }

    /// forge-config: default.fuzz.runs = 32
    /// forge-config: nightly.fuzz.runs = 2000
    function testFuzz_verify_anyInstanceReplaced_isRefused(uint256 place, uint256 word) external {
        place %= instances.length;
        vm.assume(instances[place] != word);
        uint256[] memory bad = copyOf(instances);
        bad[place] = word;
        refuses(proof, bad);
    }

    function test_verify_shiftedProof_isRefused() external view {
        bytes memory call_ = abi.encodeCall(IInferenceVerifier.verify, (keyDigest, key, proof, instances));
        refusesShifted(address(verifier()), call_, 2);
    }

    function test_verify_shiftedInstances_isRefused() external view {
        bytes memory call_ = abi.encodeCall(IInferenceVerifier.verify, (keyDigest, key, proof, instances));
        refusesCall(
            address(verifier()), shifted(call_, 3, 32 * instances.length), Canonical.NonCanonicalCalldata.selector
        );
    }

    function test_generated_canonicalCall_isAccepted() external view {
        (bool success,) = generated().staticcall(generatedCall());
        vm.assertTrue(success);
    }

    function test_generated_shiftedProof_isRefused() external view {
        (bool success,) = generated().staticcall(shifted(generatedCall(), 0, proof.length));
        vm.assertFalse(success);
    }

    function test_generated_shiftedInstances_isRefused() external view {
        (bool success,) = generated().staticcall(shifted(generatedCall(), 1, 32 * instances.length));
        vm.assertFalse(success);
    }

    function refuses(bytes memory badProof, uint256[] memory badInstances) internal {
        IInferenceVerifier target = verifier();
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        target.verify{gas: 3_000_000}(keyDigest, key, badProof, badInstances);
    }

    function refusesShifted(address target, bytes memory call_, uint256 place) internal view {
        refusesCall(target, shifted(call_, place, proof.length), Canonical.NonCanonicalCalldata.selector);
    }

    function refusesCall(address target, bytes memory call_, bytes4 expected) internal view {
        (bool success, bytes memory answer) = target.staticcall(call_);
        vm.assertFalse(success);
        vm.assertEq(bytes32(answer), bytes32(expected));
    }
}
