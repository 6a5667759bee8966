// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.24;

/// @dev The order of the scalar field of BN254.
uint256 constant ORDER = 0x30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001;

/// @dev The sum of two values, reduced. Solidity's own addmod and mulmod compare the modulus with zero.
function plus(uint256 a, uint256 b) pure returns (uint256 sum) {
    assembly ("memory-safe") {
        sum := addmod(a, b, ORDER)
    }
}

/// @dev The product of two values, reduced.
function times(uint256 a, uint256 b) pure returns (uint256 product) {
    assembly ("memory-safe") {
        product := mulmod(a, b, ORDER)
    }
}

/// @dev A point of up to 32 coordinates lies in memory as three lists: 1 - x_j, x_j, 2 x_j - 1. So a bit of an index
/// selects the list that a factor is taken from.
uint256 constant LIST = 0x400;
uint256 constant POINT = 0xc00;

/// @title The multilinear formulas of Ashlar, evaluated at points
/// @notice Section 3 of docs/ashlar has them. Everything is modulo the order of the scalar field.
/// @dev `ptr` is a pointer to the entry of the first coordinate of a range in the first list of a point. A mulmod or addmod
/// takes values that exceed the order, as those of the list of 1 - x_j do by up to 1. `sub(ORDER, x)` is a negation for x
/// below the order only.
library AshlarKernels {
    /// @notice Store a coordinate.
    /// @param ptr Where.
    /// @param x The coordinate.
    function setCoordinate(uint256 ptr, uint256 x) internal pure {
        assembly ("memory-safe") {
            mstore(ptr, sub(add(ORDER, 1), x))
            mstore(add(ptr, LIST), x)
            mstore(add(ptr, mul(2, LIST)), addmod(x, add(x, sub(ORDER, 1)), ORDER))
        }
    }

    /// @notice A value times the selector of the bits of an index: the product of x_j or 1 - x_j.
    /// @param value The value.
    /// @param ptr The range.
    /// @param count How many coordinates.
    /// @param index Its low `count` bits select.
    function selected(uint256 value, uint256 ptr, uint256 count, uint256 index)
        internal
        pure
        returns (uint256 product)
    {
        assembly ("memory-safe") {
            index := mul(index, LIST)
            if and(count, 1) {
                value := mulmod(value, mload(add(ptr, and(index, LIST))), ORDER)
                index := shr(1, index)
                ptr := add(ptr, 0x20)
            }
            for { let end := add(ptr, shl(5, and(count, not(1)))) } lt(ptr, end) { ptr := add(ptr, 0x40) } {
                value := mulmod(value, mload(add(ptr, and(index, LIST))), ORDER)
                value := mulmod(value, mload(add(add(ptr, 0x20), and(shr(1, index), LIST))), ORDER)
                index := shr(2, index)
            }
            product := value
        }
    }

    /// @notice A value times the product of eq(a_j, b_j).
    /// @param value The value.
    /// @param a A range.
    /// @param b Another.
    /// @param count How many coordinates of each.
    function equal(uint256 value, uint256 a, uint256 b, uint256 count) internal pure returns (uint256 product) {
        assembly ("memory-safe") {
            product := value
            b := add(b, LIST)
            for { let end := add(a, shl(5, count)) } lt(a, end) { a := add(a, 0x20) } {
                // 1 - a - b + 2 a b
                let factor := add(mulmod(mload(b), mload(add(a, mul(2, LIST))), ORDER), mload(a))
                product := mulmod(product, factor, ORDER)
                b := add(b, 0x20)
            }
        }
    }

    /// @notice Write the product of eq(a_j, b_j) over the first 0, 1, .., `count` coordinates to memory.
    /// @param a A range.
    /// @param b Another.
    /// @param count How many coordinates of each.
    /// @param to Where, `count + 1` words.
    function equalPrefixes(uint256 a, uint256 b, uint256 count, uint256 to) internal pure {
        assembly ("memory-safe") {
            let value := 1
            b := sub(add(b, LIST), a)
            to := sub(to, a)
            for { let end := add(a, shl(5, count)) } lt(a, end) { a := add(a, 0x20) } {
                mstore(add(to, a), value)
                let factor := add(mulmod(mload(add(a, b)), mload(add(a, mul(2, LIST))), ORDER), mload(a))
                value := mulmod(value, factor, ORDER)
            }
            mstore(add(to, a), value)
        }
    }

    /// @notice Write the sums of 2^j x_j over the first 0, 1, .., `count` coordinates to memory.
    /// @param ptr The range.
    /// @param count How many coordinates.
    /// @param to Where, `count + 1` words.
    function lowSums(uint256 ptr, uint256 count, uint256 to) internal pure {
        assembly ("memory-safe") {
            let sum := 0
            let weight := 1
            to := sub(to, ptr)
            for { let end := add(ptr, shl(5, count)) } lt(ptr, end) { ptr := add(ptr, 0x20) } {
                mstore(add(to, ptr), sum)
                sum := addmod(sum, mulmod(weight, mload(add(ptr, LIST)), ORDER), ORDER)
                weight := add(weight, weight)
            }
            mstore(add(to, ptr), sum)
        }
    }

    /// @notice [v < bound] for the index v whose bits are the range.
    /// @param ptr The range.
    /// @param count How many coordinates.
    /// @param bound The bound.
    function mask(uint256 ptr, uint256 count, uint256 bound) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            switch shr(count, bound)
            case 0 {
                for { let end := add(ptr, shl(5, count)) } lt(ptr, end) { ptr := add(ptr, 0x20) } {
                    let zero := mload(ptr)
                    switch and(bound, 1)
                    case 0 { value := mulmod(zero, value, ORDER) }
                    default { value := addmod(zero, mulmod(mload(add(ptr, LIST)), value, ORDER), ORDER) }
                    bound := shr(1, bound)
                }
            }
            default { value := 1 }
        }
    }

    /// @notice t^v and [v < bound] t^v for the index v whose bits are the range.
    /// @param ptr The range.
    /// @param count How many coordinates.
    /// @param bound The bound.
    /// @param t The base.
    /// @return every t^v.
    /// @return below [v < bound] t^v.
    /// @return next t^(2^count).
    function power(uint256 ptr, uint256 count, uint256 bound, uint256 t)
        internal
        pure
        returns (uint256 every, uint256 below, uint256 next)
    {
        assembly ("memory-safe") {
            every := 1
            let all := shr(count, bound)
            for { let end := add(ptr, shl(5, count)) } lt(ptr, end) { ptr := add(ptr, 0x20) } {
                let zero := mload(ptr)
                let one := mulmod(mload(add(ptr, LIST)), t, ORDER)
                if iszero(all) {
                    switch and(bound, 1)
                    case 0 { below := mulmod(zero, below, ORDER) }
                    default { below := addmod(mulmod(zero, every, ORDER), mulmod(one, below, ORDER), ORDER) }
                    bound := shr(1, bound)
                }
                every := mulmod(every, add(zero, one), ORDER)
                t := mulmod(t, t, ORDER)
            }
            if all { below := every }
            next := t
        }
    }

    /// @notice [i = 2^stride o + d] where nothing bounds o.
    /// @dev Carries are 0 or 1. Bits outside of a range count as 0.
    /// @param i The range of i.
    /// @param bitsI How many coordinates.
    /// @param o The range of o.
    /// @param bitsO How many coordinates.
    /// @param d The range of d.
    /// @param bitsD How many coordinates.
    /// @param stride The log2 of the stride.
    function walk(uint256 i, uint256 bitsI, uint256 o, uint256 bitsO, uint256 d, uint256 bitsD, uint256 stride)
        internal
        pure
        returns (uint256 value)
    {
        assembly ("memory-safe") {
            let rounds := add(stride, bitsO)
            if gt(bitsI, rounds) { rounds := bitsI }
            if gt(bitsD, rounds) { rounds := bitsD }
            i := add(i, LIST)
            d := add(d, LIST)
            o := sub(add(o, LIST), shl(5, stride)) // bit j of o weighs 2^(j + stride)
            value := 1
            let carried := 0
            for { let j := 0 } lt(j, rounds) { j := add(j, 1) } {
                let place := shl(5, j)
                let bitI := mul(lt(j, bitsI), mload(add(i, place)))
                let bitO := mul(lt(sub(j, stride), bitsO), mload(add(o, place)))
                switch lt(j, bitsD)
                case 0 {
                    let both := mulmod(bitO, bitI, ORDER)
                    let same := add(sub(add(ORDER, 1), bitO), add(sub(ORDER, bitI), mul(2, both)))
                    let next := mulmod(carried, add(bitI, sub(ORDER, both)), ORDER)
                    value := add(mulmod(value, same, ORDER), next)
                    carried := mulmod(carried, add(bitO, sub(ORDER, both)), ORDER)
                }
                default {
                    // e0, e1, e2 are the weights of the sums of the bits of o and d; x those with the bit of i.
                    let bitD := mload(add(d, place))
                    let e2 := mulmod(bitD, bitO, ORDER)
                    let e1 := addmod(add(bitD, bitO), mul(2, sub(ORDER, e2)), ORDER)
                    let e0 := add(sub(add(ORDER, 1), bitD), add(sub(ORDER, bitO), e2))
                    let x0 := mulmod(e0, bitI, ORDER)
                    let x1 := mulmod(e1, bitI, ORDER)
                    let x2 := mulmod(e2, bitI, ORDER)
                    let next := add(mulmod(value, add(add(e0, x1), sub(ORDER, x0)), ORDER), mulmod(carried, x0, ORDER))
                    carried := mulmod(carried, add(add(e1, x2), sub(ORDER, x1)), ORDER)
                    carried := add(mulmod(value, add(e2, sub(ORDER, x2)), ORDER), carried)
                    value := next
                }
            }
            value := mod(value, ORDER)
        }
    }

    /// @notice Write what the rounds of a walk with a bound need to memory: for each, six words.
    /// @dev The sum of the bits of o and d has the weight x on 0 where i has the bit 1, a on 0 with bit 0 and on 1 with bit 1,
    /// b on 1 with bit 0 and on 2 with bit 1, y on 2 with bit 0. The words are x, y, a and b of o's bit 0, a and b of o's
    /// bit 1.
    /// @param to Where.
    /// @param rounds How many rounds.
    /// @param i The range of i.
    /// @param bitsI How many coordinates.
    /// @param o The range of o.
    /// @param bitsO How many coordinates.
    /// @param d The range of d.
    /// @param bitsD How many coordinates.
    /// @param stride The log2 of the stride.
    function boundedWeights(
        uint256 to,
        uint256 rounds,
        uint256 i,
        uint256 bitsI,
        uint256 o,
        uint256 bitsO,
        uint256 d,
        uint256 bitsD,
        uint256 stride
    ) internal pure {
        assembly ("memory-safe") {
            i := add(i, LIST)
            d := add(d, LIST)
            o := sub(add(o, LIST), shl(5, stride))
            for { let j := 0 } lt(j, rounds) { j := add(j, 1) } {
                let bit := mul(lt(j, bitsI), mload(add(i, shl(5, j))))
                let ofD := mul(lt(j, bitsD), mload(add(d, shl(5, j))))
                let ofO := mul(lt(sub(j, stride), bitsO), mload(add(o, shl(5, j))))
                let both := mulmod(ofD, ofO, ORDER)
                let none := add(sub(add(ORDER, 1), ofD), add(sub(ORDER, ofO), both))
                let x := mulmod(none, bit, ORDER)
                mstore(to, x)
                none := add(none, sub(ORDER, x))
                let y := mulmod(both, bit, ORDER)
                mstore(add(to, 0x20), add(both, sub(ORDER, y)))
                // Either bit alone.
                ofD := add(ofD, sub(ORDER, both))
                ofO := add(ofO, sub(ORDER, both))
                let a := mulmod(ofD, bit, ORDER)
                mstore(add(to, 0x40), add(none, a))
                mstore(add(to, 0x60), add(ofD, sub(ORDER, a)))
                a := mulmod(ofO, bit, ORDER)
                mstore(add(to, 0x80), a)
                mstore(add(to, 0xa0), add(add(ofO, y), sub(ORDER, a)))
                to := add(to, 0xc0)
            }
        }
    }

    /// @notice Write what the rounds of a walk without a bound need to memory: for each, four words.
    /// @dev As boundedWeights; the words are x, y, and a and b whatever o's bit is.
    function shiftedWeights(
        uint256 to,
        uint256 rounds,
        uint256 i,
        uint256 bitsI,
        uint256 o,
        uint256 bitsO,
        uint256 d,
        uint256 bitsD,
        uint256 stride
    ) internal pure {
        assembly ("memory-safe") {
            i := add(i, LIST)
            d := add(d, LIST)
            o := sub(add(o, LIST), shl(5, stride))
            for { let j := 0 } lt(j, rounds) { j := add(j, 1) } {
                let bit := mul(lt(j, bitsI), mload(add(i, shl(5, j))))
                let one := mul(lt(sub(j, stride), bitsO), mload(add(o, shl(5, j))))
                let none := sub(add(ORDER, 1), one)
                let y := 0
                let carried := 0
                if lt(j, bitsD) {
                    let ofD := mload(add(d, shl(5, j)))
                    let both := mulmod(ofD, one, ORDER)
                    none := add(none, add(sub(ORDER, ofD), both))
                    one := addmod(add(ofD, one), mul(2, sub(ORDER, both)), ORDER)
                    carried := mulmod(both, bit, ORDER)
                    y := add(both, sub(ORDER, carried))
                }
                let x := mulmod(none, bit, ORDER)
                let a := mulmod(one, bit, ORDER)
                mstore(to, x)
                mstore(add(to, 0x20), y)
                mstore(add(to, 0x40), add(add(none, a), sub(ORDER, x)))
                mstore(add(to, 0x60), add(add(one, carried), sub(ORDER, a)))
                to := add(to, 0x80)
            }
        }
    }

    /// @notice [i = 2^stride o + d + g] from the weights of the rounds.
    /// @dev Carries are -1, 0 or 1: `low`, `value`, `high` are their weights. Sums of up to five products are not reduced
    /// before they enter the next one.
    /// @param ptr The weights.
    /// @param rounds How many rounds.
    /// @param g The offset.
    function walkShifted(uint256 ptr, uint256 rounds, int256 g) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            let low := 0
            let high := 0
            value := 1
            let negative := slt(g, 0)
            if negative { g := sub(0, g) }
            for { let end := add(ptr, shl(7, rounds)) } lt(ptr, end) { ptr := add(ptr, 0x80) } {
                let x := mload(ptr)
                let y := mload(add(ptr, 0x20))
                let a := mload(add(ptr, 0x40))
                let b := mload(add(ptr, 0x60))
                switch and(g, 1)
                case 0 {
                    let mid := add(mulmod(low, b, ORDER), add(mulmod(value, a, ORDER), mulmod(high, x, ORDER)))
                    low := mulmod(low, x, ORDER)
                    high := add(mulmod(value, y, ORDER), mulmod(high, b, ORDER))
                    value := mid
                }
                default {
                    // The sum is one less or one more: the same weights, for the carries one lower or one higher.
                    let lower := add(mulmod(low, a, ORDER), mulmod(value, x, ORDER))
                    let upper := add(mulmod(low, y, ORDER), add(mulmod(value, b, ORDER), mulmod(high, a, ORDER)))
                    switch negative
                    case 0 {
                        low := 0
                        value := lower
                        high := upper
                    }
                    default {
                        low := lower
                        value := upper
                        high := mulmod(high, y, ORDER)
                    }
                }
                g := shr(1, g)
            }
            value := mod(value, ORDER)
        }
    }

    /// @notice [i = 2^stride o + d + g and o < bound] from the weights of the rounds.
    /// @dev As walkShifted, with the carries in memory: first those whatever o is, then those in which the bits of o that
    /// were read are, as a number, below those of the bound.
    /// @param ptr The weights; the memory behind them is overwritten.
    /// @param rounds How many rounds.
    /// @param g The offset.
    /// @param bound The bound, times 2^stride.
    function walkBounded(uint256 ptr, uint256 rounds, int256 g, uint256 bound) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            let sign := 1
            if slt(g, 0) {
                sign := sub(0, 1)
                g := sub(0, g)
            }
            let now_ := add(ptr, mul(rounds, 0xc0))
            let after_ := add(now_, 0xc0)
            // Only the carry 0, and no bit of o read: it is not below.
            calldatacopy(now_, calldatasize(), 0xc0)
            mstore(add(now_, 0x20), 1)
            for { let end := now_ } lt(ptr, end) { ptr := add(ptr, 0xc0) } {
                let digit := mul(and(g, 1), sign)
                calldatacopy(after_, calldatasize(), 0xc0)
                // To all carries: of o's bits 0 and 1. To those below: of o's bit 0 from all if the bound's bit is 1, else
                // from those below; of o's bit 1 from those below if the bound's bit is 1.
                for { let part := 0 } lt(part, 4) { part := add(part, 1) } {
                    let ones := and(part, 1)
                    let below := mul(0x60, shr(1, part))
                    let set := and(bound, 1)
                    if gt(below, 0) { if gt(ones, set) { continue } }
                    let from := add(now_, mul(below, iszero(gt(set, ones))))
                    let to := add(after_, below)
                    let x := mul(iszero(ones), mload(ptr))
                    let y := mul(ones, mload(add(ptr, 0x20)))
                    let a := mload(add(add(ptr, 0x40), shl(6, ones)))
                    let b := mload(add(add(ptr, 0x60), shl(6, ones)))
                    let low := mload(from)
                    let mid := mload(add(from, 0x20))
                    let high := mload(add(from, 0x40))
                    let lower := add(mulmod(low, a, ORDER), mulmod(mid, x, ORDER))
                    let upper := add(mulmod(low, y, ORDER), add(mulmod(mid, b, ORDER), mulmod(high, a, ORDER)))
                    let rest := mulmod(high, y, ORDER)
                    switch digit
                    case 0 {
                        upper := add(mulmod(low, b, ORDER), add(mulmod(mid, a, ORDER), mulmod(high, x, ORDER)))
                        lower := mulmod(low, x, ORDER)
                        rest := add(mulmod(mid, y, ORDER), mulmod(high, b, ORDER))
                    }
                    case 1 {
                        rest := upper
                        upper := lower
                        lower := 0
                    }
                    mstore(to, add(mload(to), lower))
                    mstore(add(to, 0x20), add(mload(add(to, 0x20)), upper))
                    mstore(add(to, 0x40), add(mload(add(to, 0x40)), rest))
                }
                let swap := now_
                now_ := after_
                after_ := swap
                bound := shr(1, bound)
                g := shr(1, g)
            }
            value := mod(mload(add(now_, 0x80)), ORDER)
        }
    }
}
