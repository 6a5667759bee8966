// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC7007} from "../../src/interfaces/IERC7007.sol";
import {IInferenceLedger, Request} from "../../src/interfaces/IInferenceLedger.sol";
import {IWorks, Origin, Registration, Work} from "../../src/interfaces/IWorks.sol";
import {WorksSystem} from "../support/WorksSystem.sol";

/// @notice Works whose generation a record of the ledger proves; Alice is the requester.
contract WorksProvenTest is WorksSystem {
    event MetadataUpdate(uint256 _tokenId);

    bytes32 private digest;

    function setUp() public override {
        super.setUp();
        digest = sha256(words());
        vm.prank(BOB);
        works.setRegistrar(ALICE, true);
    }

    function test_registerProven_requester_registersForACreator() external {
        bytes32 record = recorded(0);
        Registration memory what = generated();
        uint256 work = works.idOf(BOB, what.content);
        vm.expectEmit(address(works));
        emit IWorks.GenerationProven(work, record, listing);
        vm.expectEmit(address(works));
        emit IERC7007.AigcData(work, abi.encode(requestOf(0)), words(), "");
        vm.prank(ALICE);
        works.registerProven(what, BOB, requestOf(0), answers());
        Work memory stored = works.workOf(work);
        vm.assertEq(stored.record, record);
        vm.assertEq(stored.creator, BOB);
        vm.assertEq(works.ownerOf(work), BOB);
        vm.assertEq(works.workOfRecord(record), work);
    }

    /// @dev Or anybody who has the same answer proven could name himself a parent of Bob's work, and share what it earns.
    function test_registerProven_notTheCreatorsRegistrar_reverts() external {
        recorded(0);
        Registration memory what = generated();
        what.offers = list(offerOf(registerAs(ALICE, "parent"), 0, 5000, REMIX));
        vm.prank(BOB);
        works.setRegistrar(ALICE, false);
        refusesProven(what, requestOf(0), abi.encodeWithSelector(IWorks.NotRegistrar.selector, BOB, ALICE));
    }

    function test_registerProven_operatorOfTheCreatorsTokens_reverts() external {
        recorded(0);
        vm.prank(CAROL);
        works.setApprovalForAll(ALICE, true);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IWorks.NotRegistrar.selector, CAROL, ALICE));
        works.registerProven(generated(), CAROL, requestOf(0), answers());
    }

    function test_setRegistrar_lastsUntilItIsEnded() external {
        vm.assertTrue(works.isRegistrar(BOB, ALICE));
        vm.assertFalse(works.isRegistrar(ALICE, BOB));
        vm.expectEmit(address(works));
        emit IWorks.RegistrarSet(BOB, ALICE, false);
        vm.prank(BOB);
        works.setRegistrar(ALICE, false);
        vm.assertFalse(works.isRegistrar(BOB, ALICE));
    }

    function test_transferFrom_asARegistrar_reverts() external {
        uint256 work = registerAs(BOB, "work");
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSignature("ERC721InsufficientApproval(address,uint256)", ALICE, work));
        works.transferFrom(BOB, ALICE, work);
    }

    function test_registerProven_asTheCreator_needsNoRegistrar() external {
        recorded(0);
        vm.assertEq(works.ownerOf(prove(ALICE, 0)), ALICE);
    }

    function test_registerProven_notTheRequester_reverts() external {
        recorded(0);
        vm.expectRevert(abi.encodeWithSelector(IWorks.NotTheRequester.selector, ALICE));
        works.registerProven(generated(), BOB, requestOf(0), answers());
    }

    function test_registerProven_notRecorded_reverts() external {
        bytes32 id = ask(requestOf(0));
        refusesProven(generated(), requestOf(0), abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
    }

    function test_registerProven_otherOutputs_reverts() external {
        bytes32 id = recorded(0);
        int256[] memory other = answers();
        other[0] += 1;
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id));
        works.registerProven(generated(), BOB, requestOf(0), other);
    }

    function test_registerProven_revoked_reverts() external {
        recorded(0);
        revoke();
        refusesProven(
            generated(), requestOf(0), abi.encodeWithSelector(IInferenceLedger.ModelRevoked.selector, listing)
        );
    }

    function test_registerProven_stopped_reverts() external {
        recorded(0);
        stopVerifier();
        refusesProven(
            generated(),
            requestOf(0),
            abi.encodeWithSelector(IInferenceLedger.VerifierNotLive.selector, binding.selector())
        );
    }

    function test_registerProven_otherContent_reverts() external {
        recorded(0);
        Registration memory what = generated();
        what.content = sha256("other");
        refusesProven(
            what,
            requestOf(0),
            abi.encodeWithSelector(IWorks.ContentMismatch.selector, sha256(words()), sha256("other"))
        );
    }

    function test_registerProven_otherOrigin_reverts() external {
        recorded(0);
        Registration memory what = generated();
        for (uint256 i = 0; i < 3; ++i) {
            what.origin = Origin(i);
            refusesProven(what, requestOf(0), abi.encodeWithSelector(IWorks.NotGenerated.selector, Origin(i)));
        }
    }

    function test_registerProven_recordAgain_reverts() external {
        bytes32 record = recorded(0);
        prove(BOB, 0);
        vm.prank(CAROL);
        works.setRegistrar(ALICE, true);
        vm.prank(ALICE);
        vm.expectRevert(abi.encodeWithSelector(IWorks.RecordUsed.selector, record));
        works.registerProven(generated(), CAROL, requestOf(0), answers());
    }

    function test_registerProven_sameWorkByAnotherRecord_reverts() external {
        recorded(0);
        recorded(1);
        uint256 work = prove(BOB, 0);
        refusesProven(generated(), requestOf(1), abi.encodeWithSelector(IWorks.AlreadyRegistered.selector, work));
    }

    function test_registerProven_paidOffers_giveTheCreatorTheLicence() external {
        recorded(0);
        uint256 parent = registerAs(CAROL, "parent");
        Registration memory what = generated();
        what.offers = list(offerOf(parent, 70, 1000, REMIX));
        vm.prank(ALICE);
        uint256 work = works.registerProven{value: 70}(what, BOB, requestOf(0), answers());
        (uint256[] memory parents, uint16[] memory bps) = works.parentsOf(work);
        vm.assertEq(parents[0], parent);
        vm.assertEq(bps[0], 1000);
        vm.assertEq(market.licenceOf(1).holder, BOB);
        vm.assertEq(market.pendingOf(parent), 70);
    }

    function test_addAigcData_ownerAndRequester_proves() external {
        bytes32 record = recorded(0);
        uint256 work = stated(Origin.Unstated);
        vm.expectEmit(address(works));
        emit IWorks.GenerationProven(work, record, listing);
        vm.expectEmit(address(works));
        emit IERC7007.AigcData(work, abi.encode(requestOf(0)), words(), "");
        vm.expectEmit(address(works));
        emit MetadataUpdate(work);
        add(work);
        vm.assertEq(works.workOf(work).record, record);
        vm.assertEq(uint256(works.workOf(work).origin), uint256(Origin.Generated));
    }

    function test_addAigcData_approvedRequester_proves() external {
        recorded(0);
        Registration memory what = generated();
        uint256 work = registerAs(BOB, what, 0);
        vm.prank(BOB);
        works.approve(ALICE, work);
        add(work);
        vm.assertEq(works.workOfRecord(ledger.idOf(requestOf(0))), work);
    }

    /// @dev Or a stranger could bind somebody's work to a listing of his own.
    function test_addAigcData_notTheOwner_reverts() external {
        recorded(0);
        uint256 work = registerAs(CAROL, generated(), 0);
        bytes memory why = abi.encodeWithSignature("ERC721InsufficientApproval(address,uint256)", ALICE, work);
        refusesData(work, abi.encode(requestOf(0)), words(), "", why);
    }

    /// @dev Or the owner of a copy could use up somebody's record.
    function test_addAigcData_notTheRequester_reverts() external {
        recorded(0);
        uint256 work = registerAs(BOB, generated(), 0);
        vm.prank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IWorks.NotTheRequester.selector, ALICE));
        works.addAigcData(work, abi.encode(requestOf(0)), words(), "");
    }

    function test_addAigcData_unknownWork_reverts() external {
        refusesData(7, abi.encode(requestOf(0)), words(), "", nonexistent(7));
    }

    function test_addAigcData_malformed_reverts() external {
        recorded(0);
        uint256 work = stated(Origin.Generated);
        bytes memory why = abi.encodeWithSelector(IWorks.NotAnAnswer.selector);
        bytes memory prompt = abi.encode(requestOf(0));
        refusesData(work, resized(prompt, prompt.length - 1), words(), "", why);
        refusesData(work, resized(prompt, prompt.length + 32), words(), "", why);
        refusesData(work, prompt, resized(words(), 63), "", why);
        refusesData(work, prompt, words(), "p", why);
        prompt[64] = 0x01; // above the consumer's address
        refusesData(work, prompt, words(), "", why);
    }

    function test_addAigcData_unsound_reverts() external {
        bytes32 id = recorded(0);
        uint256 work = stated(Origin.Generated);
        bytes memory why = abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, id);
        refusesData(work, abi.encode(requestOf(0)), new bytes(64), "", why);
        revoke();
        why = abi.encodeWithSelector(IInferenceLedger.ModelRevoked.selector, listing);
        refusesData(work, abi.encode(requestOf(0)), words(), "", why);
    }

    function test_addAigcData_otherContent_reverts() external {
        recorded(0);
        Registration memory what = named("other");
        what.origin = Origin.Generated;
        uint256 work = registerAs(ALICE, what, 0);
        bytes memory why = abi.encodeWithSelector(IWorks.ContentMismatch.selector, sha256(words()), what.content);
        refusesData(work, abi.encode(requestOf(0)), words(), "", why);
    }

    function test_addAigcData_statedHuman_reverts() external {
        recorded(0);
        uint256 work = stated(Origin.Human);
        bytes memory why = abi.encodeWithSelector(IWorks.NotGenerated.selector, Origin.Human);
        refusesData(work, abi.encode(requestOf(0)), words(), "", why);
    }

    function test_addAigcData_statedComposite_reverts() external {
        recorded(0);
        uint256 work = stated(Origin.Composite);
        bytes memory why = abi.encodeWithSelector(IWorks.NotGenerated.selector, Origin.Composite);
        refusesData(work, abi.encode(requestOf(0)), words(), "", why);
    }

    function test_addAigcData_again_reverts() external {
        recorded(0);
        recorded(1);
        uint256 work = stated(Origin.Generated);
        add(work);
        bytes memory why = abi.encodeWithSelector(IWorks.AlreadyProven.selector, work);
        refusesData(work, abi.encode(requestOf(1)), words(), "", why);
    }

    function test_addAigcData_recordOfAnotherWork_reverts() external {
        bytes32 record = recorded(0);
        prove(BOB, 0);
        uint256 work = stated(Origin.Generated);
        bytes memory why = abi.encodeWithSelector(IWorks.RecordUsed.selector, record);
        refusesData(work, abi.encode(requestOf(0)), words(), "", why);
    }

    function test_verify_recorded_isTrue() external {
        vm.assertFalse(verified());
        recorded(0);
        vm.assertTrue(verified());
    }

    function test_verify_afterRevocation_turnsFalse() external {
        recorded(0);
        revoke();
        vm.assertFalse(verified());
    }

    function test_verify_afterStop_turnsFalse() external {
        recorded(0);
        stopVerifier();
        vm.assertFalse(verified());
    }

    function test_verify_malformed_isFalse() external {
        recorded(0);
        bytes memory prompt = abi.encode(requestOf(0));
        vm.assertFalse(works.verify(resized(prompt, prompt.length + 32), words(), ""));
        vm.assertFalse(works.verify(resized(prompt, prompt.length - 32), words(), ""));
        vm.assertFalse(works.verify(prompt, resized(words(), 96), ""));
        vm.assertFalse(works.verify(prompt, resized(words(), 65), ""));
        vm.assertFalse(works.verify(prompt, words(), "p"));
        vm.assertFalse(works.verify("", "", ""));
        // A word more, which takes the place of the outputs' offset and points at the same outputs.
        vm.assertFalse(works.verify(abi.encodePacked(prompt, uint256(0x180)), words(), ""));
    }

    /// @dev Any change of a request or of its outputs is another answer, which is not recorded; or it is malformed.
    function testFuzz_verify_changedByte_isFalse(uint256 place, bytes1 noise) external {
        recorded(0);
        vm.assume(noise != 0);
        bytes memory all = abi.encodePacked(abi.encode(requestOf(0)), words());
        all[place % all.length] ^= noise;
        bytes memory changedWords = new bytes(64);
        for (uint256 i = 0; i < 64; ++i) {
            changedWords[i] = all[320 + i];
        }
        vm.assertFalse(works.verify(resized(all, 320), changedWords, ""));
    }

    function verified() private view returns (bool) {
        return works.verify(abi.encode(requestOf(0)), words(), "");
    }

    function recorded(uint256 salt) private returns (bytes32) {
        ask(requestOf(salt));
        return answer(requestOf(salt));
    }

    function generated() private view returns (Registration memory what) {
        what = named("");
        (what.content, what.origin) = (digest, Origin.Generated);
    }

    /// @dev Alice's work whose content is the answer.
    function stated(Origin origin) private returns (uint256) {
        Registration memory what = generated();
        what.origin = origin;
        return registerAs(ALICE, what, 0);
    }

    function prove(address creator, uint256 salt) private returns (uint256) {
        vm.prank(ALICE);
        return works.registerProven(generated(), creator, requestOf(salt), answers());
    }

    function add(uint256 work) private {
        vm.prank(ALICE);
        works.addAigcData(work, abi.encode(requestOf(0)), words(), "");
    }

    function words() private pure returns (bytes memory) {
        return abi.encodePacked(answers());
    }

    function revoke() private {
        vm.prank(PUBLISHER);
        registry.revoke(listing);
    }

    function stopVerifier() private {
        vm.prank(GUARDIAN);
        stop.stop();
    }

    function refusesProven(Registration memory what, Request memory asked, bytes memory why) private {
        vm.prank(ALICE);
        vm.expectRevert(why);
        works.registerProven(what, BOB, asked, answers());
    }

    function refusesData(uint256 work, bytes memory prompt, bytes memory data, bytes memory proof, bytes memory why)
        private
    {
        vm.prank(ALICE);
        vm.expectRevert(why);
        works.addAigcData(work, prompt, data, proof);
    }
}
