// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {ContributorFund} from "../../src/works/ContributorFund.sol";
import {Tree} from "../support/Tree.sol";
import {WorksSystem} from "../support/WorksSystem.sol";

/// @notice Claims with the proofs that Python makes from a data set's file.
contract ContributorFundVectorsTest is WorksSystem {
    string private json;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("../tests/vectors/merkle.json");
    }

    function test_claim_sharedVectors_areAcceptedOrRefusedAsInPython() external {
        uint256 trees;
        for (; vm.keyExistsJson(json, item(".trees", trees, "root")); ++trees) {
            uint128 total = uint128(vm.parseJsonUint(json, item(".trees", trees, "totalWeight")));
            bytes32 root = vm.parseJsonBytes32(json, item(".trees", trees, "root"));
            ContributorFund fund = new ContributorFund(root, total, 0, "", market);
            vm.deal(address(fund), total);
            vm.assertTrue(refuse(fund, item(".trees", trees, "refused")) >= 4);
            vm.assertTrue(accept(fund, item(".trees", trees, "claims")) != 0);
        }
        vm.assertEq(trees, 6);
    }

    function accept(ContributorFund fund, string memory list) private returns (uint256 i) {
        for (; vm.keyExistsJson(json, item(list, i, "leaf")); ++i) {
            (address account, uint128 weight, bytes32[] memory proof) = claimOf(list, i);
            vm.assertEq(Tree.leaf(account, weight), vm.parseJsonBytes32(json, item(list, i, "leaf")));
            vm.assertEq(fund.claim(account, weight, proof), weight);
        }
    }

    function refuse(ContributorFund fund, string memory list) private returns (uint256 i) {
        for (; vm.keyExistsJson(json, item(list, i, "leaf")); ++i) {
            (address account, uint128 weight, bytes32[] memory proof) = claimOf(list, i);
            vm.expectRevert(abi.encodeWithSelector(ContributorFund.NotAContributor.selector, account, weight));
            fund.claim(account, weight, proof);
        }
    }

    function claimOf(string memory list, uint256 place) private view returns (address, uint128, bytes32[] memory) {
        return (
            vm.parseJsonAddress(json, item(list, place, "account")),
            uint128(vm.parseJsonUint(json, item(list, place, "weight"))),
            vm.parseJsonBytes32Array(json, item(list, place, "proof"))
        );
    }

    function item(string memory list, uint256 place, string memory name) private pure returns (string memory) {
        return string.concat(list, "[", vm.toString(place), "].", name);
    }
}
