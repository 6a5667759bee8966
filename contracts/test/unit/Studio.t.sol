// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InferenceConsumer} from "../../src/InferenceConsumer.sol";
import {Order, Right, Studio} from "../../src/examples/Studio.sol";
import {IInferenceLedger, Request} from "../../src/interfaces/IInferenceLedger.sol";
import {COMMERCIAL, IMarket, Offer} from "../../src/interfaces/IMarket.sol";
import {IWorks, Kind, Origin, Registration, Work} from "../../src/interfaces/IWorks.sol";
import {CanonicalCalldata} from "../../src/libraries/CanonicalCalldata.sol";
import {Visibility} from "../../src/libraries/StatementLayout.sol";
import {Statement} from "../support/BindingVerifier.sol";
import {StudioSystem} from "../support/StudioSystem.sol";

contract StudioTest is StudioSystem {
    function test_constructor_listingOfAnotherOwner_isRefused() external {
        bytes32 other = registerModel(Visibility.Public, 2, 3);
        vm.expectRevert(abi.encodeWithSelector(Studio.NotTheModel.selector, other, model));
        new Studio(works, other, model);
        vm.expectRevert(abi.encodeWithSelector(Studio.NotTheModel.selector, listing, prompt));
        new Studio(works, listing, prompt);
    }

    function test_commission_paysEverybodyAtOnce() external {
        vm.expectEmit(address(studio));
        emit Studio.Commissioned(ledger.idOf(made(0)), ALICE, prompt, list(1, 2), made(0));
        commission();
        vm.assertEq(market.pendingOf(model), MODEL_PRICE);
        vm.assertEq(market.pendingOf(prompt), PROMPT_PRICE);
        vm.assertEq(address(ledger).balance, FEES);
        vm.assertEq(address(studio).balance, 0);
        vm.assertEq(market.licenceOf(1).holder, ALICE);
        vm.assertEq(market.licenceOf(2).holder, ALICE);
    }

    function test_commission_withLicences_paysTheFeesOnly() external {
        uint256 first = buyAs(ALICE, modelOffer);
        uint256 second = buyAs(ALICE, promptOffer);
        Order memory wanted = order();
        (wanted.model, wanted.prompt) = (Right(0, first), Right(0, second));
        commissionAs(ALICE, wanted, FEES);
        uint256 work = deliver(made(0));
        vm.assertEq(works.ownerOf(work), ALICE);
    }

    /// @dev More is not kept, and not taken for the prover.
    function test_commission_otherValue_isRefused() external {
        uint256 right = MODEL_PRICE + PROMPT_PRICE + FEES;
        refusesOrder(order(), right + 1, abi.encodeWithSelector(Studio.WrongValue.selector, right, right + 1));
        // With less, even the licences cannot be paid, or the fees are missing.
        refusesOrder(order(), right - 1, abi.encodeWithSelector(Studio.WrongValue.selector, right, right - 1));
    }

    function test_commission_coinOfNobody_isRefused() external {
        vm.deal(MALLORY, 1 ether);
        vm.prank(MALLORY);
        (bool success,) = address(studio).call{value: 1}("");
        vm.assertFalse(success);
    }

    function test_commission_offerOfAnotherModel_isRefused() external {
        Order memory wanted = order();
        wanted.model = wanted.prompt;
        refusesOrder(wanted, 2 * PROMPT_PRICE + FEES, unfit(1));
    }

    function test_commission_notAPrompt_isRefused() external {
        uint256 image = registerAs(CAROL, "image");
        Order memory wanted = order();
        wanted.prompt = Right(offerOf(image, 0, 0, REMIX), 0);
        refusesOrder(wanted, MODEL_PRICE + FEES, abi.encodeWithSelector(Studio.NotAPrompt.selector, image));
    }

    function test_commission_offerWithoutDerivatives_isRefused() external {
        Order memory wanted = order();
        wanted.prompt = Right(offerOf(prompt, 0, 0, COMMERCIAL), 0);
        refusesOrder(wanted, MODEL_PRICE + FEES, unfit(2));
    }

    function test_commission_licenceOfAnother_isRefused() external {
        Order memory wanted = order();
        wanted.prompt = Right(0, buyAs(BOB, promptOffer));
        refusesOrder(wanted, MODEL_PRICE + FEES, unfit(1));
    }

    function test_commission_noLicence_isRefused() external {
        Order memory wanted = order();
        wanted.prompt = Right(0, 0);
        refusesOrder(wanted, MODEL_PRICE + FEES, unfit(0));
    }

    /// @dev Else the picture could not be registered when the answer comes.
    function test_commission_licenceThatEndsBeforeTheAnswer_isRefused() external {
        Offer memory short = terms_(prompt, 0, 500, REMIX);
        short.duration = 1 hours - 1;
        Order memory wanted = order();
        wanted.prompt = Right(offered(short), 0);
        refusesOrder(wanted, MODEL_PRICE + FEES, unfit(2));
        short.duration = 1 hours;
        wanted.prompt = Right(offered(short), 0);
        commissionAs(ALICE, wanted, MODEL_PRICE + FEES);
        vm.warp(NOW + 1 hours);
        deliver(made(0));
    }

    /// @dev Parents share at most a half, so the picture could never be registered, and the licences were paid for.
    function test_commission_sharesAboveAHalf_isRefused() external {
        Order memory wanted = order();
        wanted.prompt = Right(offerOf(prompt, 0, 3501, REMIX), 0);
        refusesOrder(wanted, MODEL_PRICE + FEES, abi.encodeWithSelector(IWorks.TooMuchShared.selector, 5001));
        wanted.prompt = Right(offerOf(prompt, 0, 3500, REMIX), 0);
        commissionAs(ALICE, wanted, MODEL_PRICE + FEES);
        vm.assertEq(works.ownerOf(deliver(made(0))), ALICE);
    }

    function test_commission_withdrawnOffer_isRefused() external {
        vm.prank(CAROL);
        market.withdrawOffer(promptOffer);
        Order memory wanted = order();
        uint256 value = MODEL_PRICE + PROMPT_PRICE + FEES;
        refusesOrder(wanted, value, abi.encodeWithSelector(IMarket.NotOnOffer.selector, promptOffer));
    }

    /// @dev The model became dearer while the order was pending: nothing is spent.
    function test_commission_raisedFee_isRefused() external {
        uint256 sent = MODEL_PRICE + PROMPT_PRICE + FEES;
        address till = works.tillOf(model);
        vm.prank(till);
        registry.setFee(listing, OWNER_FEE + 1);
        refusesOrder(order(), sent, abi.encodeWithSelector(Studio.WrongValue.selector, sent + 1, sent));
    }

    function test_deliver_proven_registersForWhoeverOrdered() external {
        commission();
        uint256 expected = works.idOf(ALICE, content());
        vm.expectEmit(address(studio));
        emit Studio.Delivered(ledger.idOf(made(0)), ALICE, expected);
        vm.prank(MALLORY);
        vm.assertEq(deliver(made(0)), expected);
        Work memory work = works.workOf(expected);
        vm.assertEq(work.creator, ALICE);
        vm.assertEq(work.content, content());
        vm.assertEq(work.record, ledger.idOf(made(0)));
        vm.assertEq(uint256(work.origin), uint256(Origin.Generated));
        vm.assertEq(uint256(work.kind), uint256(Kind.Image));
        vm.assertEq(works.ownerOf(expected), ALICE);
        (uint256[] memory parents, uint16[] memory bps) = works.parentsOf(expected);
        vm.assertEq(parents.length, 2);
        vm.assertEq(parents[0], model);
        vm.assertEq(parents[1], prompt);
        vm.assertEq(uint256(bps[0]), 1500);
        vm.assertEq(uint256(bps[1]), 500);
    }

    function test_deliver_paysProverAndModel() external {
        commission();
        deliver(made(0));
        vm.assertEq(ledger.creditOf(PROVER), PROVER_FEE);
        openTill(model).collect(ledger);
        vm.assertEq(market.pendingOf(model), MODEL_PRICE + OWNER_FEE);
    }

    /// @dev As ERC-7007 asks: true while the answer may be acted on, and false for the right reason.
    function test_deliver_verify_turnsFalseWithTheStop() external {
        commission();
        deliver(made(0));
        (bytes memory asked, bytes memory said) = (abi.encode(made(0)), abi.encodePacked(answers()));
        vm.assertTrue(works.verify(asked, said, ""));
        said[31] ^= 0x01;
        vm.assertFalse(works.verify(asked, said, ""));
        said[31] ^= 0x01;
        vm.prank(GUARDIAN);
        stop.stop();
        vm.assertFalse(works.verify(asked, said, ""));
    }

    /// @dev What the owners do after the order cannot strand it.
    function test_deliver_withdrawnOffersAndDeprecatedModel_registers() external {
        commission();
        vm.prank(CAROL);
        market.withdrawOffer(promptOffer);
        vm.prank(PUBLISHER);
        market.withdrawOffer(modelOffer);
        address till = works.tillOf(model);
        vm.prank(till);
        registry.deprecate(listing, 0);
        vm.assertEq(works.ownerOf(deliver(made(0))), ALICE);
    }

    function test_deliver_recordedBefore_registers() external {
        commission();
        Statement memory said = statementFor(made(0));
        bytes memory proof = prove(said);
        vm.prank(PROVER);
        ledger.record(made(0), said.inputs, said.outputs, proof);
        uint256 work = studio.deliver(made(0), "", said.outputs, "");
        vm.assertEq(works.ownerOf(work), ALICE);
    }

    function test_deliver_twice_isRefused() external {
        commission();
        deliver(made(0));
        Statement memory said = statementFor(made(0));
        bytes memory why = abi.encodeWithSelector(InferenceConsumer.AlreadyAnswered.selector, ledger.idOf(made(0)));
        refusesAnswer(made(0), said.inputs, said.outputs, prove(said), why);
    }

    function test_deliver_otherOutputs_isRefused() external {
        commission();
        answer(made(0));
        Statement memory said = statementFor(made(0));
        said.outputs[0] = 1;
        bytes memory why = abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, ledger.idOf(made(0)));
        refusesAnswer(made(0), said.inputs, said.outputs, "", why);
    }

    function test_deliver_neverOrdered_isRefused() external {
        Statement memory said = statementFor(made(0));
        bytes memory why = abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, ledger.idOf(made(0)));
        refusesAnswer(made(0), said.inputs, said.outputs, prove(said), why);
    }

    function test_deliver_requestOfAnother_isRefused() external {
        Request memory foreign = requestOf(0);
        ask(foreign);
        Statement memory said = statementFor(foreign);
        bytes memory why = abi.encodeWithSelector(InferenceConsumer.ForeignRequest.selector);
        refusesAnswer(foreign, said.inputs, said.outputs, prove(said), why);
    }

    function test_deliver_shiftedArguments_isRefused() external {
        commission();
        Statement memory said = statementFor(made(0));
        bytes memory call_ = abi.encodeCall(Studio.deliver, (made(0), said.inputs, said.outputs, prove(said)));
        (bool success, bytes memory why) = address(studio).call(shifted(call_, 11, 64));
        vm.assertFalse(success);
        vm.assertEq(bytes32(why), bytes32(CanonicalCalldata.NonCanonicalCalldata.selector));
    }

    /// @dev The prover is paid all the same; the model's fee goes back to whoever ordered.
    function test_deliver_revokedModel_isRefused() external {
        commission();
        answer(made(0));
        address till = works.tillOf(model);
        vm.prank(till);
        registry.revoke(listing);
        bytes memory why = abi.encodeWithSelector(IInferenceLedger.ModelRevoked.selector, listing);
        refusesAnswer(made(0), "", answers(), "", why);
        vm.assertEq(ledger.creditOf(PROVER), PROVER_FEE);
    }

    /// @dev Mallory has the same picture proven, and would register it in Alice's name first, with parents of his own.
    function test_deliver_registeredByAnotherRequester_isRefused() external {
        commission();
        Request memory same = requestOf(7);
        (same.requester, same.consumer, same.refundTo) = (MALLORY, MALLORY, MALLORY);
        ask(same);
        answer(same);
        Registration memory what;
        (what.content, what.origin) = (content(), Origin.Generated);
        vm.expectRevert(abi.encodeWithSelector(IWorks.NotRegistrar.selector, ALICE, MALLORY));
        vm.prank(MALLORY);
        works.registerProven(what, ALICE, same, answers());
        (uint256[] memory parents,) = works.parentsOf(deliver(made(0)));
        vm.assertEq(parents.length, 2);
    }

    function test_deliver_registrarNoMore_paysTheProver() external {
        commission();
        allow(ALICE, false);
        uint256 work = deliver(made(0));
        vm.assertEq(ledger.creditOf(PROVER), PROVER_FEE);
        vm.expectRevert(nonexistent(work));
        works.ownerOf(work);
    }

    function test_commission_notARegistrar_isRefused() external {
        allow(ALICE, false);
        uint256 value = MODEL_PRICE + PROMPT_PRICE + FEES;
        refusesOrder(order(), value, abi.encodeWithSelector(Studio.NotRegistrar.selector, ALICE));
    }

    function test_deliver_samePictureAgain_isTheSameWork() external {
        commission();
        commission();
        vm.assertEq(deliver(made(0)), deliver(made(1)));
    }

    function test_deliver_samePictureForAnother_isAnotherWork() external {
        commission();
        commissionAs(BOB, order(), MODEL_PRICE + PROMPT_PRICE + FEES);
        Request memory bobs = made(1);
        bobs.refundTo = BOB;
        uint256 work = deliver(made(0));
        uint256 other = deliver(bobs);
        vm.assertFalse(work == other);
        vm.assertEq(works.ownerOf(other), BOB);
    }

    /// @dev Tokens are minted without asking: a contract that takes none gets its picture, and cannot interfere.
    function test_deliver_toAContractThatTakesNoTokens_isMinted() external {
        Eager eager = new Eager(studio);
        allow(address(eager), true);
        vm.deal(address(eager), 1 ether);
        eager.order(order(), MODEL_PRICE + PROMPT_PRICE + FEES);
        Request memory asked = made(0);
        asked.refundTo = address(eager);
        uint256 work = deliver(asked);
        vm.assertEq(works.ownerOf(work), address(eager));
        vm.assertEq(eager.calls(), 0);
    }

    function test_refund_afterTheExpiry_isWhoeverOrderedsAndLicencesStay() external {
        bytes32 id = commission();
        vm.warp(NOW + 1 hours + 1);
        vm.prank(MALLORY);
        vm.assertEq(ledger.refund(made(0)), id);
        vm.assertEq(ledger.creditOf(ALICE), FEES);
        Order memory wanted = order();
        (wanted.model, wanted.prompt) = (Right(0, 1), Right(0, 2));
        vm.prank(ALICE);
        ledger.withdraw(payable(ALICE));
        commissionAs(ALICE, wanted, FEES);
        Request memory again = made(1);
        again.expiry = uint64(block.timestamp + 1 hours);
        vm.assertEq(works.ownerOf(deliver(again)), ALICE);
    }

    function test_deliver_afterTheRefund_isRefused() external {
        commission();
        vm.warp(NOW + 1 hours + 1);
        ledger.refund(made(0));
        Statement memory said = statementFor(made(0));
        bytes memory why = abi.encodeWithSelector(IInferenceLedger.NotRecorded.selector, ledger.idOf(made(0)));
        refusesAnswer(made(0), said.inputs, said.outputs, prove(said), why);
    }

    function refusesOrder(Order memory wanted, uint256 value, bytes memory why) private {
        vm.deal(ALICE, value);
        vm.expectRevert(why);
        vm.prank(ALICE);
        studio.commission{value: value}(wanted);
    }

    function refusesAnswer(
        Request memory asked,
        bytes memory inputs,
        int256[] memory outputs,
        bytes memory proof,
        bytes memory why
    ) private {
        vm.expectRevert(why);
        studio.deliver(asked, inputs, outputs, proof);
    }

    function unfit(uint256 licence) private pure returns (bytes memory) {
        return abi.encodeWithSelector(Studio.UnfitLicence.selector, licence);
    }
}

/// @notice Orders, and would order again whenever it is called or paid.
contract Eager {
    Studio private immutable STUDIO;
    uint256 public calls;

    constructor(Studio studio) {
        STUDIO = studio;
    }

    fallback() external payable {
        ++calls;
        revert("no tokens");
    }

    receive() external payable {
        ++calls;
        revert("no coin");
    }

    function order(Order calldata wanted, uint256 value) external {
        STUDIO.commission{value: value}(wanted);
    }
}
