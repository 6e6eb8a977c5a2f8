// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDataMarket} from "./IDataMarket.sol";
import {Scores} from "./Scores.sol";
import {Sets} from "./Sets.sol";
import {Account, MODE_VERIFIED, REFERENCE_BIT, RULE_TRUST, Session} from "./Types.sol";

/// @title Who gets how much. Nothing is added up while a session runs but gas credits: all else follows from its sets.
/// @dev At the end  funded + deposits = gas credits + payouts + fees + deposits back + burned + owner's rest,  where
/// the rest is defined as what is missing; so the sum of payouts cannot exceed the escrow.
/// Linked, because its code does not fit beside the market's; works on the market's storage.
library Money {
    /// @dev Pays `units` of gas back to `who`, never more than is left of the escrowed budget.
    function credit(Session storage s, address who, uint256 units) internal {
        uint256 cap = s.terms.gasPriceCap;
        uint256 wei_ = units * (block.basefee < cap ? block.basefee : cap);
        uint256 left = s.gasLeft;
        if (wei_ > left) wei_ = left;
        if (wei_ == 0) return;
        s.gasLeft = uint96(left - wei_); // both fit: wei_ <= left
        s.accounts[who].credit += uint128(wei_);
    }

    /// @notice Payout of the data owner registered index-th: 0 before the session is Finished. By score, or the same for
    /// each that is paid; dust and the parts of the others go back to the owner.
    function payoutOf(Session storage s, uint256 index) public view returns (uint256) {
        if (s.phase != IDataMarket.Phase.Finished || !Sets.has(_paidOwners(s), index)) return 0;
        uint256 sum = s.weightSum;
        return sum == 0 ? _share(s) : Scores.payout(s.terms.reward, Scores.load(s, index), sum);
    }

    /// @dev Committee members whose fee is paid or still to be paid: every bitmap posted, not slashed before the fee
    /// was taken.
    function earners(Session storage s) internal view returns (uint256) {
        if (!s.feesDue) return 0;
        uint256 posted = s.posted1 & s.posted2;
        if (s.terms.mode != MODE_VERIFIED) posted &= s.posted0; // verified has no Bundles
        return (posted & ~uint256(s.slashed)) | s.feePaid;
    }

    /// @dev What the session's owner gets in all, whether or not it has taken it.
    function rest(Session storage s) internal view returns (uint256) {
        uint256 fees = (uint256(s.terms.committee) - Sets.size(earners(s))) * s.terms.proverFee;
        return s.gasLeft + s.terms.reward - _payouts(s) + fees;
    }

    /// @dev Who shares in the reward: the accepted; with equal pay under `trust` all that are valid, since a cosine is no
    /// reason to refuse pay.
    function _paidOwners(Session storage s) private view returns (uint256) {
        bool all = s.terms.rule == RULE_TRUST && s.weightSum == 0;
        return all ? s.sets[2] & ~REFERENCE_BIT : s.acceptedOwners;
    }

    /// @dev Equal pay: never more because others were not accepted.
    function _share(Session storage s) private view returns (uint256) {
        return s.terms.reward / s.registered;
    }

    /// @dev All payouts together.
    function _payouts(Session storage s) private view returns (uint256) {
        if (s.phase != IDataMarket.Phase.Finished) return 0;
        return s.weightSum == 0 ? _share(s) * Sets.size(_paidOwners(s)) : s.rewarded;
    }

    /// @dev What `who` would get now as data owner and as prover, 0 before the session is over and after claiming.
    function wages(Session storage s, Account memory a) internal view returns (uint256 amount) {
        if (a.claimed) return 0;
        if (a.place != 0) {
            uint256 index = a.place - 1;
            if (!Sets.has(s.silentOwners, index)) amount += s.terms.deposit;
            amount += payoutOf(s, index);
        }
        if (a.seat != 0 && Sets.has(earners(s), a.seat - 1)) amount += s.terms.proverFee;
    }

    /// @notice Everything that `who` is owed now.
    function owed(Session storage s, address who) public view returns (uint256 amount) {
        if (s.phase < IDataMarket.Phase.Finished) return 0;
        Account memory a = s.accounts[who];
        amount = a.credit + wages(s, a);
        if (who == s.owner) amount += rest(s) - s.ownerPaid;
    }

    /// @notice Marks everything that `who` is owed as paid and returns it.
    function settle(Session storage s, address who) external returns (uint256 amount) {
        amount = owed(s, who);
        if (amount == 0) return 0;
        Account storage a = s.accounts[who];
        if (a.seat != 0 && !a.claimed && Sets.has(earners(s), a.seat - 1)) {
            s.feePaid |= uint16(1 << (a.seat - 1));
        }
        a.credit = 0;
        if (a.place != 0 || a.seat != 0) a.claimed = true;
        if (who == s.owner) s.ownerPaid = uint128(rest(s)); // fits: at most what was funded
        s.paid += uint128(amount);
    }

    /// @notice Wei still held for this session.
    function held(Session storage s) external view returns (uint256) {
        uint256 deposits = uint256(s.registered) - Sets.size(s.silentOwners);
        return s.funded + deposits * s.terms.deposit - s.paid;
    }
}
