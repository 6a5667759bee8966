// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Entry, Request, State} from "../../src/interfaces/IInferenceLedger.sol";
import {Status} from "../../src/interfaces/IModelRegistry.sol";
import {Statement} from "../support/BindingVerifier.sol";
import {System} from "../support/System.sol";

/// @notice Makes permitted calls in any order, and keeps its own accounts. Calls that must fail are tried too.
contract Actor is System {
    Request[] public requests;
    uint256 public paidIn;
    uint256 public paidOut;
    uint256 public consumed;
    bool public stopped;
    bool public forged;
    mapping(bytes32 id => bytes26) public digestOf;
    mapping(bytes32 id => uint40) public timeOf;
    mapping(bytes32 id => bool) public ended;

    function request(uint96 proverFee, uint32 duration, bool proverIsMallory) external {
        Request memory asked = requestOf(requests.length);
        asked.proverFee = proverFee;
        asked.expiry = uint64(block.timestamp + duration % 2 hours);
        if (proverIsMallory) asked.prover = MALLORY;
        if (registry.programOf(listing).status != Status.Active) return;
        ask(asked);
        requests.push(asked);
        paidIn += fees(asked);
    }

    function record(uint256 which) external {
        if (requests.length == 0) return;
        Request memory asked = requests[which % requests.length];
        Statement memory said = statementFor(asked);
        said.outputs[0] = int256(which % 1000);
        bytes memory proof = prove(said);
        try ledger.record(asked, said.inputs, said.outputs, proof) returns (bytes32 id) {
            forged = forged || ended[id] || stopped || block.timestamp > asked.expiry;
            ended[id] = true;
            ++consumed;
            bool revoked = registry.statusOf(listing) == Status.Revoked;
            forged = forged || (ledger.entryOf(id).state == State.Paid) != revoked;
            digestOf[id] = ledger.entryOf(id).outputDigest;
            timeOf[id] = ledger.entryOf(id).recordedAt;
        } catch {}
    }

    function forge(uint256 which, bytes calldata proof) external {
        if (requests.length == 0) return;
        Request memory asked = requests[which % requests.length];
        try ledger.record(asked, INPUTS, answers(), proof) {
            forged = true;
        } catch {}
    }

    function refund(uint256 which) external {
        if (requests.length == 0) return;
        try ledger.refund(requests[which % requests.length]) returns (bytes32 id) {
            forged = forged || ended[id];
            ended[id] = true;
            ++consumed;
        } catch {}
    }

    function withdraw(uint256 who, address to) external {
        address[4] memory accounts = [PROVER, MALLORY, PUBLISHER, BOB];
        if (to.code.length != 0 || uint160(to) < 0x10000 || to == address(vm)) to = ALICE;
        uint256 before_ = to.balance;
        vm.prank(accounts[who % 4]);
        try ledger.withdraw(payable(to)) returns (uint256 amount) {
            forged = forged || to.balance - before_ != amount;
            paidOut += amount;
        } catch {}
    }

    function wait(uint16 time) external {
        vm.warp(block.timestamp + time);
    }

    function changeModel(uint8 chance) external {
        vm.startPrank(PUBLISHER);
        if (chance == 7 && registry.programOf(listing).status == Status.Active) registry.deprecate(listing, 0);
        if (chance == 8 && registry.programOf(listing).status != Status.Revoked) registry.revoke(listing);
        vm.stopPrank();
    }

    function stopVerifier(uint8 chance) external {
        if (chance != 9 || stopped) return;
        vm.prank(GUARDIAN);
        stop.stop();
        stopped = true;
    }

    function stopIsFinal() external view returns (bool) {
        return stop.stopped() == stopped && stop.live() != stopped;
    }

    function count() external view returns (uint256) {
        return requests.length;
    }

    function credits() external view returns (uint256) {
        return ledger.creditOf(PROVER) + ledger.creditOf(MALLORY) + ledger.creditOf(PUBLISHER) + ledger.creditOf(BOB);
    }

    function escrow() external view returns (uint256 held) {
        for (uint256 i = 0; i < requests.length; ++i) {
            if (ledger.entryOf(ledger.idOf(requests[i])).state == State.Open) held += fees(requests[i]);
        }
    }

    function balance() external view returns (uint256) {
        return address(ledger).balance;
    }

    function recordsUnchanged() external view returns (bool) {
        for (uint256 i = 0; i < requests.length; ++i) {
            bytes32 id = ledger.idOf(requests[i]);
            Entry memory entry = ledger.entryOf(id);
            bool hasEnded = entry.state == State.Recorded || entry.state == State.Refunded || entry.state == State.Paid;
            if (hasEnded != ended[id] || entry.outputDigest != digestOf[id] || entry.recordedAt != timeOf[id]) {
                return false;
            }
        }
        return true;
    }
}

/// @notice Invariants that hold after any sequence of calls.
contract LedgerInvariants is System {
    Actor private actor;

    function setUp() public override {
        actor = new Actor();
        actor.setUp();
    }

    function targetContracts() external view returns (address[] memory contracts) {
        contracts = new address[](1);
        contracts[0] = address(actor);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() external view returns (FuzzSelector[] memory wanted) {
        bytes4[] memory selectors = new bytes4[](8);
        selectors[0] = Actor.request.selector;
        selectors[1] = Actor.record.selector;
        selectors[2] = Actor.forge.selector;
        selectors[3] = Actor.refund.selector;
        selectors[4] = Actor.withdraw.selector;
        selectors[5] = Actor.wait.selector;
        selectors[6] = Actor.changeModel.selector;
        selectors[7] = Actor.stopVerifier.selector;
        wanted = new FuzzSelector[](1);
        wanted[0] = FuzzSelector(address(actor), selectors);
    }

    /// @dev The actor's calls do succeed.
    function test_actor_recordsRefundsAndWithdraws() external {
        actor.request(5, 3600, false);
        actor.request(6, 0, true);
        actor.record(0);
        vm.warp(block.timestamp + 1);
        actor.refund(1);
        actor.withdraw(0, ALICE);
        vm.assertEq(actor.consumed(), 2);
        vm.assertEq(actor.paidOut(), 5);
    }

    function invariant_value_isConserved() external view {
        vm.assertEq(actor.paidIn(), actor.paidOut() + actor.balance());
        vm.assertEq(actor.balance(), actor.credits() + actor.escrow());
    }

    function invariant_requests_areConsumedOnce() external view {
        vm.assertLe(actor.consumed(), actor.count());
        vm.assertFalse(actor.forged());
    }

    function invariant_records_neverChange() external view {
        vm.assertTrue(actor.recordsUnchanged());
    }

    function invariant_stop_isFinal() external view {
        vm.assertTrue(actor.stopIsFinal());
    }
}
