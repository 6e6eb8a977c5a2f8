// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Gas units that SecModelUpdate pays back, fixed per function (measured: snapshots/onchain.json), and the worst case.
library SecModelGas {
    uint256 internal constant CHUNK = 250; // parameters, as in the paper
    uint256 internal constant WORDS = 63; // of a full chunk
    uint256 internal constant REGISTER = 62_200;
    uint256 internal constant KEY = 46_800;
    uint256 internal constant CLOSE = 10_000; // a state that ends, on top of the function that ends it
    uint256 internal constant POKE = 31_000;
    uint256 internal constant UPLOAD = 61_500;
    uint256 internal constant UPLOAD_WORD = 5_620;
    uint256 internal constant FRESH = 10_000; // an upload that finds words at 0
    uint256 internal constant FRESH_WORD = 17_100; // per such word
    uint256 internal constant MEASURE = 51_500;
    uint256 internal constant MEASURE_WORD = 2_275; // per complete round and word
    uint256 internal constant MEASURE_PAIR = 5_400; // per pair of complete rounds
    uint256 internal constant MEASURE_PAIR_WORD = 246; // per pair and word
    uint256 internal constant MEASURE_FIRST = 17_100; // per pair, first chunk
    uint256 internal constant SELECT = 48_000;
    uint256 internal constant SELECT_PAIR = 4_100; // per pair
    uint256 internal constant SELECT_SCORES = 300; // per pick and pair

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
