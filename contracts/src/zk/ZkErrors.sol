// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @dev In place of a record's index: the committee's own proof.
uint256 constant NO_RECORD = type(uint256).max;

// Why a record or a batch is refused, in the order in which it is looked at. record: its place in what was given.
error BadShape(); // lengths, number of records, bits of the mask or of the bound
error BadOrder(uint256 record); // an address too long, or not above the one before
error BadScalar(uint256 record); // not below the order of the group
error BadRangeIdentity(uint256 record);
error BadNorm(uint256 record); // accepted, yet the squared norm is negative or above the bound
error BadStatementIdentity();
error BadPoint(uint256 record); // not canonical, or not on the curve
error BadPairing(); // openings are not those of the commitments

error WrongStatement(); // this key proves another one

/// @dev what: size, bits, root, table, padding, powers, norms, tau2, label
error BadKey(bytes32 what);
