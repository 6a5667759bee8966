// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Offer} from "../../src/interfaces/IMarket.sol";
import {ITill} from "../../src/interfaces/ITill.sol";
import {Registration} from "../../src/interfaces/IWorks.sol";
import {ContributorFund} from "../../src/works/ContributorFund.sol";
import {Tree} from "../support/Tree.sol";
import {WorksSystem} from "../support/WorksSystem.sol";

/// @notice Grows a graph of works and lets money flow through it, in any order, and keeps its own accounts.
contract Dealer is WorksSystem {
    uint256 public constant ACCOUNTS = 6;
    uint256 private constant START = 200;
    address payable private constant SINK = payable(address(0x51c));

    uint256[] public ids;
    bytes32[] public offers;
    ContributorFund public fund;
    uint256 public paidIn;
    uint256 public paidOut;
    bool public broken;
    mapping(uint256 work => uint256) public numberOf;
    bytes32[] private _leaves;

    /// @dev 200 works, all but the first with up to three parents; the fund owns every tenth.
    function setUp() public override {
        super.setUp();
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            _leaves.push(Tree.leaf(account(i), uint128(i + 1)));
        }
        fund = new ContributorFund(Tree.root(_leaves), 21, 0, "", market);
        uint256 random = 0x7a6b;
        for (uint256 i = 0; i < START; ++i) {
            random = uint256(keccak256(abi.encode(random)));
            register(random, uint8(random >> 120), uint16(random >> 128));
        }
        for (uint256 i = 0; i < START; i += 10) {
            address owner = works.ownerOf(ids[i]);
            vm.prank(owner);
            works.transferFrom(owner, address(fund), ids[i]);
        }
    }

    function register(uint256 random, uint8 parents, uint16 shareBps) public {
        Registration memory what = named(vm.toString(ids.length));
        what.offers = _distinct(random, parents % 4);
        uint256 price = pricesOf(what.offers);
        paidIn += price;
        address creator = account(random >> 32);
        vm.deal(creator, price);
        uint256 work = registerAs(creator, what, price);
        ids.push(work);
        numberOf[work] = ids.length;
        offers.push(offerOf(work, uint96(random % 1000), shareBps % 1667, REMIX)); // three of them are below a half
    }

    function pay(uint256 which, uint64 amount) public {
        payWork(_any(which), amount);
        paidIn += amount;
    }

    function buy(uint256 which, uint256 who) external {
        bytes32 id = offers[which % offers.length];
        (Offer memory terms,) = market.offerOf(id);
        buyAs(account(who), id);
        paidIn += terms.price;
    }

    /// @dev A marketplace pays a till, or somebody the fund.
    function payAside(uint256 which, uint64 amount) external {
        address to = which % 9 == 0 ? address(fund) : works.tillOf(_any(which));
        vm.deal(to, to.balance + amount);
        paidIn += amount;
    }

    function sweep(uint256 which) external {
        ITill till = openTill(_any(which));
        if (address(till).balance != 0) till.sweep();
    }

    function settleSome(uint256 which, uint8 count) public {
        for (uint256 i = 0; i < count % 32; ++i) {
            _settle(_any(uint256(keccak256(abi.encode(which, i)))));
        }
    }

    /// @dev The seller is credited what is not the parents'.
    function transfer(uint256 which, uint256 who) external {
        uint256 work = _any(which);
        address owner = works.ownerOf(work);
        if (owner == address(fund)) return;
        uint256 before_ = market.creditOf(owner) + market.pendingOf(work);
        vm.prank(owner);
        works.transferFrom(owner, account(who), work);
        broken = broken || market.pendingOf(work) > 8 || market.creditOf(owner) > before_;
    }

    function withdraw(uint256 who) external {
        vm.prank(account(who));
        try market.withdraw(SINK) returns (uint256 amount) {
            paidOut += amount;
        } catch {}
    }

    function claim(uint256 who) external {
        uint256 place = who % ACCOUNTS;
        uint256 came = address(fund).balance + market.creditOf(address(fund)) + fund.paidOut();
        try fund.claim(account(place), uint128(place + 1), Tree.proof(_leaves, place)) returns (uint256 amount) {
            paidOut += amount;
        } catch {}
        broken = broken || fund.paidTo(account(place), uint128(place + 1)) > came * (place + 1) / 21;
    }

    /// @dev Children are younger than their parents, so nothing is left but roundings.
    function settleAll() public {
        for (uint256 i = ids.length; i > 0; --i) {
            _settle(ids[i - 1]);
        }
    }

    /// @dev Everything that the market owes.
    function owed() public view returns (uint256 sum) {
        sum = market.creditOf(address(fund));
        for (uint256 i = 0; i < ids.length; ++i) {
            sum += market.pendingOf(ids[i]);
        }
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            sum += market.creditOf(account(i));
        }
    }

    /// @dev And what has not reached the market, or has left it for the fund.
    function aside() external view returns (uint256 sum) {
        sum = address(fund).balance;
        for (uint256 i = 0; i < ids.length; ++i) {
            sum += works.tillOf(ids[i]).balance;
        }
    }

    function balance() external view returns (uint256) {
        return address(market).balance;
    }

    /// @dev Parents were registered before, so no path leads back; and they share at most half.
    function lineageIsSound() external view returns (bool) {
        for (uint256 i = 0; i < ids.length; ++i) {
            (uint256[] memory parents, uint16[] memory bps) = works.parentsOf(ids[i]);
            uint256 sum;
            for (uint256 j = 0; j < parents.length; ++j) {
                if (numberOf[parents[j]] == 0 || numberOf[parents[j]] > i) return false;
                sum += bps[j];
            }
            if (sum > 5000) return false;
        }
        return true;
    }

    function credits() external view returns (bytes32) {
        uint256[] memory all = new uint256[](ACCOUNTS + 1);
        for (uint256 i = 0; i < ACCOUNTS; ++i) {
            all[i] = market.creditOf(account(i));
        }
        all[ACCOUNTS] = market.creditOf(address(fund));
        return keccak256(abi.encode(all));
    }

    function pendingIsRoundingOnly() external view returns (bool) {
        for (uint256 i = 0; i < ids.length; ++i) {
            (uint256[] memory parents,) = works.parentsOf(ids[i]);
            if (market.pendingOf(ids[i]) > parents.length) return false;
        }
        return true;
    }

    function account(uint256 who) public pure returns (address) {
        return address(uint160(0xacc0 + who % ACCOUNTS));
    }

    /// @dev What leaves a work reaches its owner and its parents, and its parents get at most half.
    function _settle(uint256 work) private {
        address owner = works.ownerOf(work);
        uint256 pending = market.pendingOf(work);
        uint256 credit = market.creditOf(owner);
        uint256 parents = _receivedByParents(work);
        settle(work);
        credit = market.creditOf(owner) - credit;
        parents = _receivedByParents(work) - parents;
        broken = broken || credit + parents + market.pendingOf(work) != pending;
        broken = broken || 2 * parents > pending + 8;
    }

    function _receivedByParents(uint256 work) private view returns (uint256 sum) {
        (uint256[] memory parents,) = works.parentsOf(work);
        for (uint256 i = 0; i < parents.length; ++i) {
            sum += market.receivedOf(parents[i]);
        }
    }

    function _any(uint256 which) private view returns (uint256) {
        return ids[which % ids.length];
    }

    function _distinct(uint256 random, uint256 number) private view returns (bytes32[] memory some) {
        uint256 all = offers.length;
        some = new bytes32[](all < 4 ? 0 : number);
        for (uint256 i = 0; i < some.length; ++i) {
            some[i] = offers[(random % all + i * (1 + (random >> 64) % (all / 4))) % all];
        }
    }
}

/// @notice Invariants of money and lineage, after any sequence of calls.
contract WorksInvariants is WorksSystem {
    Dealer private dealer;

    function setUp() public override {
        dealer = new Dealer();
        dealer.setUp();
    }

    function targetContracts() external view returns (address[] memory contracts) {
        contracts = new address[](1);
        contracts[0] = address(dealer);
    }

    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() external view returns (FuzzSelector[] memory wanted) {
        bytes4[] memory selectors = new bytes4[](9);
        selectors[0] = Dealer.register.selector;
        selectors[1] = Dealer.pay.selector;
        selectors[2] = Dealer.buy.selector;
        selectors[3] = Dealer.payAside.selector;
        selectors[4] = Dealer.sweep.selector;
        selectors[5] = Dealer.settleSome.selector;
        selectors[6] = Dealer.transfer.selector;
        selectors[7] = Dealer.withdraw.selector;
        selectors[8] = Dealer.claim.selector;
        wanted = new FuzzSelector[](1);
        wanted[0] = FuzzSelector(address(dealer), selectors);
    }

    /// @dev The dealer's calls do succeed.
    function test_dealer_movesMoneyThroughTheGraph() external {
        uint256 bought = dealer.paidIn(); // on the way, by the registrations
        vm.assertTrue(bought != 0);
        dealer.pay(199, 1 ether);
        dealer.payAside(198, 1 ether);
        dealer.payAside(9, 1 ether);
        dealer.sweep(198);
        dealer.buy(3, 0);
        dealer.transfer(199, 1);
        dealer.settleAll();
        for (uint256 i = 0; i < dealer.ACCOUNTS(); ++i) {
            dealer.withdraw(i);
            dealer.claim(i);
        }
        vm.assertTrue(dealer.paidOut() > 2.9 ether);
        vm.assertTrue(dealer.lineageIsSound());
        requireConserved();
    }

    /// @dev Two random orders, each completed: the same credits to the wei, and nothing is left but roundings.
    /// forge-config: default.fuzz.runs = 12
    /// forge-config: nightly.fuzz.runs = 2000
    function testFuzz_settle_twoOrders_creditTheSame(uint256 one, uint256 other, uint64[8] calldata amounts) external {
        uint256 state = vm.snapshotState();
        bytes32 first = creditsAfter(one, amounts);
        vm.revertToState(state);
        vm.assertEq(creditsAfter(other, amounts), first);
        vm.assertTrue(dealer.pendingIsRoundingOnly());
        vm.assertFalse(dealer.broken());
    }

    /// forge-config: default.invariant.runs = 6
    /// forge-config: nightly.invariant.runs = 64
    function invariant_money_isConserved() external view {
        requireConserved();
        vm.assertFalse(dealer.broken());
    }

    /// forge-config: default.invariant.runs = 2
    /// forge-config: nightly.invariant.runs = 16
    function invariant_lineage_isSound() external view {
        vm.assertTrue(dealer.lineageIsSound());
    }

    /// @dev The same payments, settled meanwhile and at the end in an order that follows from a number.
    function creditsAfter(uint256 order, uint64[8] calldata amounts) private returns (bytes32) {
        for (uint256 i = 0; i < 8; ++i) {
            dealer.pay(uint256(keccak256(abi.encode(i))), amounts[i]);
            if (order >> i & 1 == 1) dealer.settleSome(order, uint8(order >> 8 * i));
        }
        dealer.settleSome(order, 31);
        dealer.settleAll();
        return dealer.credits();
    }

    function requireConserved() private view {
        vm.assertEq(dealer.balance(), dealer.owed());
        vm.assertEq(dealer.paidIn(), dealer.paidOut() + dealer.owed() + dealer.aside());
    }
}
