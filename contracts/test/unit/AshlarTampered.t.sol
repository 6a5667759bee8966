// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {AshlarKeys} from "../../src/verifiers/ashlar/AshlarKeys.sol";
import {AshlarProofs} from "../support/AshlarProofs.sol";
import {Statement} from "../support/BindingVerifier.sol";

/// @notice The vectors that every verifier has to refuse: changes of good ones, each with the step that refuses it.
contract AshlarTamperedTest is AshlarProofs {
    /// @dev From byte `from`, `remove` bytes are replaced by those of `insert`. Members are in the order of their names.
    struct Change {
        uint256 from;
        bytes insert;
        uint256 remove;
    }

    struct BadProof {
        Change[] proof;
        string test;
        string vector;
    }

    struct BadKey {
        Change[] key;
        string rule;
        string test;
        string vector;
    }

    string private constant SPLICE = "Splice(uint256 at,bytes insert,uint256 remove)";
    uint256 private constant GAS = 2_000_000;
    string private loaded;

    function badProofs(string memory list) private pure returns (BadProof[] memory) {
        bytes memory entries = vm.parseJsonTypeArray(
            list, "$", string.concat("Tampered(Splice[] proof,string test,string vector)", SPLICE)
        );
        return abi.decode(entries, (BadProof[]));
    }

    function test_verify_tamperedProofs_areRefused() external {
        string memory list = bad("proofs");
        BadProof[] memory entries = badProofs(list);
        for (uint256 i = 0; i < entries.length; ++i) {
            use(entries[i].vector);
            this.refusesChanged(entries[i]);
        }
        vm.assertTrue(entries.length > 1000);
    }

    /// @dev Honest proofs of false statements, but for one lie each. One is none: coefficients that no cell has.
    function test_verify_lies_areRefused() external {
        string memory list = bad("lies");
        BadProof[] memory entries = badProofs(list);
        for (uint256 i = 0; i < entries.length; ++i) {
            use(entries[i].vector);
            Statement memory said = changedStatement(list, i);
            bytes memory data = call(said, changed(proof, entries[i].proof));
            (bool success,) = address(verifier).staticcall{gas: GAS}(data);
            vm.assertEq(success, keccak256(bytes(entries[i].test)) == keccak256("high_coefficients"));
        }
        vm.assertTrue(entries.length > 40);
    }

    function test_verify_tamperedStatements_areRefused() external {
        string memory list = bad("statements");
        uint256 count;
        for (; vm.keyExistsJson(list, entry(count, "")); ++count) {
            use(vm.parseJsonString(list, entry(count, ".vector")));
            if (vm.keyExistsJson(list, entry(count, ".context"))) {
                if (vm.parseJsonBytes(list, entry(count, ".context")).length != 32) continue; // cannot be encoded
            }
            (bool success, bytes memory why) =
                address(verifier).staticcall{gas: GAS}(call(changedStatement(list, count), proof));
            string memory about = vm.parseJsonString(list, entry(count, ".test"));
            vm.assertFalse(success, about);
            bool ofStepThree = vm.parseJsonUint(list, entry(count, ".reject")) == 3;
            vm.assertEq(bytes4(why) == IInferenceVerifier.OutputOutOfRange.selector, ofStepThree, about);
        }
        vm.assertTrue(count > 50);
    }

    /// @dev The contract checks some of the rules. A key that breaks another one has no proof here either: this one is
    /// about another digest.
    function test_verify_badKeys_areRefused() external {
        string memory list = bad("keys");
        BadKey[] memory entries = abi.decode(
            vm.parseJsonTypeArray(
                list, "$", string.concat("Tampered(Splice[] key,string rule,string test,string vector)", SPLICE)
            ),
            (BadKey[])
        );
        uint256 malformed;
        for (uint256 i = 0; i < entries.length; ++i) {
            use(entries[i].vector);
            useKey(changed(keyBytes, entries[i].key));
            (bool success, bytes memory why) = address(verifier).staticcall{gas: GAS}(call(statement, proof));
            vm.assertFalse(success, entries[i].test);
            bytes4 reason = bytes4(why);
            bool unsupported = reason == AshlarKeys.ProfileUnsupported.selector;
            if (unsupported || reason == IInferenceVerifier.MalformedKey.selector) ++malformed;
            else vm.assertFalse(isChecked(entries[i]), string.concat(entries[i].rule, " ", entries[i].test));
            loaded = "";
        }
        vm.assertTrue(malformed > 50);
    }

    function refusesChanged(BadProof memory bad_) external view {
        (bool success, bytes memory why) =
            address(verifier).staticcall{gas: GAS}(call(statement, changed(proof, bad_.proof)));
        vm.assertFalse(success, string.concat(bad_.vector, " ", bad_.test));
        vm.assertEq(bytes32(bytes4(why)), bytes32(IInferenceVerifier.ProofRejected.selector), bad_.test);
    }

    /// @dev Whether a key breaks W1, W2 or W4 in a way that the contract sees without the precompiles, and can be stored.
    function isChecked(BadKey memory bad_) private view returns (bool) {
        bytes32 rule = keccak256(bytes(bad_.rule));
        if (rule != keccak256("W1") && rule != keccak256("W2") && rule != keccak256("W4")) return false;
        if ((key.code.length - 1) % 32 != 0) return false;
        string[5] memory points = [
            "key_point_off_curve",
            "key_coordinate_plus_p",
            "tau_off_curve",
            "tau_at_infinity",
            "tau_outside_the_subgroup"
        ];
        for (uint256 i = 0; i < points.length; ++i) {
            if (keccak256(bytes(bad_.test)) == keccak256(bytes(points[i]))) return false;
        }
        return true;
    }

    function changedStatement(string memory list, uint256 place) private view returns (Statement memory said) {
        said = statement;
        string memory path = entry(place, ".outputs");
        if (vm.keyExistsJson(list, path)) said.outputs = vm.parseJsonIntArray(list, path);
        path = entry(place, ".inputs");
        if (vm.keyExistsJson(list, path)) said.inputs = vm.parseJsonBytes(list, path);
        path = entry(place, ".context");
        if (vm.keyExistsJson(list, path)) said.context = vm.parseJsonBytes32(list, path);
    }

    function changed(bytes memory data, Change[] memory changes) private pure returns (bytes memory) {
        for (uint256 i = 0; i < changes.length; ++i) {
            Change memory one = changes[i];
            uint256 rest = one.from + one.remove;
            data = abi.encodePacked(part(data, 0, one.from), one.insert, part(data, rest, data.length));
        }
        return data;
    }

    function part(bytes memory data, uint256 from, uint256 to) private pure returns (bytes memory some) {
        some = new bytes(to - from);
        assembly ("memory-safe") {
            mcopy(add(some, 0x20), add(add(data, 0x20), from), mload(some))
        }
    }

    function use(string memory name) private {
        if (keccak256(bytes(name)) == keccak256(bytes(loaded))) return;
        load(name);
        loaded = name;
    }

    function bad(string memory name) private view returns (string memory) {
        return vm.readFile(string.concat(VECTORS, "bad/", name, ".json"));
    }

    function entry(uint256 place, string memory field) private pure returns (string memory) {
        return string.concat("$[", vm.toString(place), "]", field);
    }
}
