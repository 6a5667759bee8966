// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Order, Right, Studio} from "../../src/examples/Studio.sol";
import {Request} from "../../src/interfaces/IInferenceLedger.sol";
import {Offer} from "../../src/interfaces/IMarket.sol";
import {ITill} from "../../src/interfaces/ITill.sol";
import {Kind, Registration} from "../../src/interfaces/IWorks.sol";
import {Statement} from "./BindingVerifier.sol";
import {WorksSystem} from "./WorksSystem.sol";

/// @notice A studio with a model of two inputs and outputs, whose proofs tests can make. The publisher's model takes
/// 15 percent of a picture's income, Carol's prompt 5; Alice orders.
abstract contract StudioSystem is WorksSystem {
    uint96 internal constant MODEL_PRICE = 100;
    uint96 internal constant PROMPT_PRICE = 40;
    uint256 internal constant FEES = OWNER_FEE + PROVER_FEE;

    Studio internal studio;
    uint256 internal model;
    uint256 internal prompt;
    bytes32 internal modelOffer;
    bytes32 internal promptOffer;

    function setUp() public virtual override {
        super.setUp();
        model = ofKind(PUBLISHER, "model", Kind.Model);
        prompt = ofKind(CAROL, "prompt", Kind.Prompt);
        giveToTill(listing, PUBLISHER, model);
        modelOffer = offerOf(model, MODEL_PRICE, 1500, REMIX);
        promptOffer = offerOf(prompt, PROMPT_PRICE, 500, REMIX);
        studio = new Studio(works, listing, model);
        allow(ALICE, true);
        allow(BOB, true);
    }

    function allow(address creator, bool yes) internal {
        vm.prank(creator);
        works.setRegistrar(address(studio), yes);
    }

    function ofKind(address creator, string memory name, Kind kind) internal returns (uint256) {
        Registration memory what = named(name);
        what.kind = kind;
        return registerAs(creator, what, 0);
    }

    function giveToTill(bytes32 listing_, address owner, uint256 work) internal {
        ITill till = openTill(work);
        vm.prank(owner);
        registry.offerOwnership(listing_, address(till));
        vm.prank(owner);
        till.accept(registry, listing_);
    }

    function order() internal view returns (Order memory) {
        return Order(Right(modelOffer, 0), Right(promptOffer, 0), keccak256(INPUTS), PROVER, PROVER_FEE);
    }

    function commissionAs(address who, Order memory wanted, uint256 value) internal returns (bytes32) {
        vm.deal(who, value);
        vm.prank(who);
        return studio.commission{value: value}(wanted);
    }

    function commission() internal returns (bytes32) {
        return commissionAs(ALICE, order(), MODEL_PRICE + PROMPT_PRICE + FEES);
    }

    /// @dev The request that Alice's order of this number made.
    function made(uint256 number) internal view returns (Request memory asked) {
        asked = requestOf(number);
        (asked.consumer, asked.requester, asked.refundTo) = (address(studio), address(studio), ALICE);
    }

    function deliver(Request memory asked) internal returns (uint256) {
        Statement memory said = statementFor(asked);
        return studio.deliver(asked, said.inputs, said.outputs, prove(said));
    }

    function content() internal pure returns (bytes32) {
        return sha256(abi.encodePacked(answers()));
    }
}
