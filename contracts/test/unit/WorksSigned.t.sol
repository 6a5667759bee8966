// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {IERC1271} from "@openzeppelin/contracts/interfaces/IERC1271.sol";
import {IWorks, Kind, Origin, Registration} from "../../src/interfaces/IWorks.sol";
import {Works} from "../../src/works/Works.sol";
import {WorksSystem} from "../support/WorksSystem.sol";

/// @notice A wallet that agrees to one digest; or, when told so, that calls first.
contract Wallet is IERC1271 {
    bytes32 public agreed;
    address private _target;
    bytes private _data;

    function agree(bytes32 digest) external {
        agreed = digest;
    }

    function callFirst(address target, bytes calldata data) external {
        (_target, _data) = (target, data);
    }

    function isValidSignature(bytes32 digest, bytes memory signature) external view override returns (bytes4) {
        if (_target != address(0)) {
            // A call that changes nothing passes; any other fails in a static call.
            (bool success,) = _target.staticcall(_data);
            if (!success) return 0xffffffff;
        }
        return digest == agreed && signature.length == 1 ? this.isValidSignature.selector : bytes4(0xffffffff);
    }
}

/// @notice Registering for a creator who signed.
contract WorksSignedTest is WorksSystem {
    uint256 private constant KEY = 0xa11ce5;
    uint256 private constant DEADLINE = NOW + 1 days;
    bytes32 private constant DOMAIN =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    address private creator;

    function setUp() public override {
        super.setUp();
        creator = vm.addr(KEY);
    }

    function test_registerFor_signed_registersForTheCreator() external {
        vm.prank(BOB);
        uint256 work = works.registerFor(named("picture"), creator, DEADLINE, sign(named("picture")));
        vm.assertEq(works.ownerOf(work), creator);
        vm.assertEq(works.workOf(work).creator, creator);
        vm.assertEq(work, works.idOf(creator, named("picture").content));
    }

    function test_registerFor_offersOnTheWay_arePaidByThePlatformForTheCreator() external {
        uint256 parent = registerAs(ALICE, "parent");
        Registration memory what = named("picture");
        what.offers = list(offerOf(parent, 70, 1000, REMIX));
        bytes memory signature = sign(what);
        vm.prank(BOB);
        uint256 work = works.registerFor{value: 70}(what, creator, DEADLINE, signature);
        (uint256[] memory parents,) = works.parentsOf(work);
        vm.assertEq(parents[0], parent);
        vm.assertTrue(market.covers(1, parent, creator, REMIX));
        vm.assertFalse(market.covers(1, parent, BOB, REMIX));
        vm.assertEq(market.pendingOf(parent), 70);
    }

    function test_registerFor_commitment_countsForTheCreator() external {
        Registration memory what = named("picture");
        what.salt = "salt";
        works.commit(keccak256(abi.encode(creator, what.content, what.pixels, what.salt)));
        vm.warp(NOW + 1 hours);
        uint256 work = works.registerFor(what, creator, DEADLINE, sign(what));
        vm.assertEq(works.workOf(work).since, NOW);
    }

    function test_registerFor_atTheDeadline_passes() external {
        vm.warp(DEADLINE);
        works.registerFor(named("picture"), creator, DEADLINE, sign(named("picture")));
    }

    function test_registerFor_afterTheDeadline_reverts() external {
        vm.warp(DEADLINE + 1);
        bytes memory signature = sign(named("picture"));
        vm.expectRevert(abi.encodeWithSelector(IWorks.AgreementExpired.selector, DEADLINE));
        works.registerFor(named("picture"), creator, DEADLINE, signature);
    }

    function test_registerFor_again_reverts() external {
        bytes memory signature = sign(named("picture"));
        uint256 work = works.registerFor(named("picture"), creator, DEADLINE, signature);
        vm.prank(creator);
        works.transferFrom(creator, BOB, work);
        vm.expectRevert(abi.encodeWithSelector(IWorks.AlreadyRegistered.selector, work));
        works.registerFor(named("picture"), creator, DEADLINE, signature);
    }

    /// @dev Every field is signed.
    function test_registerFor_anyFieldChanged_reverts() external {
        bytes memory signature = sign(signedWork());
        for (uint256 field = 0; field < 11; ++field) {
            refuses(changed(field), creator, DEADLINE, signature);
        }
        refuses(signedWork(), BOB, DEADLINE, signature);
        refuses(signedWork(), creator, DEADLINE + 1, signature);
    }

    function test_registerFor_otherWorksOrChain_reverts() external {
        bytes memory signature = sign(named("picture"));
        Works other = new Works(ledger, BASE, "");
        vm.expectRevert(abi.encodeWithSelector(IWorks.BadSignature.selector));
        other.registerFor(named("picture"), creator, DEADLINE, signature);
        vm.chainId(2);
        refuses(named("picture"), creator, DEADLINE, signature);
    }

    function test_registerFor_badSignatures_revert() external {
        bytes memory good = sign(named("picture"));
        bytes memory bad = copyOf(good);
        bad[10] ^= 0x01;
        refuses(named("picture"), creator, DEADLINE, bad);
        refuses(named("picture"), creator, DEADLINE, "");
        refuses(named("picture"), creator, DEADLINE, new bytes(65));
        refuses(named("picture"), address(0), DEADLINE, new bytes(65));
        refuses(named("picture"), creator, DEADLINE, abi.encodePacked(good, bytes1(0)));
        refuses(named("picture"), creator, DEADLINE, malleated(good));
    }

    function test_digestOf_anyWork_isOfEip712() external view {
        Registration memory what = signedWork();
        bytes32 domain =
            keccak256(abi.encode(DOMAIN, keccak256("zkinfer works"), keccak256("1"), block.chainid, address(works)));
        bytes memory first = abi.encode(
            keccak256(
                "Registration(address creator,bytes32 content,bytes32 salt,bytes32 manifest,bytes32 attestation,bytes32 pixels,uint8 kind,uint8 origin,uint16 resaleBps,uint256[] licences,bytes32[] offers,string uri,uint256 deadline)"
            ),
            creator,
            what.content,
            what.salt,
            what.manifest,
            what.attestation,
            what.pixels
        );
        bytes memory second = abi.encode(
            uint8(what.kind),
            uint8(what.origin),
            what.resaleBps,
            keccak256(abi.encodePacked(what.licences)),
            keccak256(abi.encodePacked(what.offers)),
            keccak256(bytes(what.uri)),
            DEADLINE
        );
        bytes32 digest = keccak256(abi.encodePacked(hex"1901", domain, keccak256(abi.encodePacked(first, second))));
        vm.assertEq(works.digestOf(what, creator, DEADLINE), digest);
    }

    function test_registerFor_wallet_registersForTheWallet() external {
        Wallet wallet = new Wallet();
        wallet.agree(works.digestOf(named("picture"), address(wallet), DEADLINE));
        uint256 work = works.registerFor(named("picture"), address(wallet), DEADLINE, "s");
        vm.assertEq(works.ownerOf(work), address(wallet));
    }

    function test_registerFor_walletThatDoesNotAgree_reverts() external {
        Wallet wallet = new Wallet();
        wallet.agree(works.digestOf(named("other"), address(wallet), DEADLINE));
        refuses(named("picture"), address(wallet), DEADLINE, "s");
        wallet.agree(works.digestOf(named("picture"), address(wallet), DEADLINE));
        refuses(named("picture"), address(wallet), DEADLINE, "two bytes or more");
    }

    function test_registerFor_walletThatReads_passes() external {
        Wallet wallet = new Wallet();
        wallet.agree(works.digestOf(named("picture"), address(wallet), DEADLINE));
        wallet.callFirst(address(market), abi.encodeCall(market.creditOf, (ALICE)));
        works.registerFor(named("picture"), address(wallet), DEADLINE, "s");
    }

    /// @dev What a wallet calls while it is asked cannot change anything.
    function test_registerFor_walletThatReenters_reverts() external {
        uint256 paid = registerAs(ALICE, "paid");
        payWork(paid, 100);
        Wallet wallet = new Wallet();
        wallet.agree(works.digestOf(named("picture"), address(wallet), DEADLINE));
        bytes[4] memory calls = [
            abi.encodeCall(works.register, (named("other"))),
            abi.encodeCall(works.registerFor, (named("picture"), address(wallet), DEADLINE, bytes("s"))),
            abi.encodeCall(works.commit, (bytes32("c"))),
            abi.encodeCall(market.settle, (list(paid)))
        ];
        for (uint256 i = 0; i < calls.length; ++i) {
            wallet.callFirst(i < 3 ? address(works) : address(market), calls[i]);
            refuses(named("picture"), address(wallet), DEADLINE, "s");
        }
        vm.assertEq(market.pendingOf(paid), 100);
    }

    function signedWork() private pure returns (Registration memory what) {
        what = named("picture");
        what.licences = list(uint256(1));
        what.offers = list(bytes32("offer"));
    }

    function changed(uint256 field) private pure returns (Registration memory what) {
        what = signedWork();
        if (field == 0) what.content = "other";
        else if (field == 1) what.salt = "other";
        else if (field == 2) what.manifest = "other";
        else if (field == 3) what.attestation = "other";
        else if (field == 4) what.pixels = "other";
        else if (field == 5) what.kind = Kind.Model;
        else if (field == 6) what.origin = Origin.Generated;
        else if (field == 7) what.resaleBps = 501;
        else if (field == 8) what.licences = new uint256[](0);
        else if (field == 9) what.offers = new bytes32[](0);
        else what.uri = "other";
    }

    function sign(Registration memory what) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(KEY, works.digestOf(what, creator, DEADLINE));
        return abi.encodePacked(r, s, v);
    }

    /// @dev The other signature of the same message, which ECDSA alone would accept.
    function malleated(bytes memory signature) private pure returns (bytes memory other) {
        other = copyOf(signature);
        uint256 order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
        writeWord(other, 1, order - readWord(other, 1));
        other[64] = signature[64] == bytes1(uint8(27)) ? bytes1(uint8(28)) : bytes1(uint8(27));
    }

    function refuses(Registration memory what, address whom, uint256 deadline, bytes memory signature) private {
        vm.expectRevert(abi.encodeWithSelector(IWorks.BadSignature.selector));
        works.registerFor(what, whom, deadline, signature);
    }
}
