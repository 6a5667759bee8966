// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @title The canary of Ashlar: the program of y = max(x, 0) for one public integer of eight bits
/// @notice Its key is made under the setup of a real ceremony, so that its proofs cannot be forged.
library AshlarCanary {
    /// @notice The key.
    function key() internal pure returns (bytes32[] memory words) {
        words = new bytes32[](10);
        // "zkinfer.ashlar.1", plain, public; n 1, nT 10, nB 11, c 11, S 1; 3 tables, 1 hidden block, 1 output, 1 chunk, 3 words
        words[0] = 0x7a6b696e6665722e6173686c61722e310100010a0b0b01030001000100010003;
        // tau*G2 of the ceremony of Hermez
        words[1] = 0x26186a2d65ee4d2f9c9a5b91f86597d35f192cd120caf7e935d8443d1938e23d;
        words[2] = 0x30441fd1b5d3370482c42152a8899027716989a6996c2535bc9f7fee8aaef79e;
        words[3] = 0x1970ea81dd6992adfbc571effb03503adbbb6a857f578403c6c40e22d65b3c02;
        words[4] = 0x054793348f12c0cf5622c340573cb277586319de359ab9389778f689786b1e48;
        // the commitment to the only weight, 1: the generator
        words[5] = 0x0000000000000000000000000000000000000000000000000000000000000001;
        words[6] = 0x0000000000000000000000000000000000000000000000000000000000000002;
        // INPUT; TABLE of remainders, from -128 to 127, from 0 to 127; HIDDEN: the weight times x; OUTPUT: a copy
        words[7] = 0x0001010000000000000000010000010000000002000000000002080700000000;
        words[8] = 0x0000000000010807000000010000000000000200010000000101000000000000;
        words[9] = 0x0100010000000000010100000000010002000001000000010000000000000000;
    }

    /// @notice Whether the program never gives these outputs for these inputs.
    /// @param inputs The packed inputs.
    /// @param outputs The outputs.
    function isImpossible(bytes calldata inputs, int256[] calldata outputs) internal pure returns (bool) {
        if (inputs.length != 1 || outputs.length != 1) return false;
        int256 x = int8(uint8(inputs[0]));
        return outputs[0] != (x > 0 ? x : int256(0));
    }
}
