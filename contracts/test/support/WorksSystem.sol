// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {COMMERCIAL, DERIVATIVES, IMarket, Offer} from "../../src/interfaces/IMarket.sol";
import {ITill} from "../../src/interfaces/ITill.sol";
import {IWorks, Kind, Origin, Registration, Standing} from "../../src/interfaces/IWorks.sol";
import {Works} from "../../src/works/Works.sol";
import {System} from "./System.sol";

/// @notice Changes standings on request.
contract OpenSimilarity {
    IWorks public immutable WORKS;

    constructor(bool works) {
        require(works, "not now");
        WORKS = IWorks(msg.sender);
    }

    function set(uint256 work, Standing standing, uint256 older) external {
        WORKS.setStanding(work, standing, older);
    }
}

/// @notice Refuses every payment, and holds tokens.
contract Refuser {
    receive() external payable {
        revert("no");
    }

    function act(address target, bytes calldata data) external payable returns (bytes memory) {
        (bool success, bytes memory returned) = target.call{value: msg.value}(data);
        if (!success) {
            assembly ("memory-safe") {
                revert(add(returned, 0x20), mload(returned))
            }
        }
        return returned;
    }
}

/// @notice The works beside the ledger of System, with a contract that changes standings on request.
abstract contract WorksSystem is System {
    address internal constant CAROL = address(0xca401);
    string internal constant BASE = "https://example.org/v1/works/";
    uint8 internal constant REMIX = COMMERCIAL | DERIVATIVES;
    bytes32 internal constant TERMS = keccak256("terms");

    Works internal works;
    IMarket internal market;
    OpenSimilarity internal similarity;

    function setUp() public virtual override {
        super.setUp();
        works = new Works(ledger, BASE, abi.encodePacked(type(OpenSimilarity).creationCode, abi.encode(true)));
        market = works.MARKET();
        similarity = OpenSimilarity(works.SIMILARITY());
        vm.deal(CAROL, 1 ether);
    }

    /// @dev A registration without parents; the content is the digest of a name.
    function named(string memory name) internal pure returns (Registration memory what) {
        what.content = keccak256(bytes(name)); // sha256 would be a call, which cheat codes count
        what.kind = Kind.Image;
        what.origin = Origin.Human;
        what.resaleBps = 500;
        what.uri = "ipfs://bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
    }

    function registerAs(address creator, string memory name) internal returns (uint256) {
        return registerAs(creator, named(name), 0);
    }

    function registerAs(address creator, Registration memory what, uint256 value) internal returns (uint256) {
        vm.prank(creator);
        return works.register{value: value}(what);
    }

    /// @dev A work under licences that its creator buys on the way.
    function derivedFrom(address creator, string memory name, bytes32[] memory offers) internal returns (uint256) {
        Registration memory what = named(name);
        what.offers = offers;
        uint256 value = pricesOf(offers);
        vm.deal(creator, creator.balance + value);
        return registerAs(creator, what, value);
    }

    function pricesOf(bytes32[] memory offers) internal view returns (uint256 sum) {
        for (uint256 i = 0; i < offers.length; ++i) {
            (Offer memory terms,) = market.offerOf(offers[i]);
            sum += terms.price;
        }
    }

    function terms_(uint256 work, uint96 price, uint16 shareBps, uint8 uses) internal pure returns (Offer memory) {
        return Offer({
            work: work, price: price, duration: 0, shareBps: shareBps, uses: uses, terms: TERMS, uri: "ipfs://terms"
        });
    }

    function offerOf(uint256 work, uint96 price, uint16 shareBps, uint8 uses) internal returns (bytes32) {
        return offered(terms_(work, price, shareBps, uses));
    }

    function offered(Offer memory terms) internal returns (bytes32) {
        vm.prank(works.ownerOf(terms.work));
        return market.offer(terms);
    }

    function buyAs(address buyer, bytes32 id) internal returns (uint256) {
        (Offer memory terms,) = market.offerOf(id);
        vm.deal(buyer, buyer.balance + terms.price);
        vm.prank(buyer);
        return market.buy{value: terms.price}(id, buyer, 0);
    }

    function payWork(uint256 work, uint256 amount) internal {
        vm.deal(address(this), address(this).balance + amount);
        market.pay{value: amount}(work);
    }

    function settle(uint256 work) internal {
        market.settle(list(work));
    }

    function openTill(uint256 work) internal returns (ITill) {
        return ITill(works.openTill(work));
    }

    function list(uint256 one) internal pure returns (uint256[] memory all) {
        all = new uint256[](1);
        all[0] = one;
    }

    function list(uint256 one, uint256 two) internal pure returns (uint256[] memory all) {
        all = new uint256[](2);
        (all[0], all[1]) = (one, two);
    }

    function list(bytes32 one) internal pure returns (bytes32[] memory all) {
        all = new bytes32[](1);
        all[0] = one;
    }

    function list(bytes32 one, bytes32 two) internal pure returns (bytes32[] memory all) {
        all = new bytes32[](2);
        (all[0], all[1]) = (one, two);
    }

    function nonexistent(uint256 work) internal pure returns (bytes memory) {
        return abi.encodeWithSignature("ERC721NonexistentToken(uint256)", work);
    }
}
