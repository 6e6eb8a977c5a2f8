// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDataMarket} from "../src/IDataMarket.sol";
import {Sets} from "../src/Sets.sol";
import {MarketBase} from "./base/MarketBase.sol";

/// @dev A prover that acts soon after a phase is there to be seen keeps its stake, whatever one data owner leaves undone
/// and however short the windows are. Everybody acts on what the block before showed.
contract PromptTest is MarketBase {
    enum Lapse {
        None,
        Register, // never joins
        Shares, // no share root
        SharesLate, // share root in the last block
        Bundle, // share root, but the provers lack its bundles
        Upload, // no upload root
        UploadLate, // upload root in the last block
        Delivery, // upload root, but no prover has its shares
        FewDeliveries, // three provers have them
        Validity // inconsistent
    }

    uint256 private constant LAST = 11; // the one who lapses, where it is there

    function sweep(Lapse lapse) private {
        for (uint16 blocks = 10; blocks <= 30; ++blocks) {
            this.session(lapse, blocks, blocks, blocks % 2 == 0 ? 1 : 4); // a call each: its memory is freed
            this.session(lapse, blocks, 10, 4);
            this.session(lapse, 10, blocks, 1);
        }
    }

    function testNobodyLapses() public {
        sweep(Lapse.None);
    }

    function testNeverJoins() public {
        sweep(Lapse.Register);
    }

    function testNoShares() public {
        sweep(Lapse.Shares);
    }

    function testLateShares() public {
        sweep(Lapse.SharesLate);
    }

    function testNoBundle() public {
        sweep(Lapse.Bundle);
    }

    function testNoUpload() public {
        sweep(Lapse.Upload);
    }

    function testLateUpload() public {
        sweep(Lapse.UploadLate);
    }

    function testNoDelivery() public {
        sweep(Lapse.Delivery);
    }

    function testFewDeliveries() public {
        sweep(Lapse.FewDeliveries);
    }

    function testNotValid() public {
        sweep(Lapse.Validity);
    }

    /// @dev The whole session; provers act `lag` blocks after the one that entered a phase, 4 at most (in Valid
    /// twice as many, 8).
    function session(Lapse lapse, uint16 upload, uint16 settle, uint256 lag) external {
        IDataMarket.Params memory p = terms();
        (p.registerBlocks, p.uploadBlocks, p.settleBlocks) = (3, upload, settle);
        uint256 id = create(p);
        uint256 start = height;
        while (phase(id) < IDataMarket.Phase.Finished) {
            mine(1);
            IDataMarket.SessionView memory seen = view_(id);
            if (height > seen.deadline) market.poke(id);
            else if (acts(seen.phase) || height >= seen.phaseStart + wait(seen.phase, lag)) act(id, seen, lapse);
        }
        isPhase(id, IDataMarket.Phase.Finished);
        eq(BURN.balance, 0, "nobody is slashed");
        // 3 + 3 for joining, 1 for each of three beacons, a poke per phase, 4 x (4 + 1) and 2 x (4 + 1) + 8 + 1 + 6 at most
        ok(height - start <= uint256(6) + 3 + upload + settle + 20 + 25 + 8, "bounded");
    }

    function wait(IDataMarket.Phase p, uint256 lag) private pure returns (uint256) {
        return p == IDataMarket.Phase.Valid ? 2 * lag : lag;
    }

    /// @dev Phases of data owners and beacons, in which everybody acts at once.
    function acts(IDataMarket.Phase p) private pure returns (bool) {
        return p <= IDataMarket.Phase.Keys || p == IDataMarket.Phase.Upload || p == IDataMarket.Phase.Query;
    }

    function act(uint256 id, IDataMarket.SessionView memory seen, Lapse lapse) private {
        if (seen.phase == IDataMarket.Phase.Register) {
            for (uint256 i = seen.registered; i < (lapse == Lapse.Register ? LAST : LAST + 1); ++i) {
                join(id, i);
            }
        } else if (seen.phase == IDataMarket.Phase.Keys) {
            if (height == seen.phaseStart + 1) commits(id, LAST, true);
            if (goes(lapse, Lapse.Shares, Lapse.SharesLate, seen)) commitShares(id, LAST);
        } else if (seen.phase == IDataMarket.Phase.Upload) {
            if (height == seen.phaseStart + 1) commits(id, LAST, false);
            if (goes(lapse, Lapse.Upload, Lapse.UploadLate, seen) && Sets.has(seen.sets[0], LAST)) {
                commitUpload(id, LAST);
            }
        } else if (height > seen.phaseStart) {
            vote(id, seen, lapse);
        }
    }

    function commits(uint256 id, uint256 count, bool shares) private {
        for (uint256 i = 0; i < count; ++i) {
            if (shares) commitShares(id, i);
            else commitUpload(id, i);
        }
    }

    /// @dev Whether the last data owner commits in this block.
    function goes(Lapse lapse, Lapse never, Lapse late, IDataMarket.SessionView memory seen)
        private
        view
        returns (bool)
    {
        if (seen.registered <= LAST || lapse == never) return false;
        return height == (lapse == late ? seen.deadline : seen.phaseStart + 1);
    }

    function vote(uint256 id, IDataMarket.SessionView memory seen, Lapse lapse) private {
        uint256 bits = all(id);
        uint256 without = bits & ~(uint256(1) << LAST);
        if (seen.phase == IDataMarket.Phase.Bundles) {
            postOnce(id, 0, lapse == Lapse.Bundle ? without : bits, 0);
        } else if (seen.phase == IDataMarket.Phase.Delivered) {
            bool few = lapse == Lapse.FewDeliveries;
            postOnce(id, 1, lapse == Lapse.Delivery || few ? without : bits, few ? uint256(1) << LAST : 0);
        } else if (seen.phase == IDataMarket.Phase.Valid) {
            postOnce(id, 2, lapse == Lapse.Validity ? without : bits, 0);
        } else if (seen.phase == IDataMarket.Phase.Batch) {
            uint256 passed = Sets.full(seen.groupCount);
            postBatch(id, passed, zeros(passed));
        } else {
            step(id);
        }
    }

    mapping(uint256 id => mapping(uint8 kind => bool)) private _voted;

    /// @dev All provers in one block; the first three see `extra` as well.
    function postOnce(uint256 id, uint8 kind, uint256 bits, uint256 extra) private {
        if (_voted[id][kind]) return;
        _voted[id][kind] = true;
        for (uint256 seat = 0; seat < 5; ++seat) {
            post(id, seat, kind, seat < 3 ? bits | extra : bits);
        }
    }
}
