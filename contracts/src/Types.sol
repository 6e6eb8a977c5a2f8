// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDataMarket} from "./IDataMarket.sol";

// Numbers of Params, as in protocols/sessions/params.py.
uint8 constant MODE_VERIFIED = 1;
uint8 constant RULE_NONE = 0;
uint8 constant RULE_M_KRUM = 3;
uint8 constant RULE_TRUST = 4;
uint8 constant PAYOUT_CONTRIBUTION = 1;
// Mode verified: index, and bit of a set, of the owner's reference update. No data owner has it: they are 255 at most.
uint16 constant REFERENCE = 255;
uint256 constant REFERENCE_BIT = 1 << 255;

/// @dev One address in one session; an address may hold several roles at once.
struct Account {
    uint128 credit; // wei of gas to pay back
    uint16 place; // registration index + 1, 0: no data owner
    uint8 seat; // committee index + 1, 0: not in the committee
    bool claimed; // has taken deposit, payout or fee
}

/// @dev One session. Fields that change together share a word: a commitment writes two words and the word of its root.
struct Session {
    IDataMarket.Params terms; // 8 words, never written after creation
    // word: fixed at creation, or when a window begins
    address owner;
    uint32 created;
    uint32 windowStart; // block in which the present window (upload, settle) began
    uint32 closing; // a beacon counts only in a later block
    // word: hot
    IDataMarket.Phase phase;
    uint32 phaseStart;
    uint32 deadline;
    uint16 registered;
    uint8 groupCount;
    uint96 gasLeft; // what is left of the escrowed gas budget, wei
    uint32 endBlock; // block in which the session became Finished or Aborted
    // word: prover bitmaps
    uint16 posted0;
    uint16 posted1;
    uint16 posted2;
    uint16 slashed;
    uint16 named;
    uint16 feePaid;
    uint16 acceptedGroups;
    uint8 attestations;
    bool feesDue; // a batch stands (or "no output"): fees are owed
    uint16 opened; // have posted their openings
    // word, word
    uint128 funded;
    uint128 paid; // below 2^128, deposits included: there is not that much ether
    uint128 ownerPaid;
    uint128 rewarded; // payout by score: sum of all payouts
    uint256 weightSum; // payout by score, never 0 there: sum of the weights
    uint256 shareRoots; // bit: has committed its share root
    uint256 uploads; // bit: has committed its upload root (REFERENCE: the owner has)
    uint256[3] sets; // V, delivered, U
    bytes32[3] beacons;
    uint256 acceptedOwners;
    uint256 silentOwners;
    bytes32 batchHash;
    mapping(uint256 seat => address) committee;
    mapping(uint256 index => address) dataOwners;
    mapping(uint256 word => uint256) groupOf; // 4 bits per data owner, 64 to a word
    mapping(uint256 word => uint256) weights; // 128 bits per data owner, 2 to a word
    mapping(uint256 index => bytes32) uploadRoots;
    mapping(uint256 kindParity => mapping(uint256 seat => uint256)) bitmaps; // kind 2 reuses the words of kind 0
    mapping(address => Account) accounts;
}
