// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC2981} from "@openzeppelin/contracts/interfaces/IERC2981.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {IInferenceLedger, Request} from "../../src/interfaces/IInferenceLedger.sol";
import {IMarket} from "../../src/interfaces/IMarket.sol";
import {IModelRegistry, Model, Status} from "../../src/interfaces/IModelRegistry.sol";
import {ITill} from "../../src/interfaces/ITill.sol";
import {IWorks} from "../../src/interfaces/IWorks.sol";
import {WorksSystem} from "../support/WorksSystem.sol";

/// @notice A payer that allows 2,300 gas, as Solidity's `transfer` does.
contract ThriftyPayer {
    function pay(address payable to) external payable {
        to.transfer(msg.value);
    }
}

/// @notice A marketplace that knows ERC-721 and ERC-2981 alone, and pays by plain transfers.
contract Marketplace {
    function buy(IERC721 token, uint256 id) external payable {
        address seller = token.ownerOf(id);
        (address receiver, uint256 royalty) = IERC2981(address(token)).royaltyInfo(id, msg.value);
        payable(receiver).transfer(royalty);
        payable(seller).transfer(msg.value - royalty);
        token.safeTransferFrom(seller, msg.sender, id);
    }
}

/// @notice Not a ledger: it calls the till back instead.
contract FalseLedger {
    function withdraw(address payable to) external returns (uint256) {
        return ITill(to).sweep();
    }
}

/// @notice The till of a model's work, and the model's listing.
contract TillTest is WorksSystem {
    uint256 private work;
    ITill private till;

    function setUp() public override {
        super.setUp();
        work = registerAs(ALICE, "model");
        till = ITill(works.tillOf(work));
    }

    function test_openTill_anybody_opensItWhereItWasPredicted() external {
        vm.assertEq(address(till).code.length, 0);
        vm.expectEmit(address(works));
        emit IWorks.TillOpened(work, address(till));
        vm.prank(MALLORY);
        vm.assertEq(works.openTill(work), address(till));
        vm.assertEq(till.workId(), work);
        vm.assertEq(address(till.MARKET()), address(market));
    }

    function test_openTill_again_changesNothing() external {
        openTill(work);
        vm.recordLogs();
        vm.assertEq(works.openTill(work), address(till));
        vm.assertEq(vm.getRecordedLogs().length, 0);
    }

    function testFuzz_openTill_anyCreator_hasItsWork(address creator, bytes32 content) external {
        vm.assume(creator != address(0));
        uint256 made = registerAs(creator, string(abi.encode(content)));
        vm.assertEq(openTill(made).workId(), made);
        vm.assertEq(works.openTill(made), works.tillOf(made));
    }

    function test_till_callsData_areReturnedAndReverted() external {
        openTill(work);
        vm.expectRevert(abi.encodeWithSelector(ITill.NothingToSweep.selector));
        till.sweep();
        (bool success, bytes memory returned) = address(till).call(hex"12345678");
        vm.assertFalse(success);
        vm.assertEq(returned.length, 0);
    }

    /// @dev A proxy of ERC-1167 would need 2,600 gas to reach its implementation.
    function test_till_payerOf2300Gas_canPay() external {
        openTill(work);
        ThriftyPayer payer = new ThriftyPayer();
        vm.cool(address(till));
        vm.cool(works.TILL());
        payer.pay{value: 5}(payable(address(till)));
        vm.assertEq(till.sweep(), 5);
        vm.assertEq(market.pendingOf(work), 5);
    }

    function test_sweep_coinFromBeforeItWasOpened_isTheWorks() external {
        (bool success,) = address(till).call{value: 5}("");
        vm.assertTrue(success);
        openTill(work);
        vm.expectEmit(address(market));
        emit IMarket.Paid(work, address(till), 5);
        vm.prank(MALLORY);
        till.sweep();
        vm.assertEq(address(till).balance, 0);
    }

    /// @dev Whether the till was opened before the sale or is opened after it.
    function test_sale_plainMarketplace_paysAuthorAndParents() external {
        uint256 child = derivedFrom(BOB, "remix", list(offerOf(work, 0, 1000, REMIX)));
        Marketplace marketplace = new Marketplace();
        for (uint256 i = 0; i < 2; ++i) {
            address seller = [BOB, CAROL][i];
            vm.prank(seller);
            works.approve(address(marketplace), child);
            address buyer = [CAROL, MALLORY][i];
            vm.deal(buyer, 10_000);
            vm.cool(works.tillOf(child));
            vm.cool(works.TILL());
            vm.prank(buyer);
            marketplace.buy{value: 10_000}(works, child);
            openTill(child).sweep();
        }
        vm.assertEq(CAROL.balance, 9500);
        market.settle(list(child, work));
        vm.assertEq(market.creditOf(ALICE), 100);
        vm.assertEq(market.creditOf(CAROL) + market.creditOf(MALLORY), 900);
    }

    function test_implementation_isNobodysTill() external {
        ITill implementation = ITill(works.TILL());
        (bool success,) = address(implementation).call{value: 5}("");
        vm.assertFalse(success);
        vm.deal(address(implementation), 5);
        uint256 nothing = implementation.workId();
        vm.expectRevert(abi.encodeWithSelector(IMarket.UnknownWork.selector, nothing));
        implementation.sweep();
    }

    function test_collect_ledgerFees_flowToOwnerAndParents() external {
        uint256 child = derivedFrom(BOB, "merged", list(offerOf(work, 0, 2500, REMIX)));
        ITill childs = openTill(child);
        hand(childs, BOB);
        vm.prank(BOB);
        childs.setFee(registry, listing, 1000);
        use(1000);
        vm.prank(MALLORY);
        vm.assertEq(childs.collect(ledger), 1000);
        market.settle(list(child, work));
        vm.assertEq(market.creditOf(BOB), 750);
        vm.assertEq(market.creditOf(ALICE), 250);
    }

    function test_collect_withCoinOfAMarketplace_paysBoth() external {
        openTill(work);
        hand(till, ALICE);
        use(OWNER_FEE);
        vm.deal(address(till), 10);
        vm.assertEq(till.collect(ledger), 10 + OWNER_FEE);
        vm.assertEq(market.pendingOf(work), 10 + OWNER_FEE);
    }

    function test_collect_nothing_reverts() external {
        openTill(work);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NothingToWithdraw.selector));
        till.collect(ledger);
    }

    /// @dev Whatever is named as the ledger, coin goes to the work alone.
    function test_collect_falseLedger_gainsNothing() external {
        openTill(work);
        vm.deal(address(till), 10);
        FalseLedger false_ = new FalseLedger();
        vm.expectRevert(abi.encodeWithSelector(ITill.NothingToSweep.selector));
        till.collect(IInferenceLedger(address(false_)));
        vm.assertEq(till.sweep(), 10);
        vm.assertEq(market.pendingOf(work), 10);
    }

    function test_collect_creditAtTheMarket_isTheWorks() external {
        openTill(work);
        uint256 other = registerAs(BOB, "other");
        vm.prank(BOB);
        works.transferFrom(BOB, address(till), other);
        payWork(other, 9);
        settle(other);
        till.collect(IInferenceLedger(address(market)));
        vm.assertEq(market.pendingOf(work), 9);
    }

    function test_accept_offeredListing_isTheTills() external {
        openTill(work);
        hand(till, ALICE);
        vm.assertEq(registry.ownerOf(listing), address(till));
    }

    function test_accept_notOffered_reverts() external {
        openTill(work);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IModelRegistry.NotPendingOwner.selector, listing, address(till)));
        till.accept(registry, listing);
    }

    function test_owner_everyPower_reachesTheRegistry() external {
        openTill(work);
        hand(till, ALICE);
        vm.startPrank(ALICE);
        till.setFee(registry, listing, 77);
        till.setUri(registry, listing, "ipfs://new");
        till.deprecate(registry, listing, 0);
        till.offerOwnership(registry, listing, CAROL);
        till.revoke(registry, listing);
        vm.stopPrank();
        Model memory model = registry.modelOf(listing);
        vm.assertEq(model.fee, 77);
        vm.assertEq(model.uri, "ipfs://new");
        vm.assertEq(model.pendingOwner, CAROL);
        vm.assertEq(uint256(model.status), uint256(Status.Revoked));
    }

    function test_everyPower_notTheOwner_reverts() external {
        openTill(work);
        hand(till, ALICE);
        vm.prank(ALICE);
        works.transferFrom(ALICE, BOB, work);
        bytes[6] memory calls = [
            abi.encodeCall(till.accept, (registry, listing)),
            abi.encodeCall(till.setFee, (registry, listing, 77)),
            abi.encodeCall(till.setUri, (registry, listing, "ipfs://new")),
            abi.encodeCall(till.deprecate, (registry, listing, 0)),
            abi.encodeCall(till.revoke, (registry, listing)),
            abi.encodeCall(till.offerOwnership, (registry, listing, ALICE))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(ALICE); // who sold the work
            (bool success, bytes memory why) = address(till).call(calls[i]);
            vm.assertFalse(success);
            vm.assertEq(why, abi.encodeWithSelector(ITill.NotOwner.selector, ALICE));
        }
        vm.prank(BOB);
        till.setFee(registry, listing, 78);
    }

    /// @dev An owner cannot take an answer without pay by revoking: the ledger pays the prover, and the fee goes back.
    function test_revoke_beforeTheRecord_earnsNothing() external {
        openTill(work);
        hand(till, ALICE);
        ask(requestOf(0));
        vm.prank(ALICE);
        till.revoke(registry, listing);
        answer(requestOf(0));
        vm.assertEq(ledger.creditOf(PROVER), PROVER_FEE);
        vm.assertEq(ledger.creditOf(address(till)), 0);
    }

    /// @dev The publisher hands the listing to a till, whose work's owner accepts it.
    function hand(ITill to, address owner) private {
        vm.prank(PUBLISHER);
        registry.offerOwnership(listing, address(to));
        vm.prank(owner);
        to.accept(registry, listing);
    }

    /// @dev One answer of the model is recorded, with this fee for the listing's owner.
    function use(uint96 fee) private {
        Request memory asked = requestOf(0);
        asked.ownerFee = fee;
        ask(asked);
        answer(asked);
    }
}
