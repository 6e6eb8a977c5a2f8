// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDataMarket} from "./IDataMarket.sol";

/// @title Gas units that are paid back, fixed per function (measured: snapshots/gas.json), and their worst case.
library Gas {
    uint256 internal constant REGISTER = 108_000;
    uint256 internal constant GROUPS = 60_000;
    uint256 internal constant GROUPS_EACH = 3_900; // per data owner
    uint256 internal constant COMMIT_SHARES = 37_000;
    uint256 internal constant COMMIT_UPLOAD = 61_000;
    uint256 internal constant BITMAP = 60_000;
    uint256 internal constant POKE = 25_000;
    uint256 internal constant BEACON = 30_000;
    uint256 internal constant DRAW = 56_000; // per prover drawn
    uint256 internal constant CLOSE = 25_000; // a phase that ends, on top of the function that ends it
    uint256 internal constant CLOSE_EACH = 4_500; // per committee member
    uint256 internal constant SLASH = 60_000;
    uint256 internal constant BATCH = 45_000;
    uint256 internal constant BATCH_DISTANCE = 3_000; // per distance
    uint256 internal constant BATCH_OWNER = 300; // per data owner
    uint256 internal constant ATTEST = 60_000;
    uint256 internal constant SIGNATURE = 7_500;
    uint256 internal constant MOST_CLOSES = 13; // phases after creation

    /// @dev Units for the end of one phase.
    function close(uint256 n) internal pure returns (uint256) {
        return CLOSE + n * CLOSE_EACH;
    }

    function batch(uint256 signatures, uint256 distances, uint256 owners) internal pure returns (uint256) {
        return BATCH + signatures * SIGNATURE + distances * BATCH_DISTANCE + owners * BATCH_OWNER;
    }

    function attest(uint256 signatures) internal pure returns (uint256) {
        return ATTEST + signatures * SIGNATURE;
    }

    /// @dev An upper bound of all units that one session can be asked to pay back: every call of every participant, a
    /// poke per phase, every prover slashed, t + 1 attestations.
    function worstCase(IDataMarket.Params calldata p) internal pure returns (uint256) {
        uint256 owners = uint256(p.groups) * p.groupSize;
        uint256 n = p.committee;
        uint256 pairs = (uint256(p.groups) * (uint256(p.groups) + 1)) / 2 - p.groups;
        return owners * (REGISTER + COMMIT_SHARES + COMMIT_UPLOAD + GROUPS_EACH) + GROUPS
            + n * (3 * BITMAP + DRAW + SLASH) + 2 * BEACON + MOST_CLOSES * (POKE + close(n)) + batch(n, pairs, owners)
            + (uint256(p.threshold) + 1) * attest(n);
    }
}
