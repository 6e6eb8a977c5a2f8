// SPDX-License-Identifier: MIT
pragma solidity ^0.8.28;

import {IDataMarket} from "./IDataMarket.sol";

/// @title Gas units that are paid back, fixed per function (measured: snapshots/gas.json), and their worst case.
library Gas {
    uint256 internal constant REGISTER = 130_000;
    uint256 internal constant GROUPS = 60_000;
    uint256 internal constant GROUPS_EACH = 4_500; // per data owner
    uint256 internal constant COMMIT_SHARES = 48_000;
    uint256 internal constant COMMIT_UPLOAD = 70_000;
    uint256 internal constant BITMAP = 60_000;
    uint256 internal constant POKE = 30_000;
    uint256 internal constant CLOSE = 60_000; // a phase that ends, on top of the function that ends it
    uint256 internal constant DRAW = 60_000; // per prover drawn
    uint256 internal constant BEACON = 40_000;
    uint256 internal constant BATCH = 150_000;
    uint256 internal constant BATCH_SIGNATURE = 12_000; // per signature
    uint256 internal constant BATCH_DISTANCE = 3_000; // per distance
    uint256 internal constant BATCH_OWNER = 400; // per data owner
    uint256 internal constant ATTEST = 120_000;
    uint256 internal constant ATTEST_SIGNATURE = 12_000;
    uint256 internal constant MOST_CLOSES = 13; // phases after creation

    /// @dev An upper bound of all units that one session can be asked to pay back.
    function worstCase(IDataMarket.Params calldata p) internal pure returns (uint256) {
        uint256 owners = uint256(p.groups) * p.groupSize;
        uint256 n = p.committee;
        uint256 each = REGISTER + COMMIT_SHARES + COMMIT_UPLOAD + GROUPS_EACH + BATCH_OWNER;
        uint256 pairs = (uint256(p.groups) * (p.groups - 1)) / 2;
        return owners * each + GROUPS + n * (3 * BITMAP + DRAW) + 2 * BEACON + MOST_CLOSES * (POKE + CLOSE) + BATCH
            + n * BATCH_SIGNATURE + pairs * BATCH_DISTANCE + (p.threshold + 1) * (ATTEST + n * ATTEST_SIGNATURE);
    }
}
