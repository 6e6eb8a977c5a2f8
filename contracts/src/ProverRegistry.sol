// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import {TransferFailed} from "./Errors.sol";
import {IProverRegistry} from "./IProverRegistry.sol";

/// @title Provers, their keys and stakes, and the draw of committees.
/// @notice A prover is drawable while its stake is at least minStake and it is not leaving. A drawn prover is locked
/// until its session ends; one that is leaving can take its stake exitDelay blocks after its last session at the
/// earliest, so that evidence found late still finds a stake.
contract ProverRegistry is IProverRegistry, Ownable {
    address internal constant BURN = 0x000000000000000000000000000000000000dEaD;

    /// @dev Two words and the key words; seat is the place in `_drawable` plus 1.
    struct Record {
        bytes32 peerKey;
        bytes32 encKey;
        uint128 stake;
        uint64 exitBlock;
        uint32 locks;
        uint32 seat;
    }

    error NotMarket(address who);
    error MarketAlreadySet(address market);
    error EmptyKeys();
    error KeysLocked(uint32 locks);
    error StakeTooLow(uint256 stake, uint256 minStake);
    error NotRegistered(address who);
    error AlreadyLeaving(uint64 exitBlock);
    error CannotWithdraw(uint64 exitBlock, uint32 locks);
    error NotEnoughDrawable(uint256 drawable, uint256 wanted);

    /// @inheritdoc IProverRegistry
    uint256 public immutable minStake;
    /// @inheritdoc IProverRegistry
    uint256 public immutable exitDelay;
    /// @notice The one contract that may draw, unlock and slash.
    address public market;

    mapping(address => Record) private _records;
    address[] private _drawable;

    /// @param minStake_ wei that a prover must hold to be drawn, and that one slashing burns
    /// @param exitDelay_ blocks between the wish to leave (or the end of the last session) and the stake's return
    constructor(uint256 minStake_, uint256 exitDelay_) Ownable(msg.sender) {
        minStake = minStake_;
        exitDelay = exitDelay_;
    }

    modifier onlyMarket() {
        if (msg.sender != market) revert NotMarket(msg.sender);
        _;
    }

    /// @inheritdoc IProverRegistry
    function setMarket(address market_) external onlyOwner {
        if (market != address(0)) revert MarketAlreadySet(market);
        market = market_;
        emit MarketSet(market_);
    }

    /// @inheritdoc IProverRegistry
    /// @dev Keys cannot change while in a committee: data owners have sealed shares to them. Takes back a wish to leave.
    function register(bytes32 peerKey, bytes32 encKey) external payable {
        if (peerKey == 0 || encKey == 0) revert EmptyKeys();
        Record storage r = _records[msg.sender];
        if (r.locks != 0 && (r.peerKey != peerKey || r.encKey != encKey)) revert KeysLocked(r.locks);
        uint256 stake = r.stake + msg.value;
        if (stake < minStake) revert StakeTooLow(stake, minStake);
        r.peerKey = peerKey;
        r.encKey = encKey;
        r.stake = SafeCast.toUint128(stake);
        r.exitBlock = 0;
        if (r.seat == 0) _enlist(msg.sender, r);
        if (msg.value != 0) emit StakeAdded(msg.sender, msg.value, stake);
        emit ProverRegistered(msg.sender, peerKey, encKey, stake);
    }

    /// @inheritdoc IProverRegistry
    function requestExit() external {
        Record storage r = _records[msg.sender];
        if (r.peerKey == 0) revert NotRegistered(msg.sender);
        if (r.exitBlock != 0) revert AlreadyLeaving(r.exitBlock);
        r.exitBlock = uint64(block.number + exitDelay);
        if (r.seat != 0) _delist(r);
        emit ExitRequested(msg.sender, r.exitBlock);
    }

    /// @inheritdoc IProverRegistry
    function withdraw() external {
        Record storage r = _records[msg.sender];
        if (r.exitBlock == 0 || block.number <= r.exitBlock || r.locks != 0) {
            revert CannotWithdraw(r.exitBlock, r.locks);
        }
        uint256 amount = r.stake;
        delete _records[msg.sender];
        emit Withdrawn(msg.sender, amount);
        _send(msg.sender, amount);
    }

    /// @inheritdoc IProverRegistry
    function draw(bytes32 beacon, uint256 n) external onlyMarket returns (address[] memory drawn) {
        uint256 count = _drawable.length;
        if (count < n) revert NotEnoughDrawable(count, n);
        drawn = new address[](n);
        uint256[] memory places = new uint256[](n); // places[i]: which place was swapped with place i
        for (uint256 i = 0; i < n; ++i) {
            uint256 j = i + uint256(keccak256(abi.encode(beacon, i))) % (count - i);
            places[i] = j;
            drawn[i] = _drawable[_follow(places, i, j)];
            _records[drawn[i]].locks += 1;
        }
    }

    /// @inheritdoc IProverRegistry
    /// @dev A prover on its way out waits exitDelay blocks more: faults of the session may still come to light.
    function unlock(address[] calldata provers) external onlyMarket {
        for (uint256 i = 0; i < provers.length; ++i) {
            Record storage r = _records[provers[i]];
            r.locks -= 1;
            if (r.exitBlock != 0) r.exitBlock = uint64(block.number + exitDelay);
        }
    }

    /// @inheritdoc IProverRegistry
    function slash(address who, uint256 session) external onlyMarket returns (uint256 burned) {
        Record storage r = _records[who];
        burned = r.stake < minStake ? r.stake : minStake;
        r.stake -= uint128(burned);
        if (r.seat != 0 && r.stake < minStake) _delist(r);
        emit Slashed(who, session, burned);
        _send(BURN, burned);
    }

    /// @inheritdoc IProverRegistry
    function prover(address who) external view returns (Prover memory) {
        Record storage r = _records[who];
        return Prover(r.peerKey, r.encKey, r.stake, r.exitBlock, r.locks, r.seat != 0);
    }

    /// @inheritdoc IProverRegistry
    function drawableCount() external view returns (uint256) {
        return _drawable.length;
    }

    /// @dev Fisher-Yates without writing: what stands at `place` when step `i` begins. Step k < i moved to place
    /// places[k] what stood at place k.
    function _follow(uint256[] memory places, uint256 i, uint256 place) private pure returns (uint256) {
        for (uint256 k = i; k > 0; --k) {
            if (places[k - 1] == place) place = k - 1;
        }
        return place;
    }

    function _enlist(address who, Record storage r) private {
        _drawable.push(who);
        r.seat = SafeCast.toUint32(_drawable.length);
    }

    function _delist(Record storage r) private {
        address last = _drawable[_drawable.length - 1];
        _drawable[r.seat - 1] = last;
        _records[last].seat = r.seat;
        _drawable.pop();
        r.seat = 0;
    }

    function _send(address to, uint256 amount) private {
        (bool ok,) = to.call{value: amount}("");
        if (!ok) revert TransferFailed(to, amount);
    }
}
