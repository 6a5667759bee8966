// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

import {AshlarKernels, ORDER, POINT} from "../../src/verifiers/ashlar/AshlarKernels.sol";
import {AshlarKey} from "../../src/verifiers/ashlar/AshlarKeys.sol";
import {AshlarPoints, AshlarProgram, AshlarValues} from "../../src/verifiers/ashlar/AshlarProgram.sol";
import {Test} from "../support/Test.sol";

/// @notice Axes and tables at points, against the values that all implementations share.
contract AshlarProgramTest is Test {
    /// @dev Members in the order of their names.
    struct Kernel {
        uint256 bound;
        int256 g;
        uint256[] i;
        uint256 k;
        uint256 kind;
        uint256[] o;
        uint256 value;
        uint256[] w;
    }

    struct Row {
        uint256 b;
        uint256 input;
        uint256 k;
        uint256 kind;
        uint256 output;
        uint256[] x;
    }

    string private constant KERNEL =
        "Kernel(uint256 bound,int256 g,uint256[] i,uint256 k,uint256 kind,uint256[] o,uint256 value,uint256[] w)";
    string private constant ROW = "Row(uint256 b,uint256 input,uint256 k,uint256 kind,uint256 output,uint256[] x)";
    uint256 private constant ALPHA = 0x1234567;
    uint256 private constant DEEP = 6; // hidden blocks of a network whose kernels are kept
    uint256 private constant LEAST = 7; // coordinates of sigma

    function test_term_everyAxis_isTheKernel() external view {
        string memory list = vm.readFile("../tests/vectors/ashlar/parts/kernels.json");
        Kernel[] memory kernels = abi.decode(vm.parseJsonTypeArray(list, "$", KERNEL), (Kernel[]));
        for (uint256 n = 0; n < kernels.length; ++n) {
            for (uint256 first = 0; first < 3; ++first) {
                vm.assertEq(valueOf(kernels[n], first, 0), kernels[n].value, vm.toString(n));
                vm.assertEq(valueOf(kernels[n], first, DEEP), kernels[n].value, vm.toString(n));
            }
        }
        vm.assertTrue(kernels.length > 100);
    }

    /// @dev Of the first table the tag is 0, so alpha tells its two columns apart.
    function test_tables_everyKind_isTheRow() external view {
        string memory list = vm.readFile("../tests/vectors/ashlar/parts/tables.json");
        Row[] memory rows = abi.decode(vm.parseJsonTypeArray(list, "$", ROW), (Row[]));
        for (uint256 n = 0; n < rows.length; ++n) {
            uint256 expected = addmod(rows[n].input, mulmod(ALPHA, rows[n].output, ORDER), ORDER);
            vm.assertEq(rowOf(rows[n]), expected, vm.toString(n));
        }
        vm.assertTrue(rows.length > 60);
    }

    /// @dev More kernels than are kept, each several times: the values of any other order would be others.
    function test_term_manyKernels_areNotConfused() external view {
        string memory list = vm.readFile("../tests/vectors/ashlar/parts/kernels.json");
        Kernel[] memory kernels = abi.decode(vm.parseJsonTypeArray(list, "$", KERNEL), (Kernel[]));
        AshlarPoints memory points = pointsOf(kernels[0], 0, DEEP);
        (uint256 sigma, uint256 values) = (points.sigma, allocate(32 * 40));
        for (uint256 round = 0; round < 3; ++round) {
            for (uint256 number = 0; number < 40; ++number) {
                uint256 value = biasOf(points, number % 10, number / 10 + 1);
                if (round == 0) store(values + 32 * number, value);
                vm.assertEq(value, load(values + 32 * number));
                for (uint256 other = 0; round == 0 && other < number; ++other) {
                    vm.assertTrue(value != load(values + 32 * other));
                }
            }
        }
        // What is kept is kept for these points.
        AshlarKernels.setCoordinate(sigma, 5);
        vm.assertEq(biasOf(points, 0, 1), load(values));
        AshlarProgram.prepare(keyOf(DEEP), points);
        vm.assertTrue(biasOf(points, 0, 1) != load(values));
    }

    function test_selectedAbove_everyBit_isTheSelector() external pure {
        AshlarPoints memory points;
        points.sigma = pointOf(new uint256[](0), 32);
        AshlarKey memory key;
        for (key.nB = 4; key.nB < 12; ++key.nB) {
            for (key.c = 4; key.c <= key.nB; ++key.c) {
                AshlarProgram.prepare(key, points);
                for (uint256 first = 0; first <= key.nB; ++first) {
                    uint256 index = (0x5a9 % (1 << (key.nB - first))) << first;
                    uint256 expected = AshlarKernels.selected(points.sigma + 32 * first, key.nB - first, index >> first);
                    vm.assertEq(AshlarProgram.selectedAbove(points, first, key.nB, index), expected);
                }
            }
        }
    }

    /// @dev A bias over coordinates from `first` on of tau.
    function biasOf(AshlarPoints memory points, uint256 first, uint256 bits) private pure returns (uint256 value) {
        bytes memory axis = abi.encodePacked(uint8(1), uint8(first), uint8(bits), uint16(0), uint8(bits), uint80(0));
        bytes memory tile = abi.encodePacked(uint16(1), uint32(0), uint32(0), uint8(bits));
        bytes memory record = abi.encodePacked(uint8(3), uint8(1), uint16(0xffff), int32(1), axis, tile);
        uint256 ptr;
        assembly ("memory-safe") {
            ptr := add(record, 0x20)
        }
        (, value) = AshlarProgram.term(points, ptr, 1, 5, LEAST);
    }

    function keyOf(uint256 hidden) private pure returns (AshlarKey memory key) {
        (key.nB, key.c, key.hidden) = (LEAST, LEAST, hidden);
    }

    function pointsOf(Kernel memory kernel, uint256 first, uint256 hidden)
        private
        pure
        returns (AshlarPoints memory points)
    {
        points.tau = pointOf(kernel.o, first);
        points.rho = pointOf(kernel.i, first);
        points.sigma = pointOf(kernel.w, 0);
        for (uint256 j = kernel.w.length; j < LEAST; ++j) {
            AshlarKernels.setCoordinate(points.sigma + 32 * j, 0); // the tile is the whole vector of weights
        }
        points.equalRho = allocate(32 * 32);
        AshlarKernels.equalPrefixes(points.tau, points.rho, 31, points.equalRho);
        points.selectors = allocate(32);
        store(points.selectors, 1);
        AshlarProgram.prepare(keyOf(hidden), points);
    }

    /// @dev A term with this axis alone, whose ranges start at the coordinate `first`; the second time from what was kept.
    function valueOf(Kernel memory kernel, uint256 first, uint256 hidden) private pure returns (uint256 value) {
        AshlarPoints memory points = pointsOf(kernel, first, hidden);
        bytes memory record = recordOf(kernel, first);
        uint256 ptr;
        assembly ("memory-safe") {
            ptr := add(record, 0x20)
        }
        uint256 spans = kernel.w.length == 0 ? 0 : 5;
        uint256 next;
        uint256 again;
        (next, value) = AshlarProgram.term(points, ptr, 1, spans, LEAST);
        vm.assertEq(next, ptr + record.length);
        (next, again) = AshlarProgram.term(points, ptr, 1, spans, LEAST);
        vm.assertEq(next, ptr + record.length);
        vm.assertEq(again, value);
    }

    function recordOf(Kernel memory kernel, uint256 first) private pure returns (bytes memory) {
        uint8 w = uint8(kernel.w.length);
        bytes memory axis = abi.encodePacked(
            uint8(kernel.kind),
            uint8(kernel.o.length == 0 ? 0 : first),
            uint8(kernel.o.length),
            uint8(kernel.i.length == 0 ? 0 : first),
            uint8(kernel.i.length),
            w,
            uint8(kernel.k),
            uint8(0)
        );
        axis = abi.encodePacked(axis, int32(kernel.g), uint32(kernel.bound));
        bytes memory head = abi.encodePacked(uint8(w == 0 ? 2 : 1), uint8(1), uint16(0), int32(1));
        if (w == 0) return abi.encodePacked(head, axis);
        return abi.encodePacked(head, axis, uint16(1), uint32(0), uint32(0), w); // one tile, the whole axis
    }

    function rowOf(Row memory row) private pure returns (uint256) {
        AshlarKey memory key;
        AshlarPoints memory points;
        AshlarValues memory values;
        (key.tables, key.nT, points.alpha) = (1, row.k, ALPHA);
        points.rho = pointOf(row.x, 0);
        points.lows = allocate(32 * (row.k + 1));
        AshlarKernels.lowSums(points.rho, row.k, points.lows);
        points.deltas = allocate(32 * 11);
        (uint256 record, uint256 deltas) = (allocate(32), points.deltas);
        uint256 word = (row.kind << 248) | (row.k << 240) | (row.b << 232);
        assembly ("memory-safe") {
            mstore(record, word)
            mstore(add(deltas, 0x140), 1)
        }
        key.tablesAt = record;
        AshlarProgram.tables(key, points, values);
        return values.row;
    }

    function pointOf(uint256[] memory coordinates, uint256 first) private pure returns (uint256 ptr) {
        ptr = allocate(POINT);
        for (uint256 j = 0; j < 32; ++j) {
            bool inside = j >= first && j < first + coordinates.length;
            uint256 x = inside ? coordinates[j - first] : uint256(keccak256(abi.encode(j))) % ORDER;
            AshlarKernels.setCoordinate(ptr + 32 * j, x);
        }
    }

    function store(uint256 ptr, uint256 word) private pure {
        assembly ("memory-safe") {
            mstore(ptr, word)
        }
    }

    function load(uint256 ptr) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(ptr)
        }
    }

    function allocate(uint256 size) private pure returns (uint256 ptr) {
        assembly ("memory-safe") {
            ptr := mload(0x40)
            mstore(0x40, add(ptr, size))
        }
    }
}
