// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IHalo2Dedicated} from "../../src/interfaces/IHalo2.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {DedicatedHalo2Adapter} from "../../src/verifiers/DedicatedHalo2Adapter.sol";
import {BadProofs} from "../support/BadProofs.sol";

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

    function generatedCall() internal view override returns (bytes memory) {
        return abi.encodeCall(IHalo2Dedicated.verifyProof, (proof, instances));
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
        dedicated.verify(0, key, proof, instances);
    }

    function test_prepare_itsOwnKey_passes() external view {
        dedicated.prepare(key);
        vm.assertEq(dedicated.inspect(key).digest, keyDigest);
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
        dedicated.inspect(pointer);
    }
}
