// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {NotDelivered, NotInCommittee, NotInSet, NothingNew, OpenedTwice, OpeningsLength, WrongCertificate} from "./Errors.sol";
import {Grouping} from "./Grouping.sol";
import {IDataMarket} from "./IDataMarket.sol";
import {Rules} from "./Rules.sol";
import {Sets} from "./Sets.sol";
import {MODE_VERIFIED, Session} from "./Types.sol";

/// @title The draw of groups, openings of the consistency check, the judgement of a batch, and which deposits an
/// attestation takes.
/// @dev Linked, because its code does not fit beside the market's; works on the market's storage.
library Selection {
    /// @notice The rule applied to the groups in `passed`; see Rules.select.
    function select(
        uint8 rule,
        uint256 passed,
        uint16 created,
        uint16 muBps,
        uint16 mKrum,
        uint256[] calldata distances
    ) external pure returns (bool output, uint256 selected) {
        return Rules.select(rule, passed, created, muBps, mKrum, distances);
    }

    /// @notice Keeps the group of each data owner after checking the order that was posted.
    function store(Session storage s, uint16[] calldata order) external {
        Grouping.store(s, order);
    }

    /// @notice Shows what the caller, a prover, has opened, and keeps that it has. Both modes.
    function open(uint256 id, Session storage s, uint256 present, bytes calldata values) external {
        if (s.terms.proofKey != 0) revert WrongCertificate();
        uint8 seat = s.accounts[msg.sender].seat;
        if (seat == 0) revert NotInCommittee(msg.sender);
        uint256 opened = s.opened;
        if (Sets.has(opened, --seat)) revert OpenedTwice(seat);
        uint256 beyond = present & ~s.sets[1];
        if (beyond != 0) revert NotDelivered(beyond);
        uint256 expected = 8 * Sets.size(present); // an element of the field each
        if (values.length != expected) revert OpeningsLength(values.length, expected);
        s.opened = uint16(opened | (1 << seat));
        emit IDataMarket.OpeningsPosted(id, seat, present, values);
    }

    /// @notice Keeps which groups a batch selects and says which data owners it accepts; reverts on a batch that no honest
    /// prover signs.
    /// @return output false: nothing or too little is accepted, refunds
    function judge(Session storage s, uint256 passed, uint256[] calldata distances)
        external
        returns (bool output, uint256 selected, uint256 accepted)
    {
        uint256[16] memory masks = Grouping.members(s);
        uint256 valid = s.sets[2];
        Grouping.requireReady(masks, passed, s.groupCount, valid);
        (output, selected) = Rules.select(s.terms.rule, passed, s.groupCount, s.terms.muBps, s.terms.mKrum, distances);
        accepted = valid & Grouping.union(masks, selected);
        output = output && Sets.size(accepted) >= s.terms.minAccepted;
        if (output) s.acceptedGroups = uint16(selected);
    }

    /// @notice Keeps and shows whom an attestation names that no earlier one did. Mode verified: no data owner is asked
    /// for anything, so none is silent.
    function name(uint256 id, Session storage s, uint256 provers, uint256 dataOwners)
        external
        returns (uint256 fresh, uint256 forfeits)
    {
        uint256 named = s.named;
        fresh = provers & ~named;
        if (dataOwners != 0 && s.terms.mode != MODE_VERIFIED) forfeits = _forfeits(s, dataOwners);
        if (fresh | forfeits == 0) revert NothingNew();
        s.named = uint16(named | fresh);
        s.silentOwners |= forfeits;
        emit IDataMarket.Attested(id, fresh, forfeits);
        for (uint256 index = 0; forfeits >> index != 0; ++index) {
            if (Sets.has(forfeits, index)) emit IDataMarket.DepositForfeited(id, uint16(index));
        }
    }

    /// @dev Which of `dataOwners`, all of U, lose their deposit: those that still have it here and whose group had
    /// enough members to be unmasked. In a smaller group nobody is asked for anything.
    function _forfeits(Session storage s, uint256 dataOwners) private view returns (uint256 taken) {
        Sets.requireWithin(dataOwners, s.registered);
        uint256 valid = s.sets[2];
        taken = dataOwners & ~s.silentOwners;
        for (uint256 index = 0; taken >> index != 0; ++index) {
            if (!Sets.has(taken, index)) continue;
            if (!Sets.has(valid, index)) revert NotInSet(uint16(index));
            if (s.accounts[s.dataOwners[index]].claimed) taken &= ~(uint256(1) << index);
        }
        uint256[16] memory masks = Grouping.members(s);
        for (uint256 r = 0; r < s.groupCount; ++r) {
            if (!Grouping.isReady(masks[r], valid)) taken &= ~masks[r];
        }
    }
}
