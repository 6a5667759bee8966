// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC2981} from "@openzeppelin/contracts/interfaces/IERC2981.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {IERC165} from "@openzeppelin/contracts/utils/introspection/IERC165.sol";
import {IERC7007} from "../../src/interfaces/IERC7007.sol";
import {IInferenceLedger} from "../../src/interfaces/IInferenceLedger.sol";
import {IMarket} from "../../src/interfaces/IMarket.sol";
import {IWorks, Kind, Origin, Registration, Standing, Work} from "../../src/interfaces/IWorks.sol";
import {Market} from "../../src/works/Market.sol";
import {Works} from "../../src/works/Works.sol";
import {OpenSimilarity, Refuser, WorksSystem} from "../support/WorksSystem.sol";

/// @notice Registering works of the caller, and what can be read of them.
contract WorksTest is WorksSystem {
    event MetadataUpdate(uint256 _tokenId);

    function test_register_all_isStored() external {
        Registration memory what = named("picture");
        (what.manifest, what.attestation, what.pixels) = (sha256("m"), sha256("a"), keccak256("p"));
        (what.kind, what.origin, what.resaleBps) = (Kind.Text, Origin.Composite, 1000);
        uint256 work = registerAs(ALICE, what, 0);
        Work memory stored = works.workOf(work);
        vm.assertEq(stored.creator, ALICE);
        vm.assertEq(stored.since, NOW);
        vm.assertEq(uint256(stored.kind), uint256(Kind.Text));
        vm.assertEq(uint256(stored.origin), uint256(Origin.Composite));
        vm.assertEq(uint256(stored.standing), uint256(Standing.Clear));
        vm.assertEq(stored.resaleBps, 1000);
        vm.assertEq(stored.content, what.content);
        vm.assertEq(stored.manifest, what.manifest);
        vm.assertEq(stored.attestation, what.attestation);
        vm.assertEq(stored.pixels, what.pixels);
        vm.assertEq(stored.record, bytes32(0));
        vm.assertEq(works.ownerOf(work), ALICE);
    }

    function test_register_event_holdsRecordParentsAndUri() external {
        Registration memory what = named("picture");
        uint256 work = works.idOf(ALICE, what.content);
        Work memory made;
        (made.creator, made.since, made.kind, made.origin) = (ALICE, uint40(NOW), what.kind, what.origin);
        (made.resaleBps, made.content) = (what.resaleBps, what.content);
        vm.expectEmit(address(works));
        emit IWorks.WorkRegistered(work, ALICE, what.content, made, new uint256[](0), what.uri);
        registerAs(ALICE, what, 0);
    }

    function test_idOf_anyCreator_isAsDesigned() external view {
        bytes32 content = sha256("picture");
        vm.assertEq(
            works.idOf(ALICE, content), uint256(keccak256(abi.encode(block.chainid, address(works), ALICE, content)))
        );
    }

    function test_register_sameContentOfAnother_isAnotherWork() external {
        vm.assertTrue(registerAs(MALLORY, "picture") != registerAs(ALICE, "picture"));
    }

    function test_register_twice_reverts() external {
        uint256 work = registerAs(ALICE, "picture");
        refuses(named("picture"), 0, abi.encodeWithSelector(IWorks.AlreadyRegistered.selector, work));
    }

    function test_register_afterSale_staysRefused() external {
        uint256 work = registerAs(ALICE, "picture");
        vm.prank(ALICE);
        works.transferFrom(ALICE, BOB, work);
        refuses(named("picture"), 0, abi.encodeWithSelector(IWorks.AlreadyRegistered.selector, work));
    }

    function test_register_withoutContent_reverts() external {
        Registration memory what = named("picture");
        what.content = 0;
        refuses(what, 0, abi.encodeWithSelector(IWorks.ContentMissing.selector));
    }

    function test_register_royaltyAboveLimit_reverts() external {
        Registration memory what = named("picture");
        what.resaleBps = 1001;
        refuses(what, 0, abi.encodeWithSelector(IWorks.ResaleTooHigh.selector, 1001));
    }

    function test_register_withValueForNothing_reverts() external {
        refuses(named("picture"), 1, abi.encodeWithSelector(IMarket.WrongPrice.selector, 0, 1));
    }

    function test_register_enumOutOfRange_reverts() external {
        bytes memory call_ = abi.encodeCall(works.register, (named("picture")));
        for (uint256 field = 5; field < 7; ++field) {
            bytes memory bad = copyOf(call_);
            bad[4 + 32 + 32 * field + 31] = 0x0a; // after the selector and an offset
            (bool success,) = address(works).call(bad);
            vm.assertFalse(success);
        }
        (bool good,) = address(works).call(call_);
        vm.assertTrue(good);
    }

    function test_register_creatorThatCannotReceiveTokens_isNotAsked() external {
        Refuser creator = new Refuser();
        creator.act(address(works), abi.encodeCall(works.register, (named("picture"))));
        vm.assertEq(works.balanceOf(address(creator)), 1);
    }

    function test_commit_thenRegister_countsTheCommitment() external {
        Registration memory what = named("picture");
        what.salt = "salt";
        vm.expectEmit(address(works));
        emit IWorks.Committed(commitmentOf(ALICE, what));
        works.commit(commitmentOf(ALICE, what));
        vm.warp(NOW + 40 days);
        vm.assertEq(works.workOf(registerAs(ALICE, what, 0)).since, NOW);
    }

    function test_register_withoutSalt_countsNow() external {
        Registration memory what = named("picture");
        works.commit(commitmentOf(ALICE, what));
        vm.warp(NOW + 1);
        vm.assertEq(works.workOf(registerAs(ALICE, what, 0)).since, NOW + 1);
    }

    function test_commit_again_keepsTheFirstTime() external {
        works.commit("c");
        vm.warp(NOW + 1);
        vm.expectRevert(abi.encodeWithSelector(IWorks.AlreadyCommitted.selector, bytes32("c")));
        works.commit("c");
        vm.assertEq(works.committedAt("c"), NOW);
    }

    function test_register_commitmentOfAnother_reverts() external {
        Registration memory what = named("picture");
        what.salt = "salt";
        works.commit(commitmentOf(MALLORY, what));
        refuses(what, 0, abi.encodeWithSelector(IWorks.Uncommitted.selector, commitmentOf(ALICE, what)));
    }

    function test_register_otherSaltContentOrPixels_reverts() external {
        Registration memory what = named("picture");
        what.salt = "salt";
        works.commit(commitmentOf(ALICE, what));
        what.salt = "other";
        refuses(what, 0, abi.encodeWithSelector(IWorks.Uncommitted.selector, commitmentOf(ALICE, what)));
        (what.salt, what.content) = ("salt", sha256("other"));
        refuses(what, 0, abi.encodeWithSelector(IWorks.Uncommitted.selector, commitmentOf(ALICE, what)));
        (what.content, what.pixels) = (named("picture").content, "other");
        refuses(what, 0, abi.encodeWithSelector(IWorks.Uncommitted.selector, commitmentOf(ALICE, what)));
    }

    function test_read_unknownWork_reverts() external {
        vm.expectRevert(nonexistent(7));
        works.workOf(7);
        vm.expectRevert(nonexistent(7));
        works.tokenURI(7);
        vm.expectRevert(nonexistent(7));
        works.royaltyInfo(7, 1);
        vm.expectRevert(nonexistent(7));
        works.openTill(7);
    }

    function test_tokenURI_base_isPrefixed() external {
        uint256 work = registerAs(ALICE, "picture");
        vm.assertEq(works.tokenURI(work), string.concat(BASE, vm.toString(work), "/metadata"));
    }

    function test_tokenURI_withoutBase_isEmpty() external {
        Works bare = new Works(ledger, "", "");
        vm.assertEq(bare.tokenURI(bare.register(named("picture"))), "");
    }

    function test_royaltyInfo_anyPrice_paysTheTill() external {
        uint256 work = registerAs(ALICE, "picture");
        (address receiver, uint256 amount) = works.royaltyInfo(work, 999);
        vm.assertEq(receiver, works.tillOf(work));
        vm.assertEq(amount, 49);
        (, amount) = works.royaltyInfo(work, type(uint256).max);
        vm.assertEq(amount, type(uint256).max / 20);
    }

    /// @dev Ids are those of the standards, as they are published.
    function test_supportsInterface_standards_areSupported() external view {
        bytes4[6] memory ids = [bytes4(0x80ac58cd), 0x2a55205a, 0x702c55a6, 0x49064906, 0x01ffc9a7, 0x5b5e139f];
        for (uint256 i = 0; i < ids.length; ++i) {
            vm.assertTrue(works.supportsInterface(ids[i]));
        }
        vm.assertEq(bytes32(type(IERC721).interfaceId), bytes32(ids[0]));
        vm.assertEq(bytes32(type(IERC2981).interfaceId), bytes32(ids[1]));
        vm.assertEq(bytes32(type(IERC7007).interfaceId), bytes32(ids[2]));
        vm.assertTrue(works.supportsInterface(type(IWorks).interfaceId));
        vm.assertFalse(works.supportsInterface(0xffffffff));
        vm.assertFalse(works.supportsInterface(0xfa1a557a)); // ERC-7007's enumeration, which is not implemented
    }

    function test_market_interfaces_areSupported() external view {
        vm.assertTrue(Market(address(market)).supportsInterface(type(IMarket).interfaceId));
        vm.assertTrue(Market(address(market)).supportsInterface(type(IERC165).interfaceId));
        vm.assertFalse(Market(address(market)).supportsInterface(0xffffffff));
    }

    function test_setStanding_bySimilarity_isStored() external {
        (uint256 younger, uint256 older) = (registerAs(ALICE, "picture"), registerAs(BOB, "picture"));
        vm.expectEmit(address(works));
        emit IWorks.StandingChanged(younger, Standing.Flagged, older);
        vm.expectEmit(address(works));
        emit MetadataUpdate(younger);
        similarity.set(younger, Standing.Flagged, older);
        vm.assertEq(uint256(works.standingOf(younger)), uint256(Standing.Flagged));
        vm.assertEq(uint256(works.workOf(younger).standing), uint256(Standing.Flagged));
        vm.assertEq(works.workOf(younger).creator, ALICE);
    }

    function test_setStanding_byAnother_reverts() external {
        uint256 work = registerAs(ALICE, "picture");
        vm.expectRevert(abi.encodeWithSelector(IWorks.NotSimilarity.selector, address(this)));
        works.setStanding(work, Standing.Upheld, 0);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IWorks.NotSimilarity.selector, ALICE));
        works.setStanding(work, Standing.Clear, 0);
    }

    function test_setStanding_unknownWork_reverts() external {
        vm.expectRevert(nonexistent(7));
        similarity.set(7, Standing.Upheld, 0);
    }

    /// @dev Nobody can send from the zero address; a simulation can.
    function test_setStanding_withoutSimilarity_staysWithNobody() external {
        Works bare = new Works(ledger, BASE, "");
        vm.assertEq(bare.SIMILARITY(), address(0));
        uint256 work = bare.register(named("picture"));
        vm.expectRevert(abi.encodeWithSelector(IWorks.NotSimilarity.selector, address(this)));
        bare.setStanding(work, Standing.Upheld, 0);
    }

    function test_deploy_parts_knowEachOther() external view {
        vm.assertEq(address(market.WORKS()), address(works));
        vm.assertEq(address(similarity.WORKS()), address(works));
        vm.assertEq(address(works.LEDGER()), address(ledger));
        vm.assertEq(works.HOME_CHAIN(), block.chainid);
    }

    function test_deploy_ledgerWithoutCode_reverts() external {
        vm.expectRevert(abi.encodeWithSelector(IWorks.CodeMissing.selector, ALICE));
        new Works(IInferenceLedger(ALICE), BASE, "");
    }

    function test_deploy_similarityThatReverts_reverts() external {
        bytes memory creation = abi.encodePacked(type(OpenSimilarity).creationCode, abi.encode(false));
        vm.expectRevert(abi.encodeWithSelector(IWorks.SimilarityFailed.selector));
        new Works(ledger, BASE, creation);
        vm.expectRevert(abi.encodeWithSelector(IWorks.SimilarityFailed.selector));
        new Works(ledger, BASE, hex"00"); // creates an account without code
    }

    function commitmentOf(address creator, Registration memory what) private pure returns (bytes32) {
        return keccak256(abi.encode(creator, what.content, what.pixels, what.salt));
    }

    function refuses(Registration memory what, uint256 value, bytes memory why) private {
        vm.prank(ALICE);
        vm.expectRevert(why);
        works.register{value: value}(what);
    }
}
