// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IEzklDedicatedVerifier} from "../../src/verifiers/ezkl/IEzklHalo2Verifier.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {DedicatedHalo2Adapter} from "../../src/verifiers/ezkl/DedicatedHalo2Adapter.sol";
import {BadProofs} from "../support/BadProofs.sol";
import {Statement} from "../support/BindingVerifier.sol";

contract DedicatedHalo2AdapterTest is BadProofs {
    DedicatedHalo2Adapter private dedicated;
    address private code;

    function setUp() public override {
        super.setUp();
        code = create(vm.parseJsonBytes(json, ".dedicated"));
        dedicated = new DedicatedHalo2Adapter(code, code.codehash, keyDigest);
    }

    function verifier() internal view override returns (IInferenceVerifier) {
        return dedicated;
    }

    function generated() internal view override returns (address) {
        return code;
    }

    function generatedCall(uint256[] memory instances_) internal view override returns (bytes memory) {
        return abi.encodeCall(IEzklDedicatedVerifier.verifyProof, (proof, instances_));
    }

    function test_selector_namesTheKey() external view {
        bytes32 name = keccak256(abi.encode("ezkl-23.0.5-halo2-kzg-bn254-dedicated-v1", keyDigest));
        vm.assertEq(bytes32(dedicated.selector()), bytes32(bytes4(name)));
    }

    function test_constructor_otherCode_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(DedicatedHalo2Adapter.WrongCode.selector, bytes32(0), code.codehash));
        new DedicatedHalo2Adapter(code, 0, keyDigest);
    }

    function test_constructor_noCode_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(DedicatedHalo2Adapter.WrongCode.selector, bytes32(0), ALICE.codehash));
        new DedicatedHalo2Adapter(ALICE, 0, keyDigest);
    }

    function test_verify_otherDigest_isRefused() external {
        vm.expectRevert(abi.encodeWithSelector(IInferenceVerifier.KeyMismatch.selector, bytes32(0), keyDigest));
        dedicated.verify(0, key, form, statement.context, statement.inputs, statement.outputs, proof);
    }

    function test_prepare_ownKey_passes() external view {
        dedicated.prepare(key);
        vm.assertEq(dedicated.inspect(key, form).digest, keyDigest);
        vm.assertTrue(dedicated.live());
    }

    function test_prepare_otherKey_reverts() external {
        bytes32[] memory other = words(".model.key");
        other[186] = 0;
        address pointer = CodeStore.write(other);
        vm.expectRevert(
            abi.encodeWithSelector(IInferenceVerifier.KeyMismatch.selector, keyDigest, CodeStore.digest(other))
        );
        dedicated.prepare(pointer);
    }

    function test_inspect_malformedKey_reverts() external {
        address pointer = CodeStore.write(new bytes32[](40));
        vm.expectRevert(IInferenceVerifier.MalformedKey.selector);
        dedicated.inspect(pointer, form);
    }

    function test_canary_isAbsent() external view {
        vm.assertEq(dedicated.canary().key, address(0));
        vm.assertFalse(dedicated.isImpossible(new bytes(8), new int256[](1)));
    }

    function test_verify_layoutOfAnotherCount_isRefused() external {
        form.outputs = 9;
        Statement memory bad = statement;
        bad.outputs = resized(bad.outputs, 9);
        refusesStatement(bad, IInferenceVerifier.ProofRejected.selector);
        vm.assertFalse(dedicated.inspect(key, form).fits);
    }
}
