// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Request} from "../../src/interfaces/IInferenceLedger.sol";
import {Vm} from "./Test.sol";

/// @notice Reads requests from the test vectors.
library Requests {
    function read(Vm vm, string memory json, string memory path) internal pure returns (Request memory) {
        return Request({
            listing: vm.parseJsonBytes32(json, string.concat(path, ".listing")),
            inputCommitment: vm.parseJsonBytes32(json, string.concat(path, ".inputCommitment")),
            consumer: vm.parseJsonAddress(json, string.concat(path, ".consumer")),
            requester: vm.parseJsonAddress(json, string.concat(path, ".requester")),
            expiry: uint64(vm.parseJsonUint(json, string.concat(path, ".expiry"))),
            prover: vm.parseJsonAddress(json, string.concat(path, ".prover")),
            proverFee: uint96(vm.parseJsonUint(json, string.concat(path, ".proverFee"))),
            refundTo: vm.parseJsonAddress(json, string.concat(path, ".refundTo")),
            ownerFee: uint96(vm.parseJsonUint(json, string.concat(path, ".ownerFee"))),
            salt: vm.parseJsonBytes32(json, string.concat(path, ".salt"))
        });
    }
}
