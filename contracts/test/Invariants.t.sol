// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDataMarket} from "../src/IDataMarket.sol";
import {Sets} from "../src/Sets.sol";
import {Handler} from "./base/Handler.sol";
import {Test} from "./base/Test.sol";

/// @dev MARKET's money rules, under whatever the fuzzer does to several sessions at once.
contract InvariantsTest is Test {
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    Handler private _h;

    function setUp() public {
        _h = new Handler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_h);
    }

    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        bytes4[] memory s = new bytes4[](17);
        (s[0], s[1], s[2], s[3]) =
        (Handler.open.selector, Handler.pass.selector, Handler.late.selector, Handler.poke.selector);
        (s[4], s[5], s[6], s[7]) =
        (Handler.crowd.selector, Handler.crowd.selector, Handler.crowd.selector, Handler.honest.selector);
        (s[8], s[9], s[10]) = (Handler.honest.selector, Handler.nonsense.selector, Handler.receipts.selector);
        (s[11], s[12], s[13]) = (Handler.accuse.selector, Handler.signTwice.selector, Handler.acknowledge.selector);
        (s[14], s[15]) = (Handler.take.selector, Handler.restock.selector);
        s[16] = Handler.jump.selector;
        targets = new FuzzSelector[](1);
        targets[0] = FuzzSelector(address(_h), s);
    }

    /// @dev The balance is the sum of what is held for the sessions.
    function invariantBalanceIsHeld() public view {
        eq(_h.marketBalance(), _h.escrows(), "balance");
    }

    /// @dev What is held for a session that is over is exactly what is owed in it.
    function invariantHeldIsOwed() public view {
        for (uint256 id = 1; id <= _h.sessions(); ++id) {
            IDataMarket.SessionView memory v = _h.sessionOf(id);
            if (v.phase >= IDataMarket.Phase.Finished) eq(_h.owedInAll(id), v.escrow, "owed");
        }
    }

    function invariantNobodyIsPaidTwice() public view {
        ok(!_h.paidTwice(), "paid twice");
    }

    /// @dev Accepted means: committed shares, committed an upload, delivered, valid.
    function invariantNoPayWithoutACommitment() public view {
        for (uint256 id = 1; id <= _h.sessions(); ++id) {
            IDataMarket.SessionView memory v = _h.sessionOf(id);
            ok(v.acceptedOwners & ~v.sets[2] == 0, "accepted is in U");
            ok(v.sets[2] & ~v.sets[1] == 0, "U is delivered");
            ok(v.sets[1] & ~(v.sets[0] | _h.referenceOf(id)) == 0, "delivered is in V");
            ok(v.silentOwners & ~v.sets[2] == 0, "only members of U forfeit");
            ok(Sets.size(v.namedProvers) <= 1, "at most t named");
        }
    }

    /// @dev Payouts together are at most the reward, nobody registered later has one, and nobody has one without a
    /// session that ended well.
    function invariantPayoutsAreInTheReward() public view {
        for (uint256 id = 1; id <= _h.sessions(); ++id) {
            IDataMarket.SessionView memory v = _h.sessionOf(id);
            uint256 sum;
            uint256 paid;
            for (uint16 i = 0; i <= 255; ++i) {
                uint256 payout = _h.payoutOf(id, i);
                sum += payout;
                if (payout != 0) paid |= uint256(1) << i;
            }
            ok(sum <= _h.rewardOf(id), "reward");
            ok(paid & ~(v.sets[2] & Sets.full(v.registered)) == 0, "only valid data owners are paid");
            ok(sum == 0 || v.phase == IDataMarket.Phase.Finished, "finished");
        }
    }

    /// @dev And at the end of every run: by time alone everybody gets everything, and nothing stays.
    function afterInvariant() public {
        _h.end(7);
        eq(_h.marketBalance(), 0, "empty");
        ok(!_h.paidTwice(), "paid twice");
    }
}
