// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {Spec} from "../../src/interfaces/IFeedHub.sol";
import {Vm} from "./Test.sol";

/// @notice Reads feeds from the test vectors.
library FeedVectors {
    function read(Vm vm, string memory json, string memory path) internal pure returns (Spec memory spec) {
        spec.listing = vm.parseJsonBytes32(json, string.concat(path, ".listing"));
        spec.recipe = vm.parseJsonBytes32(json, string.concat(path, ".recipe"));
        spec.owner = vm.parseJsonAddress(json, string.concat(path, ".owner"));
        spec.source = vm.parseJsonAddress(json, string.concat(path, ".source"));
        spec.output = uint24(vm.parseJsonUint(json, string.concat(path, ".output")));
        spec.scale = uint8(vm.parseJsonUint(json, string.concat(path, ".scale")));
        spec.decimals = uint8(vm.parseJsonUint(json, string.concat(path, ".decimals")));
        spec.least = int192(vm.parseJsonInt(json, string.concat(path, ".least")));
        spec.most = int192(vm.parseJsonInt(json, string.concat(path, ".most")));
        spec.tolerance = uint64(vm.parseJsonUint(json, string.concat(path, ".tolerance")));
        spec.tick = uint32(vm.parseJsonUint(json, string.concat(path, ".tick")));
        spec.heartbeat = uint32(vm.parseJsonUint(json, string.concat(path, ".heartbeat")));
        spec.maxAge = uint32(vm.parseJsonUint(json, string.concat(path, ".maxAge")));
        spec.description = vm.parseJsonString(json, string.concat(path, ".description"));
    }
}
