// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IMarket} from "../../src/interfaces/IMarket.sol";
import {ContributorFund} from "../../src/works/ContributorFund.sol";
import {Vm} from "../support/Test.sol";
import {Tree} from "../support/Tree.sol";
import {Refuser, WorksSystem} from "../support/WorksSystem.sol";

/// @notice A contributor that claims again, for itself and for another, while it is paid.
contract GreedyContributor {
    ContributorFund private _fund;
    address private _other;
    bytes32[] private _own;
    bytes32[] private _others;
    uint256 public refused;

    function prepare(ContributorFund fund, address other, bytes32[] calldata own, bytes32[] calldata others) external {
        (_fund, _other, _own, _others) = (fund, other, own, others);
    }

    receive() external payable {
        if (address(_fund) == address(0)) return;
        try _fund.claim(address(this), 3, _own) {}
        catch {
            ++refused;
        }
        if (_fund.due(_other, 2) != 0) _fund.claim(_other, 2, _others);
    }
}

/// @notice A fund of three contributors, with weights 1, 2 and 3, that owns a data set.
contract ContributorFundTest is WorksSystem {
    uint256 private work;
    ContributorFund private fund;
    GreedyContributor private greedy;
    bytes32[] private leaves;
    address[3] private accounts;

    function setUp() public override {
        super.setUp();
        greedy = new GreedyContributor();
        accounts = [ALICE, BOB, address(greedy)];
        leaves = [Tree.leaf(ALICE, 1), Tree.leaf(BOB, 2), Tree.leaf(address(greedy), 3)];
        fund = new ContributorFund(Tree.root(leaves), 6, sha256("manifest"), "ipfs://manifest", market);
        work = registerAs(CAROL, "data set");
        vm.prank(CAROL);
        works.safeTransferFrom(CAROL, address(fund), work);
        vm.deal(ALICE, 0);
        vm.deal(BOB, 0);
    }

    function test_create_arguments_areKept() external {
        bytes32 root = Tree.root(leaves);
        vm.recordLogs();
        ContributorFund made = new ContributorFund(root, 6, sha256("manifest"), "ipfs://m", market);
        Vm.Log memory log = vm.getRecordedLogs()[0];
        vm.assertEq(log.topics[0], ContributorFund.FundCreated.selector);
        vm.assertEq(log.data, abi.encode(uint128(6), "ipfs://m", address(market)));
        vm.assertEq(made.ROOT(), root);
        vm.assertEq(made.TOTAL_WEIGHT(), 6);
        vm.assertEq(made.MANIFEST(), sha256("manifest"));
        vm.assertEq(address(made.MARKET()), address(market));
        vm.assertEq(made.uri(), "ipfs://m");
    }

    function test_create_emptyRoot_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(ContributorFund.RootMissing.selector));
        new ContributorFund(0, 6, 0, "", market);
    }

    function test_create_withoutWeight_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(ContributorFund.WeightMissing.selector));
        new ContributorFund("root", 0, 0, "", market);
    }

    function test_create_marketWithoutCode_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(ContributorFund.MarketMissing.selector));
        new ContributorFund("root", 6, 0, "", IMarket(ALICE));
    }

    function test_claim_byAnybody_paysTheContributor() external {
        earn(600);
        vm.expectEmit(address(fund));
        emit ContributorFund.Claimed(BOB, 2, 200);
        vm.prank(MALLORY);
        vm.assertEq(claim(1), 200);
        vm.assertEq(BOB.balance, 200);
        vm.assertEq(fund.paidTo(BOB, 2), 200);
        vm.assertEq(fund.paidOut(), 200);
        vm.assertEq(MALLORY.balance, 0);
    }

    function test_claim_threePayDays_paysWhatIsNew() external {
        for (uint256 day = 1; day <= 3; ++day) {
            earn(600);
            claim(0);
            if (day == 3) claim(1);
        }
        vm.assertEq(ALICE.balance, 300);
        vm.assertEq(BOB.balance, 600);
        vm.assertEq(fund.due(address(greedy), 3), 900);
        vm.assertEq(fund.due(ALICE, 1), 0);
    }

    function test_claim_plainCoin_isShared() external {
        (bool success,) = address(fund).call{value: 60}("");
        vm.assertTrue(success);
        vm.assertEq(claim(0), 10);
    }

    function test_claim_again_reverts() external {
        earn(600);
        claim(0);
        vm.expectRevert(abi.encodeWithSelector(ContributorFund.NothingDue.selector, ALICE));
        this.claim(0);
    }

    function test_claim_lessThanAWei_reverts() external {
        earn(5);
        vm.expectRevert(abi.encodeWithSelector(ContributorFund.NothingDue.selector, ALICE));
        this.claim(0);
        earn(1);
        vm.assertEq(claim(0), 1);
    }

    function test_claim_notInTheTree_reverts() external {
        earn(600);
        refuses(MALLORY, 1, Tree.proof(leaves, 0));
        refuses(ALICE, 2, Tree.proof(leaves, 0));
        refuses(ALICE, 1, Tree.proof(leaves, 1));
        refuses(ALICE, 1, new bytes32[](0));
    }

    /// @dev An inner node is no leaf: leaves are hashed twice.
    function test_claim_innerNodeAsLeaf_reverts() external {
        ContributorFund single = new ContributorFund(Tree.leaf(ALICE, 1), 1, 0, "", market);
        vm.deal(address(single), 10);
        vm.assertEq(single.claim(ALICE, 1, new bytes32[](0)), 10);
        earn(600);
        bytes32[] memory path = new bytes32[](1);
        path[0] = leaves[2];
        refuses(address(uint160(uint256(leaves[0]))), uint128(uint256(leaves[1])), path);
    }

    function test_claim_accountThatRefuses_blocksNobodyElse() external {
        Refuser refuser = new Refuser();
        (leaves[2], accounts[2]) = (Tree.leaf(address(refuser), 3), address(refuser));
        fund = new ContributorFund(Tree.root(leaves), 6, 0, "", market);
        vm.deal(address(fund), 600);
        vm.expectRevert(abi.encodeWithSelector(ContributorFund.PaymentFailed.selector, address(refuser)));
        this.claim(2);
        vm.assertEq(claim(0) + claim(1), 300);
        vm.assertEq(fund.due(address(refuser), 3), 300);
        vm.deal(address(fund), address(fund).balance + 600);
        vm.assertEq(claim(0), 100);
    }

    function test_claim_reentered_paysEachOnce() external {
        greedy.prepare(fund, BOB, Tree.proof(leaves, 2), Tree.proof(leaves, 1));
        earn(600);
        vm.assertEq(claim(2), 300);
        vm.assertEq(address(greedy).balance, 300);
        vm.assertEq(greedy.refused(), 1);
        vm.assertEq(BOB.balance, 200);
        vm.assertEq(address(fund).balance, 100);
    }

    /// @dev Two weights of one account are two leaves. Equal leaves count once, and their rest stays for nobody.
    function test_claim_sameAccountTwice_getsBothWeights() external {
        leaves = [Tree.leaf(ALICE, 1), Tree.leaf(ALICE, 2), Tree.leaf(BOB, 3), Tree.leaf(BOB, 3)];
        fund = new ContributorFund(Tree.root(leaves), 9, 0, "", market);
        vm.deal(address(fund), 900);
        fund.claim(ALICE, 1, Tree.proof(leaves, 0));
        fund.claim(ALICE, 2, Tree.proof(leaves, 1));
        fund.claim(BOB, 3, Tree.proof(leaves, 2));
        vm.assertEq(ALICE.balance, 300);
        vm.assertEq(BOB.balance, 300);
        bytes32[] memory path = Tree.proof(leaves, 3);
        vm.expectRevert(abi.encodeWithSelector(ContributorFund.NothingDue.selector, BOB));
        fund.claim(BOB, 3, path);
    }

    function test_due_unsettledWork_isNotCountedYet() external {
        payWork(work, 600);
        vm.assertEq(fund.due(ALICE, 1), 0);
        settle(work);
        vm.assertEq(fund.due(ALICE, 1), 100);
    }

    /// @dev In any order, at any times: never more than came in, and less by at most a wei for each contributor.
    function testFuzz_claim_anyOrder_paysTheSame(uint64[4] calldata amounts, uint256 order) external {
        uint256 sum;
        for (uint256 i = 0; i < 4; ++i) {
            if (amounts[i] != 0) earn(amounts[i]);
            sum += amounts[i];
            for (uint256 j = 0; j < 3; ++j) {
                try this.claim((order >> (8 * i + 2 * j)) % 3) {} catch {}
            }
        }
        for (uint256 j = 0; j < 3; ++j) {
            try this.claim(j) {} catch {}
        }
        vm.assertEq(ALICE.balance, sum / 6);
        vm.assertEq(BOB.balance, sum / 3);
        vm.assertEq(address(greedy).balance, sum / 2);
        vm.assertEq(fund.paidOut() + address(fund).balance, sum);
        vm.assertLe(address(fund).balance, 2);
    }

    function testFuzz_claim_largeAmounts_doNotOverflow(uint128 weight, uint128 amount) external {
        vm.assume(weight != 0);
        ContributorFund single = new ContributorFund(Tree.leaf(ALICE, weight), type(uint128).max, 0, "", market);
        vm.deal(address(single), amount);
        uint256 expected = uint256(amount) * weight / type(uint128).max;
        vm.assertEq(single.due(ALICE, weight), expected);
    }

    function claim(uint256 place) public returns (uint256) {
        return fund.claim(accounts[place], uint128(place + 1), Tree.proof(leaves, place));
    }

    function earn(uint256 amount) private {
        payWork(work, amount);
        settle(work);
    }

    function refuses(address account, uint128 weight, bytes32[] memory path) private {
        vm.expectRevert(abi.encodeWithSelector(ContributorFund.NotAContributor.selector, account, weight));
        fund.claim(account, weight, path);
    }
}
