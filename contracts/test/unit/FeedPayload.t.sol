// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Level} from "../../src/interfaces/IFeedHub.sol";
import {FeedPayload, Payload} from "../../src/libraries/FeedPayload.sol";
import {Draft, Feeds} from "../support/Feeds.sol";

/// @notice The encoding of payloads: what Python writes is read, and nothing beside it.
contract FeedPayloadTest is Feeds {
    function read(bytes calldata payload) external pure returns (Payload memory) {
        return FeedPayload.read(payload);
    }

    function digest(bytes calldata payload) external pure returns (bytes32) {
        return FeedPayload.digest(payload);
    }

    function request(bytes calldata payload) external pure returns (bytes32) {
        Payload memory part = FeedPayload.read(payload);
        return FeedPayload.requestId(part, uint40(part.round));
    }

    function tails(bytes calldata payload) external pure returns (bytes memory, int256[] memory, bytes memory) {
        Payload memory part = FeedPayload.read(payload);
        return (FeedPayload.inputs(payload, part), FeedPayload.outputs(payload, part), FeedPayload.proof(payload, part));
    }

    function test_read_vectors_agreeWithPython() external view {
        string memory json = vm.readFile("../tests/vectors/feeds.json");
        for (uint256 i = 0; i < 4; ++i) {
            string memory path = string.concat(".payloads[", vm.toString(i), "].");
            bytes memory payload = vm.parseJsonBytes(json, string.concat(path, "encoded"));
            Payload memory part = this.read(payload);
            vm.assertEq(part.configDigest, vm.parseJsonBytes32(json, string.concat(path, "configDigest")));
            vm.assertEq(part.feedId, vm.parseJsonBytes32(json, string.concat(path, "feedId")));
            vm.assertEq(part.round, vm.parseJsonUint(json, string.concat(path, "round")));
            vm.assertEq(part.observedAt, vm.parseJsonUint(json, string.concat(path, "observedAt")));
            vm.assertEq(part.answer, vm.parseJsonInt(json, string.concat(path, "answer")));
            vm.assertEq(part.sourceDigest, vm.parseJsonBytes32(json, string.concat(path, "sourceDigest")));
            vm.assertEq(this.digest(payload), vm.parseJsonBytes32(json, string.concat(path, "signingHash")));
            vm.assertEq(this.request(payload), vm.parseJsonBytes32(json, string.concat(path, "requestId")));
            (bytes memory inputs, int256[] memory outputs, bytes memory proof) = this.tails(payload);
            vm.assertEq(inputs, vm.parseJsonBytes(json, string.concat(path, "inputs")));
            vm.assertEq(proof, vm.parseJsonBytes(json, string.concat(path, "proof")));
            vm.assertEq(
                keccak256(abi.encode(outputs)),
                keccak256(abi.encode(vm.parseJsonIntArray(json, string.concat(path, "outputs"))))
            );
        }
    }

    function test_digest_configs_agreeWithPython() external {
        string memory json = vm.readFile("../tests/vectors/feeds.json");
        for (uint256 i = 0; i < 4; ++i) {
            string memory path = string.concat(".configs[", vm.toString(i), "].");
            uint256[4] memory counts = [uint256(1), 3, 5, 31];
            address[] memory signers = new address[](counts[i]);
            for (uint256 j = 0; j < signers.length; ++j) {
                string memory place = string.concat("signers[", vm.toString(j), "]");
                signers[j] = vm.parseJsonAddress(json, string.concat(path, place));
            }
            uint8 threshold = uint8(vm.parseJsonUint(json, string.concat(path, "threshold")));
            vm.assertEq(hub.configure(signers, threshold), vm.parseJsonBytes32(json, string.concat(path, "digest")));
        }
    }

    function test_read_everyLength_butTheWhole_isRefused() external {
        bytes memory good = encode(proven(NOW));
        for (uint256 size = 0; size < good.length; size += 7) {
            refusesToRead(resized(good, size));
        }
        refusesToRead(abi.encodePacked(good, bytes1(0)));
        refusesToRead(abi.encodePacked(good, bytes32(0)));
    }

    function test_read_fiveElements_areRefused() external {
        bytes32[] memory none = new bytes32[](0);
        bytes32[3] memory context;
        refusesToRead(abi.encode(context, new bytes(0x120), none, none, bytes32(0)));
    }

    function test_read_everyOffsetOrLengthChanged_isRefused() external {
        bytes memory good = encode(proven(NOW));
        // The heads with offsets; then the lengths of report, rs, ss, inputs, outputs and proof.
        uint16[12] memory places = [0x60, 0x80, 0xa0, 0x100, 0x120, 0x140, 0x160, 0x2a0, 0x320, 0x3a0, 0x3e0, 0x440];
        for (uint256 i = 0; i < places.length; ++i) {
            uint256 word = readWord(good, places[i] / 32);
            uint256[6] memory others =
                [word + 1, word - 1, word + 32, word ^ (1 << 255), type(uint256).max, type(uint256).max - 31];
            for (uint256 j = 0; j < others.length; ++j) {
                // Inputs with a zero byte more are other inputs, which the hub refuses for their size.
                if (places[i] == 0x3a0 && j == 0) continue;
                bytes memory bad = copyOf(good);
                writeWord(bad, places[i] / 32, others[j]);
                refusesToRead(bad);
            }
        }
    }

    function test_read_padding_isRefused() external {
        bytes memory bad = encode(proven(NOW));
        bad[0x3c0 + 2] = 0x01; // after inputs of two bytes
        refusesToRead(bad);
    }

    function test_read_onlyOneOfOutputsAndProof_isRefused() external {
        Draft memory made = proven(NOW);
        made.proof = "";
        refusesToRead(encode(made));
        made = proven(NOW);
        made.outputs = new int256[](0);
        refusesToRead(encode(made));
    }

    function test_read_32Signatures_areRefused() external {
        Draft memory made = attested(NOW, ANSWER);
        made.keys = keysFrom(1, 31);
        this.read(encode(made));
        made.keys = keysFrom(1, 32);
        refusesToRead(encode(made));
    }

    /// @dev The moved copy of a tail decodes to the same elements, and is another encoding.
    function test_read_tailElsewhere_isRefused() external {
        bytes memory good = encode(proven(NOW));
        bytes memory bad = abi.encodePacked(good, bytes32(uint256(2)), bytes32(INPUTS));
        writeWord(bad, 0x100 / 32, good.length);
        refusesToRead(bad);
    }

    /// @dev Ten thousand payloads with one or two bytes changed, cut, added or moved. Nothing is accepted: every byte is
    /// signed, or proven, or has one form.
    function test_verify_anyMutation_isRefused() external {
        bytes memory good = encode(proven(NOW));
        for (uint256 seed = 0; seed < 100; ++seed) {
            vm.assertEq(this.refused(good, seed, 100), 100);
        }
        requireStored(uint40(NOW / TICK), 0, 0, Level.None);
        hub.verify(good, "");
    }

    /// @dev How many mutations of one seed are refused; called from outside, so that its memory is given back.
    function refused(bytes calldata good, uint256 seed, uint256 wanted) external returns (uint256 count) {
        uint256 random = uint256(keccak256(abi.encode("mutations", seed)));
        for (uint256 tried = 0; tried < wanted;) {
            random = uint256(keccak256(abi.encode(random)));
            bytes memory bad = mutated(good, random);
            if (keccak256(bad) == keccak256(good)) continue;
            (bool success,) = address(hub).call{gas: 300_000}(abi.encodeCall(hub.verify, (bad, "")));
            if (!success) ++count;
            ++tried;
        }
    }

    function mutated(bytes memory good, uint256 random) private pure returns (bytes memory bad) {
        uint256 kind = random % 8;
        uint256 place = (random >> 8) % good.length;
        uint256 other = (random >> 40) % good.length;
        if (kind == 0) return resized(good, place);
        if (kind == 1) return abi.encodePacked(good, resized(abi.encode(random), 1 + random % 32));
        bad = copyOf(good);
        bytes1 noise = bytes1(uint8(random >> 72));
        if (kind == 2) bad[place] = noise;
        if (kind == 3) bad[place] ^= bytes1(uint8(1 << (random >> 72) % 8));
        if (kind == 4) (bad[place], bad[other]) = (bad[other], bad[place]);
        if (kind == 5) (bad[place], bad[other]) = (noise, bytes1(uint8(random >> 80)));
        if (kind == 6) writeWord(bad, place / 32, readWord(bad, other / 32));
        if (kind == 7) writeWord(bad, place / 32, readWord(bad, place / 32) + 1);
    }

    function refusesToRead(bytes memory payload) private {
        vm.expectRevert(FeedPayload.NonCanonicalPayload.selector);
        this.read(payload);
    }
}
