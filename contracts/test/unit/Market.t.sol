// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {
    ATTRIBUTION,
    COMMERCIAL,
    DERIVATIVES,
    IMarket,
    INFERENCE,
    Licence,
    Offer,
    TRAINING
} from "../../src/interfaces/IMarket.sol";
import {IWorks, Registration, Standing} from "../../src/interfaces/IWorks.sol";
import {WorksSystem} from "../support/WorksSystem.sol";

/// @notice Offers, licences and lineage.
contract MarketTest is WorksSystem {
    uint8 private constant ALL = 0x8f;
    uint40 private constant FOREVER = type(uint40).max;

    uint256 private work;

    function setUp() public override {
        super.setUp();
        work = registerAs(ALICE, "parent");
    }

    function test_offer_owner_isStored() external {
        Offer memory terms = terms_(work, 70, 1000, REMIX);
        terms.duration = 3600;
        bytes32 id = market.idOf(terms);
        vm.expectEmit(address(market));
        emit IMarket.Offered(id, work, terms);
        vm.assertEq(offered(terms), id);
        (Offer memory stored, bool open) = market.offerOf(id);
        terms.uri = "";
        vm.assertEq(abi.encode(stored), abi.encode(terms));
        vm.assertTrue(open);
    }

    function test_idOf_anyOffer_isAsDesigned() external view {
        Offer memory terms = terms_(work, 70, 1000, REMIX);
        bytes32 id = keccak256(
            abi.encode(
                block.chainid,
                address(market),
                work,
                uint96(70),
                uint32(0),
                uint16(1000),
                REMIX,
                TERMS,
                keccak256("ipfs://terms")
            )
        );
        vm.assertEq(market.idOf(terms), id);
    }

    function test_offer_notTheOwner_reverts() external {
        Offer memory terms = terms_(work, 70, 1000, REMIX);
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotOwner.selector, MALLORY));
        market.offer(terms);
    }

    function test_offer_unknownWork_reverts() external {
        vm.expectRevert(nonexistent(7));
        market.offer(terms_(7, 70, 1000, REMIX));
    }

    function test_offer_nothingOrUnknown_reverts() external {
        uint8[4] memory bad = [0, ATTRIBUTION, REMIX | 16, 255];
        for (uint256 i = 0; i < bad.length; ++i) {
            refusesOffer(terms_(work, 0, 0, bad[i]), abi.encodeWithSelector(IMarket.UseNotGranted.selector, bad[i]));
        }
    }

    function test_offer_shareAboveHalf_reverts() external {
        offerOf(work, 0, 5000, REMIX);
        refusesOffer(terms_(work, 0, 5001, REMIX), abi.encodeWithSelector(IWorks.TooMuchShared.selector, 5001));
    }

    function test_offer_aboveTheCeiling_reverts() external {
        uint256 child = derivedFrom(BOB, "child", list(offerOf(work, 0, 0, DERIVATIVES | INFERENCE)));
        vm.assertEq(market.ceilingOf(child), DERIVATIVES | INFERENCE | ATTRIBUTION);
        offerOf(child, 0, 0, INFERENCE);
        offerOf(child, 0, 0, INFERENCE | ATTRIBUTION);
        uint8 uses = INFERENCE | COMMERCIAL;
        refusesOffer(terms_(child, 0, 0, uses), abi.encodeWithSelector(IMarket.UseNotGranted.selector, uses));
    }

    function test_offer_withoutOwedAttribution_reverts() external {
        uint256 child = derivedFrom(BOB, "child", list(offerOf(work, 0, 0, REMIX | ATTRIBUTION)));
        vm.assertTrue(market.owesAttribution(child));
        offerOf(child, 0, 0, COMMERCIAL | ATTRIBUTION);
        refusesOffer(terms_(child, 0, 0, COMMERCIAL), abi.encodeWithSelector(IMarket.AttributionOwed.selector, child));
    }

    /// @dev A duty is kept by descendants, whatever else they were derived from.
    function test_ceilingOf_twoParents_isWhatBothPermit() external {
        uint256 other = registerAs(CAROL, "other");
        bytes32[] memory offers =
            list(offerOf(work, 0, 0, REMIX | TRAINING), offerOf(other, 0, 0, DERIVATIVES | TRAINING | ATTRIBUTION));
        uint256 child = derivedFrom(BOB, "child", offers);
        vm.assertEq(market.ceilingOf(child), DERIVATIVES | TRAINING | ATTRIBUTION);
        vm.assertTrue(market.owesAttribution(child));
        uint256 grandchild =
            derivedFrom(CAROL, "grandchild", list(offerOf(child, 0, 0, DERIVATIVES | TRAINING | ATTRIBUTION)));
        vm.assertTrue(market.owesAttribution(grandchild));
    }

    function test_ceilingOf_noParents_isEverything() external view {
        vm.assertEq(market.ceilingOf(work), ALL);
        vm.assertFalse(market.owesAttribution(work));
        vm.assertEq(market.ceilingOf(7), 0);
    }

    function test_withdrawOffer_owner_endsIt() external {
        bytes32 id = offerOf(work, 0, 0, REMIX);
        vm.expectEmit(address(market));
        emit IMarket.OfferWithdrawn(id);
        withdrawOffer(id);
        refusesBuy(id, 0, abi.encodeWithSelector(IMarket.NotOnOffer.selector, id));
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotOnOffer.selector, id));
        market.withdrawOffer(id);
    }

    function test_withdrawOffer_notTheOwner_reverts() external {
        bytes32 id = offerOf(work, 0, 0, REMIX);
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotOwner.selector, MALLORY));
        market.withdrawOffer(id);
    }

    function test_withdrawOffer_boughtLicence_stays() external {
        bytes32 id = offerOf(work, 70, 1000, REMIX);
        uint256 licence = buyAs(BOB, id);
        withdrawOffer(id);
        vm.assertTrue(market.covers(licence, work, BOB, REMIX));
        Registration memory what = named("child");
        what.licences = list(licence);
        registerAs(BOB, what, 0);
    }

    function test_offer_again_reopens() external {
        bytes32 id = offerOf(work, 0, 0, REMIX);
        withdrawOffer(id);
        vm.assertEq(offerOf(work, 0, 0, REMIX), id);
        buyAs(BOB, id);
    }

    /// @dev A fund cannot make offers, so those of the earlier owner stay.
    function test_offer_afterTransfer_isTheNewOwners() external {
        bytes32 id = offerOf(work, 70, 0, REMIX);
        vm.prank(ALICE);
        works.transferFrom(ALICE, CAROL, work);
        buyAs(BOB, id);
        settle(work);
        vm.assertEq(market.creditOf(CAROL), 70);
        vm.prank(CAROL);
        market.withdrawOffer(id);
    }

    function test_buy_price_licensesAndPays() external {
        bytes32 id = offerOf(work, 70, 1000, REMIX);
        bytes32 subject = keccak256("dns:acme.example");
        vm.expectEmit(address(market));
        emit IMarket.Licensed(1, work, CAROL, id, subject, FOREVER);
        vm.expectEmit(address(market));
        emit IMarket.Paid(work, BOB, 70);
        vm.prank(BOB);
        vm.assertEq(market.buy{value: 70}(id, CAROL, subject), 1);
        Licence memory held = market.licenceOf(1);
        Licence memory wanted = Licence(CAROL, FOREVER, 1000, REMIX, work, subject, id);
        vm.assertEq(abi.encode(held), abi.encode(wanted));
        vm.assertEq(market.pendingOf(work), 70);
    }

    function test_buy_otherPrice_reverts() external {
        bytes32 id = offerOf(work, 70, 1000, REMIX);
        refusesBuy(id, 69, abi.encodeWithSelector(IMarket.WrongPrice.selector, 70, 69));
        refusesBuy(id, 71, abi.encodeWithSelector(IMarket.WrongPrice.selector, 70, 71));
    }

    function test_buy_unknownOffer_reverts() external {
        refusesBuy("none", 0, abi.encodeWithSelector(IMarket.NotOnOffer.selector, bytes32("none")));
    }

    function test_buy_withoutHolder_reverts() external {
        bytes32 id = offerOf(work, 0, 0, REMIX);
        vm.expectRevert(abi.encodeWithSelector(IMarket.AddressMissing.selector, "holder"));
        market.buy(id, address(0), keccak256("dns:acme.example"));
    }

    function test_buy_upheldWork_reverts() external {
        bytes32 id = offerOf(work, 0, 0, REMIX);
        for (uint256 i = 0; i < 3; ++i) {
            similarity.set(work, Standing(i), 0);
            buyAs(BOB, id);
        }
        similarity.set(work, Standing.Upheld, 0);
        refusesBuy(id, 0, abi.encodeWithSelector(IMarket.WorkBlocked.selector, work));
    }

    /// @dev Nor can a licence of it be bought on the way; but those that were bought stay, and money still flows.
    function test_register_childOfUpheldWork_needsAnEarlierLicence() external {
        bytes32 id = offerOf(work, 0, 1000, REMIX);
        uint256 licence = buyAs(BOB, id);
        similarity.set(work, Standing.Upheld, 0);
        Registration memory what = named("child");
        what.offers = list(id);
        refusesRegister(what, 0, abi.encodeWithSelector(IMarket.WorkBlocked.selector, work));
        (what.offers, what.licences) = (new bytes32[](0), list(licence));
        uint256 child = registerAs(BOB, what, 0);
        payWork(child, 100);
        market.settle(list(child, work));
        vm.assertEq(market.creditOf(ALICE), 10);
    }

    function test_covers_uses_areThoseOfTheLicence() external {
        uint256 licence = buyAs(BOB, offerOf(work, 0, 0, COMMERCIAL | INFERENCE | ATTRIBUTION));
        vm.assertTrue(market.covers(licence, work, BOB, COMMERCIAL));
        vm.assertTrue(market.covers(licence, work, BOB, COMMERCIAL | INFERENCE));
        vm.assertTrue(market.covers(licence, work, BOB, COMMERCIAL | ATTRIBUTION));
        vm.assertFalse(market.covers(licence, work, BOB, COMMERCIAL | TRAINING));
        vm.assertFalse(market.covers(licence, work, BOB, 0));
        vm.assertFalse(market.covers(licence, work, BOB, ATTRIBUTION));
        vm.assertFalse(market.covers(licence, work, BOB, 16));
        vm.assertFalse(market.covers(licence, work, ALICE, COMMERCIAL));
        vm.assertFalse(market.covers(licence, work + 1, BOB, COMMERCIAL));
        vm.assertFalse(market.covers(licence + 1, 0, address(0), COMMERCIAL));
    }

    function test_covers_duration_ends() external {
        Offer memory terms = terms_(work, 0, 0, REMIX);
        terms.duration = 100;
        uint256 licence = buyAs(BOB, offered(terms));
        vm.assertEq(market.licenceOf(licence).until, NOW + 100);
        vm.warp(NOW + 100);
        vm.assertTrue(market.covers(licence, work, BOB, REMIX));
        vm.warp(NOW + 101);
        vm.assertFalse(market.covers(licence, work, BOB, REMIX));
    }

    function test_register_parents_areKeptInOrder() external {
        uint256 other = registerAs(CAROL, "other");
        uint256 licence = buyAs(BOB, offerOf(other, 10, 500, REMIX));
        Registration memory what = named("child");
        what.licences = list(licence);
        what.offers = list(offerOf(work, 20, 1000, REMIX));
        uint256 child = registerAs(BOB, what, 20);
        (uint256[] memory parents, uint16[] memory bps) = works.parentsOf(child);
        vm.assertEq(abi.encode(parents), abi.encode(list(other, work)));
        vm.assertEq(bps.length, 2);
        vm.assertEq(bps[0], 500);
        vm.assertEq(bps[1], 1000);
        vm.assertEq(market.licenceOf(2).holder, BOB);
    }

    function test_register_eightParents_passesAndNineReverts() external {
        Registration memory what = named("child");
        what.offers = new bytes32[](8);
        for (uint256 i = 0; i < 8; ++i) {
            what.offers[i] = offerOf(registerAs(ALICE, vm.toString(i)), 0, uint16(i), REMIX);
        }
        uint256 child = registerAs(BOB, what, 0);
        (, uint16[] memory bps) = works.parentsOf(child);
        for (uint256 i = 0; i < 8; ++i) {
            vm.assertEq(bps[i], i);
        }
        what.content = sha256("another");
        what.licences = list(uint256(1));
        refusesRegister(what, 0, abi.encodeWithSelector(IWorks.TooManyParents.selector));
    }

    function test_register_sharesAboveHalf_reverts() external {
        uint256 other = registerAs(CAROL, "other");
        bytes32 half = offerOf(work, 0, 2500, REMIX);
        derivedFrom(BOB, "child", list(half, offerOf(other, 0, 2500, REMIX)));
        Registration memory what = named("another");
        what.offers = list(half, offerOf(other, 0, 2501, REMIX));
        refusesRegister(what, 0, abi.encodeWithSelector(IWorks.TooMuchShared.selector, 5001));
    }

    function test_register_sameParentTwice_reverts() external {
        Registration memory what = named("child");
        what.licences = list(buyAs(BOB, offerOf(work, 0, 1000, REMIX)));
        what.offers = list(offerOf(work, 0, 500, REMIX));
        refusesRegister(what, 0, abi.encodeWithSelector(IWorks.DuplicateParent.selector, work));
    }

    function test_register_licenceOfAnother_reverts() external {
        Registration memory what = named("child");
        what.licences = list(buyAs(CAROL, offerOf(work, 0, 1000, REMIX)));
        refusesRegister(what, 0, abi.encodeWithSelector(IMarket.NotLicensed.selector, 1));
    }

    function test_register_unknownLicence_reverts() external {
        Registration memory what = named("child");
        what.licences = list(uint256(0));
        refusesRegister(what, 0, abi.encodeWithSelector(IMarket.NotLicensed.selector, 0));
    }

    function test_register_licenceRunOut_reverts() external {
        Offer memory terms = terms_(work, 0, 0, REMIX);
        terms.duration = 100;
        Registration memory what = named("child");
        what.licences = list(buyAs(BOB, offered(terms)));
        vm.warp(NOW + 101);
        refusesRegister(what, 0, abi.encodeWithSelector(IMarket.NotLicensed.selector, 1));
        vm.warp(NOW + 100);
        registerAs(BOB, what, 0);
    }

    function test_register_licenceWithoutDerivatives_reverts() external {
        bytes memory why = abi.encodeWithSelector(IMarket.UseNotGranted.selector, DERIVATIVES);
        Registration memory what = named("child");
        bytes32 id = offerOf(work, 0, 0, COMMERCIAL | TRAINING);
        what.licences = list(buyAs(BOB, id));
        refusesRegister(what, 0, why);
        (what.licences, what.offers) = (new uint256[](0), list(id));
        refusesRegister(what, 0, why);
    }

    function test_register_wrongSumOfPrices_reverts() external {
        uint256 other = registerAs(CAROL, "other");
        Registration memory what = named("child");
        what.offers = list(offerOf(work, 20, 0, REMIX), offerOf(other, 30, 0, REMIX));
        refusesRegister(what, 49, abi.encodeWithSelector(IMarket.WrongPrice.selector, 50, 49));
        refusesRegister(what, 51, abi.encodeWithSelector(IMarket.WrongPrice.selector, 50, 51));
        registerAs(BOB, what, 50);
    }

    function test_register_withdrawnOffer_reverts() external {
        bytes32 id = offerOf(work, 0, 0, REMIX);
        withdrawOffer(id);
        Registration memory what = named("child");
        what.offers = list(id);
        refusesRegister(what, 0, abi.encodeWithSelector(IMarket.NotOnOffer.selector, id));
    }

    /// @dev A work's own id is known before; but it has no offers before it exists.
    function test_register_itselfAsParent_isImpossible() external {
        uint256 own = works.idOf(BOB, named("child").content);
        Offer memory terms = terms_(own, 0, 0, REMIX);
        vm.prank(BOB);
        vm.expectRevert(nonexistent(own));
        market.offer(terms);
        Registration memory what = named("child");
        what.offers = list(market.idOf(terms));
        refusesRegister(what, 0, abi.encodeWithSelector(IMarket.NotOnOffer.selector, what.offers[0]));
    }

    function test_derive_notTheWorks_reverts() external {
        vm.prank(MALLORY);
        vm.expectRevert(abi.encodeWithSelector(IMarket.NotWorks.selector, MALLORY));
        market.derive(work, MALLORY, new uint256[](0), new bytes32[](0));
    }

    function withdrawOffer(bytes32 id) private {
        vm.prank(ALICE);
        market.withdrawOffer(id);
    }

    function refusesOffer(Offer memory terms, bytes memory why) private {
        vm.prank(works.ownerOf(terms.work));
        vm.expectRevert(why);
        market.offer(terms);
    }

    function refusesBuy(bytes32 id, uint256 value, bytes memory why) private {
        vm.prank(BOB);
        vm.expectRevert(why);
        market.buy{value: value}(id, BOB, 0);
    }

    function refusesRegister(Registration memory what, uint256 value, bytes memory why) private {
        vm.prank(BOB);
        vm.expectRevert(why);
        works.register{value: value}(what);
    }
}
