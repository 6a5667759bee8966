// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Offer} from "../../src/interfaces/IMarket.sol";
import {ITill} from "../../src/interfaces/ITill.sol";
import {Origin, Registration} from "../../src/interfaces/IWorks.sol";
import {ContributorFund} from "../../src/works/ContributorFund.sol";
import {Tree} from "../support/Tree.sol";
import {WorksSystem} from "../support/WorksSystem.sol";

/// @notice Gas of whole transactions without refunds: what each costs before it runs, and its call. Each test measures
/// one call, on what setUp has written.
contract WorksGasTest is WorksSystem {
    address private constant DAVE = address(0xda7e);

    uint256 private first;
    uint256 private second;
    uint256 private fresh;
    uint256 private used;
    uint256[] private licences;
    bytes32 private forFirst;
    bytes32 private forSecond;
    ContributorFund private unpaid;
    ContributorFund private paid;
    bytes32[] private leaves;

    /// @dev Dave holds two licences, and there are two works with two parents: `used` has earned before, `fresh` has
    /// not. The first of two funds of 1,024 contributors has paid nobody, the second Carol alone.
    function setUp() public override {
        super.setUp();
        vm.deal(DAVE, 0);
        first = registerAs(ALICE, full("first"), 0);
        second = registerAs(CAROL, full("second"), 0);
        forFirst = offerOf(first, 10, 1000, REMIX);
        forSecond = offerOf(second, 10, 500, REMIX);
        licences = list(buyAs(DAVE, forFirst), buyAs(DAVE, forSecond));
        fresh = derivedFrom(BOB, "fresh", list(forFirst, forSecond));
        used = derivedFrom(DAVE, "used", list(forFirst, forSecond));
        payWork(used, 1 ether);
        market.settle(list(used, first));
        settle(second);
        vm.deal(address(openTill(used)), 1 ether);
        leaves = new bytes32[](1024);
        for (uint256 i = 0; i < 1024; ++i) {
            leaves[i] = Tree.leaf(address(uint160(0x10000 + i)), 1);
        }
        leaves[0] = Tree.leaf(ALICE, 1);
        leaves[1] = Tree.leaf(BOB, 1);
        leaves[2] = Tree.leaf(CAROL, 1);
        (unpaid, paid) = (fundOf("data"), fundOf("more data"));
        paid.claim(CAROL, 1, Tree.proof(leaves, 2));
        vm.deal(address(paid), address(paid).balance + 1 ether);
    }

    function test_gas_register_noParents() external {
        measure("register, no parents", address(works), 0, abi.encodeCall(works.register, (full("a"))));
    }

    function test_gas_register_twoLicences() external {
        Registration memory what = full("a");
        what.licences = licences;
        measure("register, two parents, licensed before", address(works), 0, abi.encodeCall(works.register, (what)));
    }

    function test_gas_register_twoOffers() external {
        Registration memory what = full("a");
        what.offers = list(forFirst, forSecond);
        measure("register, two parents, licensed now", address(works), 20, abi.encodeCall(works.register, (what)));
    }

    function test_gas_registerFor() external {
        address creator = vm.addr(77);
        Registration memory what = full("a");
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(77, works.digestOf(what, creator, NOW));
        bytes memory data = abi.encodeCall(works.registerFor, (what, creator, NOW, abi.encodePacked(r, s, v)));
        measure("registerFor, no parents", address(works), 0, data);
    }

    function test_gas_registerProven() external {
        ask(requestOf(0));
        answer(requestOf(0));
        Registration memory what = full("a");
        (what.content, what.origin) = (sha256(abi.encodePacked(answers())), Origin.Generated);
        vm.prank(BOB);
        works.setRegistrar(ALICE, true);
        bytes memory data = abi.encodeCall(works.registerProven, (what, BOB, requestOf(0), answers()));
        measureBy(ALICE, "registerProven, no parents", address(works), 0, data);
    }

    function test_gas_commit() external {
        measure("commit", address(works), 0, abi.encodeCall(works.commit, (keccak256("c"))));
    }

    function test_gas_offer() external {
        Offer memory terms = terms_(first, 11, 1000, REMIX);
        measureBy(ALICE, "offer", address(market), 0, abi.encodeCall(market.offer, (terms)));
    }

    function test_gas_buy() external {
        bytes memory data = abi.encodeCall(market.buy, (forFirst, DAVE, keccak256("dns:acme.example")));
        measure("buy", address(market), 10, data);
    }

    function test_gas_pay() external {
        measure("pay", address(market), 1 ether, abi.encodeCall(market.pay, (used)));
    }

    /// @dev Its parents have earned before, its owner has no credit yet.
    function test_gas_settle_first() external {
        payWork(fresh, 1 ether);
        measure("settle, two parents, first", address(market), 0, abi.encodeCall(market.settle, (list(fresh))));
    }

    function test_gas_settle() external {
        payWork(used, 1 ether);
        measure("settle, two parents", address(market), 0, abi.encodeCall(market.settle, (list(used))));
    }

    function test_gas_withdraw() external {
        measure("withdraw", address(market), 0, abi.encodeCall(market.withdraw, (payable(DAVE))));
    }

    function test_gas_transfer() external {
        bytes memory data = abi.encodeCall(works.transferFrom, (DAVE, ALICE, used));
        measure("transfer, nothing to settle", address(works), 0, data);
    }

    function test_gas_transfer_settling() external {
        payWork(used, 1 ether);
        bytes memory data = abi.encodeCall(works.transferFrom, (DAVE, ALICE, used));
        measure("transfer that settles two parents", address(works), 0, data);
    }

    function test_gas_openTill() external {
        measure("open till", address(works), 0, abi.encodeCall(works.openTill, (fresh)));
    }

    function test_gas_sweep() external {
        measure("sweep", works.tillOf(used), 0, abi.encodeCall(ITill.sweep, ()));
    }

    function test_gas_claim_firstOfAll() external {
        bytes memory data = abi.encodeCall(unpaid.claim, (ALICE, 1, Tree.proof(leaves, 0)));
        measure("fund claim, 1 of 1024, with pull, first of all", address(unpaid), 0, data);
    }

    function test_gas_claim_first() external {
        bytes memory data = abi.encodeCall(paid.claim, (BOB, 1, Tree.proof(leaves, 1)));
        measure("fund claim, 1 of 1024, first of an account", address(paid), 0, data);
    }

    function test_gas_claim_later() external {
        bytes memory data = abi.encodeCall(paid.claim, (CAROL, 1, Tree.proof(leaves, 2)));
        measure("fund claim, 1 of 1024, later", address(paid), 0, data);
    }

    /// @dev A fund to which the market owes an ether.
    function fundOf(string memory name) private returns (ContributorFund fund) {
        fund = new ContributorFund(Tree.root(leaves), 1024, 0, "", market);
        uint256 dataset = registerAs(CAROL, name);
        vm.prank(CAROL);
        works.transferFrom(CAROL, address(fund), dataset);
        payWork(dataset, 1 ether);
        settle(dataset);
    }

    /// @dev All digests set.
    function full(string memory name) private pure returns (Registration memory what) {
        what = named(name);
        (what.manifest, what.attestation, what.pixels) = (keccak256("m"), keccak256("a"), keccak256("p"));
    }

    function measure(string memory name, address target, uint256 value, bytes memory data) private {
        measureBy(DAVE, name, target, value, data);
    }

    function measureBy(address sender, string memory name, address target, uint256 value, bytes memory data) private {
        address[5] memory warm = [address(works), address(market), works.TILL(), address(ledger), target];
        for (uint256 i = 0; i < 5; ++i) {
            vm.cool(warm[i]);
        }
        vm.deal(sender, 1 ether + value);
        vm.prank(sender);
        (bool success,) = target.call{value: value}(data);
        uint256 spent = vm.snapshotGasLastCall("works", name);
        require(success, name);
        vm.snapshotValue("works", name, intrinsic(data) + spent);
    }
}
