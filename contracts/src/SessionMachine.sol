// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {SafeCast} from "@openzeppelin/contracts/utils/math/SafeCast.sol";

import "./Errors.sol";
import {Gas} from "./Gas.sol";
import {IDataMarket} from "./IDataMarket.sol";
import {IProverRegistry} from "./IProverRegistry.sol";
import {Sets} from "./Sets.sol";
import {Terms} from "./Terms.sol";
import {Timeline} from "./Timeline.sol";
import {MODE_VERIFIED, REFERENCE, Session} from "./Types.sol";
import {Verified} from "./Verified.sol";

/// @title The states of a session and everything that moves it from one to the next.
/// @dev Committee -> Register -> Draw -> Groups -> Keys -> Bundles -> Upload -> Delivered -> Query -> Valid -> Batch ->
/// Output -> Finished; mode verified goes from Register straight to Upload; every phase but the last ones can end in Aborted. A phase ends when it is full, at `closing` =
/// this block, or when a transaction finds its deadline behind it, at `closing` = the deadline. The next one begins in
/// the block of that transaction: nobody can act in a phase before it is there to be seen.
abstract contract SessionMachine is IDataMarket {
    IProverRegistry internal immutable REGISTRY;
    address internal immutable VERIFIERS;

    /// @inheritdoc IDataMarket
    uint256 public sessionCount;
    mapping(uint256 id => Session) internal _sessions;

    constructor(address registry_, address verifiers_) {
        REGISTRY = IProverRegistry(registry_);
        VERIFIERS = verifiers_;
    }

    /// @inheritdoc IDataMarket
    function registry() external view returns (address) {
        return address(REGISTRY);
    }

    /// @inheritdoc IDataMarket
    function verifiers() external view returns (address) {
        return VERIFIERS;
    }

    function _session(uint256 id) internal view returns (Session storage s) {
        s = _sessions[id];
        if (s.phase == Phase.None) revert UnknownSession(id);
    }

    /// @dev Applies time, then wants `expected`. Returns the gas units owed for phases that ended here.
    function _begin(uint256 id, Phase expected) internal returns (Session storage s, uint256 units) {
        s = _session(id);
        units = _advance(id, s);
        Phase actual = s.phase;
        if (actual != expected) revert WrongPhase(expected, actual);
    }

    /// @dev As _begin, for evidence of faults: from Batch until settleBlocks after the end.
    function _evidence(uint256 id, bool needsBatch) internal returns (Session storage s, uint256 units) {
        s = _session(id);
        units = _advance(id, s);
        if (s.phase < Phase.Batch) revert WrongPhase(Phase.Batch, s.phase);
        if (s.phase < Phase.Finished) return (s, units);
        if (needsBatch && !s.feesDue) revert NoBatch();
        uint256 last = uint256(s.endBlock) + s.terms.settleBlocks;
        if (block.number > last) revert WindowOver(last);
    }

    /// @dev Everything that time alone decides: a phase of others that begins here is not over here. Returns the gas units owed for it.
    function _advance(uint256 id, Session storage s) internal returns (uint256 units) {
        while (s.phase < Phase.Finished && block.number > s.deadline) {
            units += _expire(id, s, s.phase, s.deadline);
        }
    }

    /// @dev The phase ends by its deadline.
    function _expire(uint256 id, Session storage s, Phase phase, uint256 when) private returns (uint256) {
        if (phase == Phase.Committee) return _abort(id, s, "no committee", when);
        if (phase == Phase.Register) return _closeRegister(id, s, when);
        if (phase == Phase.Draw) return _abort(id, s, "no beacon for the groups", when);
        if (phase == Phase.Groups) return _abort(id, s, "no groups", when);
        if (phase == Phase.Query) return _abort(id, s, "no beacon for the checks", when);
        if (phase == Phase.Batch) return _abort(id, s, "no batch", when);
        if (phase == Phase.Output) return _finish(id, s, when);
        return _close(id, s, phase, when);
    }

    /// @dev Data owners at most.
    function _capacity(Session storage s) internal view returns (uint256) {
        return uint256(s.terms.groups) * s.terms.groupSize;
    }

    /// @dev Whether registration can end now: nobody else fits in, and the owner's reference is there if it is needed.
    function _full(Session storage s) internal view returns (bool) {
        if (s.registered < _capacity(s)) return false;
        return !Verified.usesReference(s) || Sets.has(s.uploads, REFERENCE);
    }

    /// @dev The end of registration: full, or enough by the deadline, or no session.
    function _closeRegister(uint256 id, Session storage s, uint256 when) internal returns (uint256) {
        uint256 count = s.registered;
        uint256 groups = count / s.terms.groupSize;
        if (count < s.terms.minAccepted || !Terms.enoughGroups(s.terms.rule, s.terms.muBps, groups)) {
            return _abort(id, s, "too few data owners", when);
        }
        s.groupCount = uint8(groups);
        if (s.terms.mode == MODE_VERIFIED) {
            s.windowStart = uint32(block.number);
            _setFixed(id, s, 0, Sets.full(count));
            return _enter(id, s, Phase.Upload, block.number) + Gas.OPEN_UPLOAD;
        }
        s.closing = uint32(when);
        return _enter(id, s, Phase.Draw, when);
    }

    /// @dev The end of a phase in which many take part: Keys, Bundles, Upload, Delivered or Valid.
    function _close(uint256 id, Session storage s, Phase phase, uint256 when) internal returns (uint256 units) {
        if (phase == Phase.Keys) return _enter(id, s, Phase.Bundles, block.number);
        if (phase == Phase.Bundles) {
            units = _fix(id, s, 0);
            if (s.sets[0] == 0) return units + _abort(id, s, "no complete data owner", when);
            return units + _enter(id, s, Phase.Upload, block.number);
        }
        if (phase == Phase.Upload) {
            s.windowStart = uint32(block.number);
            return _enter(id, s, Phase.Delivered, block.number);
        }
        if (phase == Phase.Delivered) {
            units = _fix(id, s, 1);
            // certificate zk: challenges are hashes of what was committed, no beacon is wanted
            if (s.terms.proofKey != 0) return units + _enter(id, s, Phase.Valid, block.number);
            s.closing = uint32(when);
            return units + _enter(id, s, Phase.Query, block.number);
        }
        units = _fix(id, s, 2);
        return units + _enter(id, s, Phase.Batch, block.number);
    }

    /// @dev Sets the beacon of the phase, if one is due: in a later block than the one that closed the phase before.
    function _beacon(uint256 id, Session storage s) internal returns (uint256) {
        if (block.number <= s.closing) return 0;
        Phase phase = s.phase;
        if (phase == Phase.Committee) return _drawCommittee(id, s);
        if (phase == Phase.Draw) {
            _setBeacon(id, s, 1);
            s.windowStart = uint32(block.number);
            return _enter(id, s, Phase.Groups, block.number) + Gas.BEACON;
        }
        if (phase == Phase.Query) {
            _setBeacon(id, s, 2);
            return _enter(id, s, Phase.Valid, block.number) + Gas.BEACON;
        }
        return 0;
    }

    function _setBeacon(uint256 id, Session storage s, uint8 purpose) private returns (bytes32 value) {
        value = keccak256(abi.encode(block.prevrandao, block.chainid, address(this), id, purpose));
        s.beacons[purpose] = value;
        emit BeaconSet(id, purpose, value);
    }

    function _drawCommittee(uint256 id, Session storage s) private returns (uint256) {
        uint256 n = s.terms.committee;
        if (REGISTRY.drawableCount() < n) return _abort(id, s, "too few provers", block.number);
        address[] memory provers = REGISTRY.draw(_setBeacon(id, s, 0), n);
        for (uint256 seat = 0; seat < n; ++seat) {
            s.committee[seat] = provers[seat];
            s.accounts[provers[seat]].seat = uint8(seat + 1);
        }
        emit CommitteeDrawn(id, provers);
        return _enter(id, s, Phase.Register, block.number) + Gas.BEACON + n * Gas.DRAW;
    }

    /// @dev Slashes those that posted nothing and fixes the set: n - t bitmaps, and the commitment that goes with it.
    function _fix(uint256 id, Session storage s, uint8 kind) private returns (uint256 units) {
        uint256 posted = _posted(s, kind);
        uint256 bits = _agreedSet(s, kind, posted);
        _setFixed(id, s, kind, bits);
        uint256 n = s.terms.committee;
        units = Gas.fix(n);
        uint256 silent = Sets.full(n) & ~posted;
        for (uint256 seat = 0; silent >> seat != 0; ++seat) {
            if (Sets.has(silent, seat)) units += _slash(id, s, seat, 0);
        }
    }

    function _setFixed(uint256 id, Session storage s, uint8 kind, uint256 bits) private {
        s.sets[kind] = bits;
        emit SetFixed(id, kind, bits);
    }

    function _agreedSet(Session storage s, uint8 kind, uint256 posted) private view returns (uint256) {
        uint256 among = kind == 0 ? s.shareRoots : kind == 1 ? s.uploads : s.sets[1];
        return among & Sets.agreed(s, kind, posted, s.terms.committee - s.terms.threshold, kind == 1);
    }

    /// @dev Whether a bitmap phase can end now. Delivered waits for its deadline while a data owner that has uploaded
    /// is short of n - t bits: it must have time to post receipts.
    function _complete(Session storage s, uint8 kind, uint256 posted) internal view returns (bool) {
        if (posted != Sets.full(s.terms.committee)) return false;
        return kind != 1 || _agreedSet(s, 1, posted) == s.uploads;
    }

    function _posted(Session storage s, uint8 kind) internal view returns (uint256) {
        return kind == 0 ? s.posted0 : kind == 1 ? s.posted1 : s.posted2;
    }

    function _setPosted(Session storage s, uint8 kind, uint256 posted) internal {
        if (kind == 0) s.posted0 = uint16(posted);
        else if (kind == 1) s.posted1 = uint16(posted);
        else s.posted2 = uint16(posted);
    }

    /// @dev At most once per prover and session. Returns the gas units owed for it: none after the end, when what is
    /// left of the budget is the owner's already.
    function _slash(uint256 id, Session storage s, uint256 seat, uint8 reason) internal returns (uint256) {
        if (Sets.has(s.slashed, seat)) return 0;
        s.slashed |= uint16(1 << seat);
        address who = s.committee[seat];
        emit ProverSlashed(id, who, reason);
        REGISTRY.slash(who, id);
        return s.phase < Phase.Finished ? Gas.SLASH : 0;
    }

    function _enter(uint256 id, Session storage s, Phase phase, uint256 when) internal returns (uint256) {
        s.phase = phase;
        s.phaseStart = uint32(when);
        uint256 deadline = Timeline.deadlineOf(s, phase);
        s.deadline = SafeCast.toUint32(deadline);
        emit PhaseChanged(id, phase, uint64(deadline));
        return Gas.CLOSE;
    }

    function _finish(uint256 id, Session storage s, uint256 when) internal returns (uint256) {
        return _end(id, s, Phase.Finished, when);
    }

    function _abort(uint256 id, Session storage s, string memory reason, uint256 when) internal returns (uint256) {
        emit SessionAborted(id, reason);
        return _end(id, s, Phase.Aborted, when);
    }

    function _end(uint256 id, Session storage s, Phase phase, uint256 when) private returns (uint256) {
        s.endBlock = uint32(when);
        address[] memory provers = _committee(s);
        if (provers.length != 0) REGISTRY.unlock(provers);
        return _enter(id, s, phase, when) + provers.length * Gas.END_EACH;
    }

    /// @dev Empty before the draw.
    function _committee(Session storage s) internal view returns (address[] memory provers) {
        provers = new address[](s.beacons[0] == 0 ? 0 : s.terms.committee);
        for (uint256 seat = 0; seat < provers.length; ++seat) {
            provers[seat] = s.committee[seat];
        }
    }
}
