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

    function test_term_everyAxis_isTheKernel() external view {
        string memory list = vm.readFile("../tests/vectors/ashlar/parts/kernels.json");
        Kernel[] memory kernels = abi.decode(vm.parseJsonTypeArray(list, "$", KERNEL), (Kernel[]));
        for (uint256 n = 0; n < kernels.length; ++n) {
            for (uint256 first = 0; first < 3; ++first) {
                vm.assertEq(valueOf(kernels[n], first), kernels[n].value, vm.toString(n));
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

    /// @dev A term with this axis alone, whose ranges start at the coordinate `first`.
    function valueOf(Kernel memory kernel, uint256 first) private pure returns (uint256 value) {
        AshlarKey memory key;
        AshlarPoints memory points;
        points.tau = pointOf(kernel.o, first);
        points.rho = pointOf(kernel.i, first);
        points.sigma = pointOf(kernel.w, 0);
        points.equalRho = allocate(32 * 32);
        AshlarKernels.equalPrefixes(points.tau, points.rho, 31, points.equalRho);
        points.selectors = allocate(32);
        key.nB = kernel.w.length;
        (uint256 selectors, bytes memory record) = (points.selectors, recordOf(kernel, first));
        uint256 ptr;
        assembly ("memory-safe") {
            mstore(selectors, 1)
            ptr := add(record, 0x20)
        }
        uint256 next;
        (next, value) = AshlarProgram.term(key, points, ptr, 1);
        vm.assertEq(next, ptr + record.length);
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

    function allocate(uint256 size) private pure returns (uint256 ptr) {
        assembly ("memory-safe") {
            ptr := mload(0x40)
            mstore(0x40, add(ptr, size))
        }
    }
}
