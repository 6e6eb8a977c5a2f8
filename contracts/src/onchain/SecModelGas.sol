// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Gas units that SecModelUpdate pays back: at most what is fixed per function (measured: snapshots/onchain.json), at
/// most what was spent; and the worst case.
library SecModelGas {
    uint256 internal constant CHUNK = 250; // parameters, as in the paper
    uint256 internal constant WORDS = 63; // of a full chunk
    uint256 internal constant REGISTER = 64_000;
    uint256 internal constant KEY = 48_600;
    uint256 internal constant CLOSE = 10_000; // a state that ends, on top of the function that ends it
    uint256 internal constant POKE = 32_500;
    uint256 internal constant UPLOAD = 63_000;
    uint256 internal constant UPLOAD_WORD = 5_750;
    uint256 internal constant FRESH = 10_000; // an upload that finds words at 0
    uint256 internal constant FRESH_WORD = 17_100; // per such word
    uint256 internal constant MEASURE = 52_700;
    uint256 internal constant MEASURE_WORD = 2_275; // per complete round and word
    uint256 internal constant MEASURE_PAIR = 5_400; // per pair of complete rounds
    uint256 internal constant MEASURE_PAIR_WORD = 246; // per pair and word
    uint256 internal constant MEASURE_FIRST = 17_100; // per pair, first chunk
    uint256 internal constant SELECT = 49_200;
    uint256 internal constant SELECT_PAIR = 4_100; // per pair
    uint256 internal constant SELECT_SCORES = 300; // per pick and pair

    uint256 private constant ENTRY = 23_500; // a transaction of its own: 21,000, and the head's code loaded cold
    uint256 private constant LOW = 0x7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f7f;
    uint256 private constant ONES = 0x0101010101010101010101010101010101010101010101010101010101010101;

    /// @dev Never more than what this call has cost its sender so far. gas: what was left on entry; cleared: it made words 0.
    ///
    /// A wallet without code that calls by itself pays for the whole transaction: what that costs before the first
    /// instruction counts too. Everybody else (contracts, delegated wallets) may have put many calls into one transaction, and
    /// get gas back for what they undo in it: that is a fifth of the transaction at most, and so is what clearing gives back.
    function spent(uint256 gas, bool cleared) internal view returns (uint256 units) {
        bool alone = msg.sender == tx.origin && msg.sender.code.length == 0;
        if (alone) units = ENTRY + _calldataGas();
        units += gas - gasleft();
        if (cleared || !alone) units = units * 4 / 5;
    }

    /// @dev 4 for a byte of calldata, 16 if it is not 0; four words at once (there are zeros behind the last one).
    function _calldataGas() private pure returns (uint256 units) {
        assembly ("memory-safe") {
            // 1 in each byte that is not 0
            function marks(word) -> set {
                set := and(shr(7, or(add(and(word, LOW), LOW), word)), ONES)
            }
            let size := calldatasize()
            for { let i := 0 } lt(i, size) { i := add(i, 128) } {
                let set := add(marks(calldataload(i)), marks(calldataload(add(i, 32))))
                set := add(set, add(marks(calldataload(add(i, 64))), marks(calldataload(add(i, 96)))))
                units := add(units, shr(248, mul(set, ONES)))
            }
            units := add(mul(12, units), shl(2, size))
        }
    }

    function chunksOf(uint256 dimension) internal pure returns (uint256) {
        return (dimension + CHUNK - 1) / CHUNK;
    }

    /// @dev Words of chunk `chunk` of a model of `dimension` parameters.
    function wordsOf(uint256 dimension, uint256 chunk) internal pure returns (uint256) {
        uint256 left = dimension - chunk * CHUNK;
        return left >= CHUNK ? WORDS : (left + 3) / 4;
    }

    function pairsOf(uint256 rounds) internal pure returns (uint256) {
        return rounds == 0 ? 0 : rounds * (rounds - 1) / 2;
    }

    function upload(uint256 words, uint256 fresh) internal pure returns (uint256 units) {
        units = UPLOAD + words * UPLOAD_WORD;
        if (fresh != 0) units += FRESH + fresh * FRESH_WORD;
    }

    function measure(uint256 rounds, uint256 words, bool first) internal pure returns (uint256) {
        uint256 pairs = pairsOf(rounds);
        return MEASURE + rounds * words * MEASURE_WORD + pairs * (MEASURE_PAIR + words * MEASURE_PAIR_WORD)
            + (first ? pairs * MEASURE_FIRST : 0);
    }

    function select(uint256 rounds, uint256 m) internal pure returns (uint256) {
        return SELECT + pairsOf(rounds) * (SELECT_PAIR + m * SELECT_SCORES);
    }

    /// @dev An upper bound of all units that a session can be asked to pay back: every call of every member, every word
    /// of every sum fresh once (by whichever members, so FRESH counts for all of them), every chunk measured, three states
    /// ended by poke.
    function worstCase(uint256 dimension, uint256 rounds, uint256 groupSize, uint256 m)
        internal
        pure
        returns (uint256)
    {
        uint256 chunks = chunksOf(dimension);
        uint256 last = wordsOf(dimension, chunks - 1);
        uint256 words = (chunks - 1) * WORDS + last;
        uint256 members = rounds * groupSize;
        uint256 uploads = members * (chunks * (UPLOAD + FRESH) + words * UPLOAD_WORD) + rounds * words * FRESH_WORD;
        uint256 measures = (chunks - 1) * measure(rounds, WORDS, false) + measure(rounds, last, false) + pairsOf(rounds)
            * MEASURE_FIRST;
        return members * (REGISTER + KEY) + uploads + measures + select(rounds, m) + 3 * (POKE + CLOSE);
    }
}
