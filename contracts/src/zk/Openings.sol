// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Field} from "./Field.sol";
import {Points} from "./Points.sol";

/// @title The pair of quotients W, W2 of openings at z and w z, on both sides of the pairing equation.
library Openings {
    /// @dev left += weight z W + merged w z W2, right += weight W + merged W2; merged: the weight of the second opening.
    function combine(
        uint256 root,
        uint256 z,
        Points.Sum left,
        Points.Sum right,
        uint256 pos,
        uint256 weight,
        uint256 merged,
        uint256 record
    ) internal view {
        unchecked {
            Points.add(left, pos, Field.mul(weight, z), record);
            Points.add(left, pos + 64, Field.mul(Field.mul(merged, root), z), record);
            Points.add(right, pos, weight, record);
            Points.add(right, pos + 64, merged, record);
        }
    }
}
