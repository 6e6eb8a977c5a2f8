// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Provers and their stakes.
interface IProverRegistry {
    struct Prover {
        bytes32 peerKey; // ed25519 key of the node
        bytes32 encKey; // X25519 key that shares are sealed to
        uint128 stake;
        uint64 exitBlock; // 0: not leaving; else the block after which withdraw() pays
        uint32 locks; // unfinished committees
        bool drawable; // stake >= minStake and not leaving
    }

    event ProverRegistered(address indexed prover, bytes32 peerKey, bytes32 encKey, uint256 stake);
    event StakeAdded(address indexed prover, uint256 amount, uint256 stake);
    event ExitRequested(address indexed prover, uint64 exitBlock);
    event Withdrawn(address indexed prover, uint256 amount);
    event Slashed(address indexed prover, uint256 indexed session, uint256 amount); // burned
    event MarketSet(address market);

    function register(bytes32 peerKey, bytes32 encKey) external payable; // value >= minStake; again: changes keys, adds stake
    function requestExit() external;
    function withdraw() external;
    function minStake() external view returns (uint256);
    function exitDelay() external view returns (uint256); // blocks; createSession wants settleBlocks <= exitDelay
    function prover(address who) external view returns (Prover memory);
    function drawableCount() external view returns (uint256);
    function setMarket(address market) external; // deployer, once
    // market only
    function draw(bytes32 beacon, uint256 n) external returns (address[] memory); // locks the drawn
    function unlock(address[] calldata provers) external;
    function slash(address who, uint256 session) external returns (uint256 burned);
}
