// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {CodeStore} from "../../src/libraries/CodeStore.sol";
import {Test} from "../support/Test.sol";

contract CodeStoreTest is Test {
    function write(bytes32[] calldata words) external returns (address) {
        return CodeStore.write(words);
    }

    function read(address pointer) external view returns (bytes32[] memory) {
        return CodeStore.read(pointer);
    }

    function testFuzz_write_anyWords_areReadBack(bytes32[] memory words) external {
        vm.assume(words.length > 0 && words.length <= CodeStore.MOST_WORDS);
        bytes32[] memory found = this.read(this.write(words));
        vm.assertEq(abi.encode(found), abi.encode(words));
    }

    function test_write_mostWords_fits() external {
        bytes32[] memory words = new bytes32[](CodeStore.MOST_WORDS);
        vm.assertEq(this.write(words).code.length, 32 * CodeStore.MOST_WORDS + 1);
    }

    function test_write_sameWords_areStoredOnce() external {
        bytes32[] memory words = new bytes32[](2);
        vm.assertEq(this.write(words), this.write(words));
    }

    function test_write_runAsCode_doesNothing() external {
        bytes32[] memory words = new bytes32[](1);
        words[0] = bytes32(type(uint256).max);
        (bool success, bytes memory answer) = this.write(words).call("");
        vm.assertTrue(success);
        vm.assertEq(answer.length, 0);
    }

    function test_write_nothing_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(CodeStore.SizeOutOfRange.selector, 0));
        this.write(new bytes32[](0));
    }

    function test_write_tooMany_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(CodeStore.SizeOutOfRange.selector, CodeStore.MOST_WORDS + 1));
        this.write(new bytes32[](CodeStore.MOST_WORDS + 1));
    }

    function test_read_withoutCode_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(CodeStore.NothingStored.selector, ALICE));
        this.read(ALICE);
    }

    function test_read_ofAnotherContract_reverts() external {
        vm.etch(ALICE, new bytes(64));
        vm.expectRevert(abi.encodeWithSelector(CodeStore.NothingStored.selector, ALICE));
        this.read(ALICE);
    }
}
