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

    /// @notice The selector of the bits of an index: the product of x_j or 1 - x_j.
    /// @param ptr The range.
    /// @param count How many coordinates.
    /// @param index Its low `count` bits select.
    function selected(uint256 ptr, uint256 count, uint256 index) internal pure returns (uint256 product) {
        assembly ("memory-safe") {
            index := mul(index, LIST)
            product := 1
            if and(count, 1) {
                product := mload(add(ptr, and(index, LIST)))
                index := shr(1, index)
                ptr := add(ptr, 0x20)
            }
            if and(count, 2) {
                product := mulmod(product, mload(add(ptr, and(index, LIST))), ORDER)
                product := mulmod(product, mload(add(add(ptr, 0x20), and(shr(1, index), LIST))), ORDER)
                index := shr(2, index)
                ptr := add(ptr, 0x40)
            }
            for { let end := add(ptr, shl(5, and(count, not(3)))) } lt(ptr, end) { ptr := add(ptr, 0x80) } {
                product := mulmod(product, mload(add(ptr, and(index, LIST))), ORDER)
                product := mulmod(product, mload(add(add(ptr, 0x20), and(shr(1, index), LIST))), ORDER)
                product := mulmod(product, mload(add(add(ptr, 0x40), and(shr(2, index), LIST))), ORDER)
                product := mulmod(product, mload(add(add(ptr, 0x60), and(shr(3, index), LIST))), ORDER)
                index := shr(4, index)
            }
        }
    }

    /// @notice Write the selectors of all indices of `count` bits to memory.
    /// @param ptr The range.
    /// @param count How many coordinates.
    /// @param to Where, 2^`count` words.
    function allSelectors(uint256 ptr, uint256 count, uint256 to) internal pure {
        assembly ("memory-safe") {
            mstore(to, 1)
            let middle := add(to, 0x20)
            for { let end := add(ptr, shl(5, count)) } lt(ptr, end) { ptr := add(ptr, 0x20) } {
                let zero := mload(ptr)
                let one := mload(add(ptr, LIST))
                let size := sub(middle, to)
                for { let from := to } lt(from, middle) { from := add(from, 0x20) } {
                    let before := mload(from)
                    mstore(add(from, size), mulmod(before, one, ORDER))
                    mstore(from, mulmod(before, zero, ORDER))
                }
                middle := add(middle, size)
            }
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
            if and(count, 1) {
                // 1 - a - b + 2 a b
                let factor := add(mulmod(mload(b), mload(add(a, mul(2, LIST))), ORDER), mload(a))
                product := mulmod(product, factor, ORDER)
                a := add(a, 0x20)
                b := add(b, 0x20)
            }
            for { let end := add(a, shl(5, and(count, not(1)))) } lt(a, end) { a := add(a, 0x40) } {
                let factor := add(mulmod(mload(b), mload(add(a, mul(2, LIST))), ORDER), mload(a))
                product := mulmod(product, factor, ORDER)
                factor := add(
                    mulmod(mload(add(b, 0x20)), mload(add(a, add(mul(2, LIST), 0x20))), ORDER),
                    mload(add(a, 0x20))
                )
                product := mulmod(product, factor, ORDER)
                b := add(b, 0x40)
            }
        }
    }

    /// @notice A value times the product of a_j b_j c_j + (1 - a_j) (1 - b_j) (1 - c_j).
    /// @param value The value.
    /// @param a A range.
    /// @param b Another.
    /// @param c A third.
    /// @param count How many coordinates of each.
    function equal3(uint256 value, uint256 a, uint256 b, uint256 c, uint256 count)
        internal
        pure
        returns (uint256 product)
    {
        assembly ("memory-safe") {
            product := value
            for { let end := add(a, shl(5, count)) } lt(a, end) { a := add(a, 0x20) } {
                let ones := mulmod(mload(add(a, LIST)), mload(add(b, LIST)), ORDER)
                let zeros := mulmod(mload(a), mload(b), ORDER)
                ones := mulmod(ones, mload(add(c, LIST)), ORDER)
                zeros := mulmod(zeros, mload(c), ORDER)
                product := mulmod(product, add(ones, zeros), ORDER)
                b := add(b, 0x20)
                c := add(c, 0x20)
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
            b := add(b, LIST)
            mstore(to, value)
            for { let end := add(to, shl(5, count)) } lt(to, end) {} {
                let factor := add(mulmod(mload(b), mload(add(a, mul(2, LIST))), ORDER), mload(a))
                value := mulmod(value, factor, ORDER)
                a := add(a, 0x20)
                b := add(b, 0x20)
                to := add(to, 0x20)
                mstore(to, value)
            }
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

    /// @notice [i = 2^stride o + d + g] where nothing bounds o.
    /// @dev Carries are -1, 0 or 1: `low`, `mid`, `high` are their weights. Sums of up to five products are not reduced before
    /// they enter the next one. Where neither d nor g has a bit, x is the weight of i's bit 1 and o's bit 0, where a carry of 1
    /// ends and one of -1 goes on; y the reverse. Elsewhere the sum of the bits of o and d has the weight x on 0 where i has the
    /// bit 1, a on 0 with bit 0 and on 1 with bit 1, b on 1 with bit 0 and on 2 with bit 1, y on 2 with bit 0.
    /// @param ptr Four lists in memory, LIST bytes apart: the bits of i, those of o from bit `stride` on, those of d; and 0
    /// where neither d nor g has a bit, else 1, plus 1 where g is positive and has a 1, plus 2 where it is negative and has.
    /// @param size Bytes of each.
    function walk(uint256 ptr, uint256 size) internal pure returns (uint256 mid) {
        assembly ("memory-safe") {
            let low := 0
            let high := 0
            mid := 1
            for { let end := add(ptr, size) } lt(ptr, end) { ptr := add(ptr, 0x20) } {
                let bit := mload(ptr)
                let b := mload(add(ptr, LIST))
                let y := mulmod(b, bit, ORDER)
                let digit := mload(add(ptr, mul(3, LIST)))
                if iszero(digit) {
                    let x := add(bit, sub(ORDER, y))
                    let same := add(sub(add(ORDER, 1), b), add(sub(ORDER, bit), add(y, y)))
                    y := add(b, sub(ORDER, y))
                    mid := add(mulmod(mid, same, ORDER), add(mulmod(low, y, ORDER), mulmod(high, x, ORDER)))
                    low := mulmod(low, x, ORDER)
                    high := mulmod(high, y, ORDER)
                    continue
                }
                let a := mload(add(ptr, mul(2, LIST)))
                y := mulmod(a, b, ORDER)
                b := add(a, b)
                a := add(sub(add(ORDER, ORDER), b), add(y, 1)) // neither bit
                b := addmod(b, mul(2, sub(ORDER, y)), ORDER) // either bit alone
                let x := mulmod(a, bit, ORDER)
                a := add(a, sub(ORDER, x))
                let part := mulmod(b, bit, ORDER)
                a := add(a, part)
                b := add(b, sub(ORDER, part))
                part := mulmod(y, bit, ORDER)
                b := add(b, part)
                y := add(y, sub(ORDER, part))
                if eq(digit, 1) {
                    part := add(mulmod(low, b, ORDER), add(mulmod(mid, a, ORDER), mulmod(high, x, ORDER)))
                    low := mulmod(low, x, ORDER)
                    high := add(mulmod(mid, y, ORDER), mulmod(high, b, ORDER))
                    mid := part
                    continue
                }
                // The sum is one less or one more: the same weights, for the carries one lower or one higher.
                part := add(mulmod(low, a, ORDER), mulmod(mid, x, ORDER))
                mid := add(mulmod(low, y, ORDER), add(mulmod(mid, b, ORDER), mulmod(high, a, ORDER)))
                switch digit
                case 2 {
                    high := mid
                    mid := part
                    low := 0
                }
                default {
                    low := part
                    high := mulmod(high, y, ORDER)
                }
            }
            mid := mod(mid, ORDER)
        }
    }

    /// @notice Write what the rounds of a walk with a bound need to memory: for each, six words.
    /// @dev As walk; the words are x, y, a and b of o's bit 0, a and b of o's bit 1.
    /// @param to Where.
    /// @param ptr The lists, as of walk.
    /// @param size Bytes of each.
    function boundedWeights(uint256 to, uint256 ptr, uint256 size) internal pure {
        assembly ("memory-safe") {
            for { let end := add(ptr, size) } lt(ptr, end) { ptr := add(ptr, 0x20) } {
                let bit := mload(ptr)
                let ofO := mload(add(ptr, LIST))
                let ofD := mload(add(ptr, mul(2, LIST)))
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

    /// @notice [i = 2^stride o + d + g and o < bound] from the weights of the rounds.
    /// @dev As walk, with the carries in memory: first those whatever o is, then those in which the bits of o that
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
