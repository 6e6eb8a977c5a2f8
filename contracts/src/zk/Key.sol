// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @dev What checks take of a key, once per call (KeyTerms says more).
struct Key {
    uint256 size;
    uint256 root;
    uint256 inverse; // 1/N
    uint256[2] table;
    uint256[2] padding;
    uint256[2] powers;
    uint256[4] tau2;
    bool norms;
}
