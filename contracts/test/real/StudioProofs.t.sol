// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {InferenceLedger} from "../../src/InferenceLedger.sol";
import {ModelRegistry} from "../../src/ModelRegistry.sol";
import {Order, Right, Studio} from "../../src/examples/Studio.sol";
import {Request} from "../../src/interfaces/IInferenceLedger.sol";
import {IInferenceVerifier} from "../../src/interfaces/IInferenceVerifier.sol";
import {COMMERCIAL, DERIVATIVES, IMarket, Offer} from "../../src/interfaces/IMarket.sol";
import {Registration as Listing} from "../../src/interfaces/IModelRegistry.sol";
import {ITill} from "../../src/interfaces/ITill.sol";
import {Kind, Registration} from "../../src/interfaces/IWorks.sol";
import {Layout, Visibility} from "../../src/libraries/StatementLayout.sol";
import {EmergencyStop} from "../../src/verifiers/EmergencyStop.sol";
import {VerifierRouter} from "../../src/verifiers/VerifierRouter.sol";
import {Works} from "../../src/works/Works.sol";
import {RoyaltyMarket} from "../conformance/RoyaltyMarket.sol";
import {Requests} from "../support/Requests.sol";
import {Test} from "../support/Test.sol";

/// @notice From an order to the parents' royalties, with the painter's own proofs.
contract StudioProofsTest is Test {
    address private constant GUARDIAN = address(0x9a8d);
    address private constant CAROL = address(0xca401);
    uint96 private constant FEE = 1000;
    uint96 private constant PROVER_FEE = 500;
    uint96 private constant MODEL_PRICE = 0.01 ether;
    uint96 private constant PROMPT_PRICE = 0.002 ether;
    uint256 private constant SALE = 1 ether + 7; // not a multiple of the shares

    string private json;
    EmergencyStop private stop;
    ModelRegistry private registry;
    InferenceLedger private ledger;
    Works private works;
    IMarket private market;
    Studio private studio;
    address private creator;
    address private publisher;
    uint256 private model;
    uint256 private prompt;
    Order private wanted;

    function setUp() external {
        json = vm.readFile("../tests/vectors/studio.json");
        vm.chainId(vm.parseJsonUint(json, ".chainId"));
        vm.warp(asked(0).expiry - 1 hours);
        (creator, publisher) = (addressOf("creator"), addressOf("publisher"));
        bytes32 listing = list();
        works = new Works(ledger, "", "");
        market = works.MARKET();
        model = register(publisher, "painter", Kind.Model);
        prompt = register(CAROL, "prompt", Kind.Prompt);
        ITill till = ITill(works.openTill(model));
        vm.startPrank(publisher);
        registry.offerOwnership(listing, address(till));
        till.accept(registry, listing);
        bytes32 first = market.offer(offer(model, MODEL_PRICE, 1500));
        vm.stopPrank();
        vm.prank(CAROL);
        bytes32 second = market.offer(offer(prompt, PROMPT_PRICE, 500));
        deployAt(addressOf("studio"), abi.encodePacked(type(Studio).creationCode, abi.encode(works, listing, model)));
        studio = Studio(addressOf("studio"));
        vm.prank(creator);
        works.setRegistrar(address(studio), true);
        wanted = Order(Right(first, 0), Right(second, 0), asked(0).inputCommitment, addressOf("prover"), PROVER_FEE);
    }

    function test_deliver_realProof_registersThePicture() external {
        commission(0);
        uint256 work = deliver(0);
        vm.assertEq(works.ownerOf(work), creator);
        vm.assertEq(works.workOf(work).content, sha256(abi.encodePacked(outputsOf(0))));
        vm.assertEq(works.workOf(work).record, vm.parseJsonBytes32(json, ".answers[0].id"));
        vm.assertTrue(works.verify(abi.encode(asked(0)), abi.encodePacked(outputsOf(0)), ""));
        vm.assertEq(ledger.creditOf(addressOf("prover")), PROVER_FEE);
        vm.prank(GUARDIAN);
        stop.stop();
        vm.assertFalse(works.verify(abi.encode(asked(0)), abi.encodePacked(outputsOf(0)), ""));
    }

    function test_deliver_twoPictures_areTwoWorks() external {
        commission(0);
        wanted.inputCommitment = asked(1).inputCommitment;
        commission(1);
        vm.assertFalse(deliver(0) == deliver(1));
    }

    function test_deliver_proofOfTheOtherPicture_isRefused() external {
        commission(0);
        Request memory request = asked(0);
        (bytes memory inputs, bytes memory other) = (bytesAt(0, "inputs"), bytesAt(1, "proof"));
        int256[] memory outputs = outputsOf(0);
        vm.expectRevert(IInferenceVerifier.ProofRejected.selector);
        studio.deliver(request, inputs, outputs, other);
    }

    /// @dev One sale on a marketplace that knows ERC-2981 only pays four parties, to the wei.
    function test_resale_onAPlainMarketplace_paysTheParents() external {
        commission(0);
        uint256 work = deliver(0);
        RoyaltyMarket other = new RoyaltyMarket();
        vm.startPrank(creator);
        works.approve(address(other), work);
        other.list(works, work, SALE);
        vm.stopPrank();
        uint256 before = creator.balance;
        vm.deal(BOB, SALE);
        vm.prank(BOB);
        other.buy{value: SALE}(works, work); // the till is not open yet
        uint256 royalty = SALE * 500 / 10_000;
        vm.assertEq(works.ownerOf(work), BOB);
        vm.assertEq(creator.balance - before, SALE - royalty);
        vm.assertEq(works.tillOf(work).balance, royalty);
        vm.assertEq(ITill(works.openTill(work)).sweep(), royalty);
        settleAll(work);
        uint256 toModel = royalty * 1500 / 10_000;
        uint256 toPrompt = royalty * 500 / 10_000;
        vm.assertEq(market.creditOf(publisher), MODEL_PRICE + toModel);
        vm.assertEq(market.creditOf(CAROL), PROMPT_PRICE + toPrompt);
        vm.assertEq(market.creditOf(BOB), royalty * 8000 / 10_000);
        uint256 credited = MODEL_PRICE + toModel + PROMPT_PRICE + toPrompt + market.creditOf(BOB);
        vm.assertEq(address(market).balance - credited, market.pendingOf(work)); // what rounding left
        vm.assertTrue(market.pendingOf(work) < 3);
    }

    /// @dev The fee of the proof reaches the model's owner through the till.
    function test_collect_afterTheProof_paysTheModel() external {
        commission(0);
        deliver(0);
        vm.assertEq(ITill(works.tillOf(model)).collect(ledger), FEE);
        vm.assertEq(market.pendingOf(model), MODEL_PRICE + FEE);
    }

    /// forge-config: default.isolate = true
    function test_gas_studio() external {
        commission(0);
        vm.snapshotGasLastCall("studio", "commission");
        deliver(0);
        vm.snapshotGasLastCall("studio", "deliver");
    }

    function list() private returns (bytes32 listing) {
        IInferenceVerifier verifier = IInferenceVerifier(create(vm.getCode("AshlarVerifier.sol:AshlarVerifier")));
        stop = new EmergencyStop(verifier, GUARDIAN);
        IInferenceVerifier[] memory first = new IInferenceVerifier[](1);
        first[0] = stop;
        VerifierRouter router = new VerifierRouter(address(this), first);
        registry = new ModelRegistry(router, true); // the vectors are under the setup for tests
        deployAt(
            addressOf("ledger"), abi.encodePacked(type(InferenceLedger).creationCode, abi.encode(registry, router))
        );
        ledger = InferenceLedger(addressOf("ledger"));
        Layout memory form = Layout(
            Visibility(number("visibility")),
            uint8(number("inputWidth")),
            uint32(number("inputs")),
            uint32(number("outputs"))
        );
        Listing memory declared =
            Listing(vm.parseJsonBytes32(json, ".model.onnxDigest"), verifier.selector(), form, FEE, "");
        bytes32[] memory key = wordsOf(vm.parseJsonBytes(json, ".model.key"));
        vm.prank(publisher);
        listing = registry.register(declared, key);
        vm.assertEq(listing, vm.parseJsonBytes32(json, ".model.listing"));
    }

    function register(address who, string memory name, Kind kind) private returns (uint256) {
        Registration memory what;
        (what.content, what.kind) = (keccak256(bytes(name)), kind);
        vm.prank(who);
        return works.register(what);
    }

    function offer(uint256 work, uint96 price, uint16 shareBps) private pure returns (Offer memory) {
        return Offer(work, price, 0, shareBps, COMMERCIAL | DERIVATIVES, keccak256("terms"), "");
    }

    function commission(uint256 place) private {
        uint256 value = uint256(MODEL_PRICE) + PROMPT_PRICE + FEE + PROVER_FEE;
        Order memory order = wanted;
        vm.deal(creator, value);
        vm.prank(creator);
        vm.assertEq(studio.commission{value: value}(order), vm.parseJsonBytes32(json, item(place, "id")));
    }

    function deliver(uint256 place) private returns (uint256) {
        return studio.deliver(asked(place), bytesAt(place, "inputs"), outputsOf(place), bytesAt(place, "proof"));
    }

    function settleAll(uint256 work) private {
        uint256[] memory all = new uint256[](3);
        (all[0], all[1], all[2]) = (work, model, prompt);
        market.settle(all);
    }

    function asked(uint256 place) private view returns (Request memory) {
        return Requests.read(vm, json, item(place, "request"));
    }

    function outputsOf(uint256 place) private view returns (int256[] memory) {
        return vm.parseJsonIntArray(json, item(place, "outputs"));
    }

    function bytesAt(uint256 place, string memory name) private view returns (bytes memory) {
        return vm.parseJsonBytes(json, item(place, name));
    }

    function addressOf(string memory name) private view returns (address) {
        return vm.parseJsonAddress(json, string.concat(".addresses.", name));
    }

    function number(string memory name) private view returns (uint256) {
        return vm.parseJsonUint(json, string.concat(".model.layout.", name));
    }

    function item(uint256 place, string memory name) private pure returns (string memory) {
        return string.concat(".answers[", vm.toString(place), "].", name);
    }
}
