// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";

import {BadPadding, NotTheHead, WordCount} from "./ISecModelUpdate.sol";

/// @title 250 parameters of one session: W^p, and the running sum of every round.
/// @notice A minimal clone that obeys its head. The code behind it carries, packed: head (20 bytes), parameters (2 bytes).
/// @dev Storage is rows of 64 words: row 0 is W^p, row r + 1 the sum of round r. Four lanes of 64 bits to a word.
contract ModelChunk {
    uint256 internal constant ROW = 64;
    uint256 internal constant TOPS = 0x8000000000000000800000000000000080000000000000008000000000000000;

    /// @notice Sets W^p. Its words, or most of them, are not 0: written once.
    function setModel(uint256[] calldata words) external {
        _check(words);
        for (uint256 i = 0; i < words.length; ++i) {
            uint256 word = words[i];
            assembly ("memory-safe") {
                sstore(i, word)
            }
        }
    }

    /// @notice Adds `words` to the sum of round `round`, lane by lane mod 2^64.
    /// @return fresh words of the sum that were 0 and are not any more: what their writing cost more
    /// @return cleared words of the sum that became 0 again: a transaction gets gas back for them
    function add(uint256 round, uint256[] calldata words) external returns (uint256 fresh, uint256 cleared) {
        _check(words);
        unchecked {
            uint256 slot = (round + 1) * ROW;
            for (uint256 i = 0; i < words.length; ++i) {
                uint256 old;
                assembly ("memory-safe") {
                    old := sload(add(slot, i))
                }
                uint256 sum = addLanes(old, words[i]);
                assembly ("memory-safe") {
                    fresh := add(fresh, gt(iszero(old), iszero(sum)))
                    cleared := add(cleared, gt(iszero(sum), iszero(old)))
                    sstore(add(slot, i), sum)
                }
            }
        }
    }

    /// @notice Squared distances between the sums of the rounds in `rounds`, lanes read as signed: upper triangle in index
    /// order, row-major. Exact: at most 250 squares below 2^128.
    function distances(uint256 rounds) external view returns (uint256[] memory result) {
        (, uint256 parameters) = _origin();
        (uint256 start, uint256 count, uint256 width) = _unpack(rounds, wordsOf(parameters));
        result = new uint256[](count * (count - 1) / 2);
        assembly ("memory-safe") {
            let out := add(result, 32)
            let last := add(start, mul(count, width))
            for { let a := start } lt(a, last) { a := add(a, width) } {
                for { let b := add(a, width) } lt(b, last) { b := add(b, width) } {
                    let total := 0
                    let q := b
                    for { let p := a } lt(p, add(a, width)) { p := add(p, 128) } {
                        let x := sub(mload(p), mload(q))
                        total := add(total, mul(x, x))
                        x := sub(mload(add(p, 32)), mload(add(q, 32)))
                        total := add(total, mul(x, x))
                        x := sub(mload(add(p, 64)), mload(add(q, 64)))
                        total := add(total, mul(x, x))
                        x := sub(mload(add(p, 96)), mload(add(q, 96)))
                        total := add(total, mul(x, x))
                        q := add(q, 128)
                    }
                    mstore(out, total)
                    out := add(out, 32)
                }
            }
        }
    }

    /// @notice Row 0: W^p; row r + 1: the sum of round r.
    function row(uint256 index) public view returns (uint256[] memory words) {
        (, uint256 parameters) = _origin();
        words = new uint256[](wordsOf(parameters));
        for (uint256 i = 0; i < words.length; ++i) {
            uint256 word;
            assembly ("memory-safe") {
                word := sload(add(mul(index, ROW), i))
            }
            words[i] = word;
        }
    }

    /// @notice The sum of the sums of the rounds in `rounds`, lane by lane mod 2^64.
    function total(uint256 rounds) external view returns (uint256[] memory words) {
        (, uint256 parameters) = _origin();
        words = new uint256[](wordsOf(parameters));
        for (uint256 r = 0; rounds >> r != 0; ++r) {
            if ((rounds >> r) & 1 == 0) continue;
            uint256[] memory more = row(r + 1);
            for (uint256 i = 0; i < words.length; ++i) {
                words[i] = addLanes(words[i], more[i]);
            }
        }
    }

    /// @dev Four sums mod 2^64 at once: the top bit of a lane is added without carry, so that nothing leaves its lane.
    function addLanes(uint256 a, uint256 b) internal pure returns (uint256) {
        unchecked {
            return ((a & ~TOPS) + (b & ~TOPS)) ^ ((a ^ b) & TOPS);
        }
    }

    /// @dev Words that hold so many parameters.
    function wordsOf(uint256 parameters) internal pure returns (uint256) {
        return (parameters + 3) / 4;
    }

    /// @dev Every lane of the sums as a word of its own, sign extended; rounds one after the other from `start` on, each of
    /// `width` bytes.
    function _unpack(uint256 rounds, uint256 words) private view returns (uint256 start, uint256 count, uint256 width) {
        assembly ("memory-safe") {
            start := mload(0x40)
            width := shl(7, words)
            let out := start
            let slot := 0
            for { let rest := rounds } rest { rest := shr(1, rest) } {
                slot := add(slot, ROW)
                if iszero(and(rest, 1)) { continue }
                count := add(count, 1)
                for { let i := slot } lt(i, add(slot, words)) { i := add(i, 1) } {
                    let word := sload(i)
                    mstore(out, sar(192, word))
                    mstore(add(out, 32), signextend(7, shr(128, word)))
                    mstore(add(out, 64), signextend(7, shr(64, word)))
                    mstore(add(out, 96), signextend(7, word))
                    out := add(out, 128)
                }
            }
            mstore(0x40, out)
        }
    }

    /// @dev From the head, the right number of words, nothing behind the last parameter.
    function _check(uint256[] calldata words) private view {
        (address head, uint256 parameters) = _origin();
        if (msg.sender != head) revert NotTheHead(msg.sender);
        uint256 expected = wordsOf(parameters);
        if (words.length != expected) revert WordCount(words.length, expected);
        uint256 padding = 64 * (4 * expected - parameters); // bits
        uint256 last = words[expected - 1];
        if (last & ((uint256(1) << padding) - 1) != 0) revert BadPadding(last);
    }

    function _origin() private view returns (address head, uint256 parameters) {
        bytes memory args = Clones.fetchCloneArgs(address(this));
        assembly ("memory-safe") {
            head := shr(96, mload(add(args, 32)))
            parameters := shr(240, mload(add(args, 52)))
        }
    }
}
