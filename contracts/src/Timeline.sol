// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDataMarket} from "./IDataMarket.sol";
import {Session} from "./Types.sol";

/// @title Deadlines: fixed fractions of the three windows, counted from the block in which the window began, and never
/// so soon after a phase is really entered that nobody could act in it.
library Timeline {
    /// @dev A phase may run to its deadline because one data owner is silent; whoever must act in the next one, on pain
    /// of its stake, has at least these blocks from the one that entered it.
    uint256 internal constant MIN_PHASE_BLOCKS = 4;
    uint256 internal constant MIN_VALID_BLOCKS = 8; // openings, pieces, proofs and votes, each an answer to the one before
    uint256 internal constant MIN_BATCH_BLOCKS = 6; // n - t signatures must be gathered first

    /// @dev Last block in which `phase`, entered now, accepts its transactions. Committee, Register, Draw and Output
    /// count from the block in which they begin (session.phaseStart), the others from session.windowStart.
    function deadlineOf(Session storage s, IDataMarket.Phase phase) internal view returns (uint256) {
        if (phase == IDataMarket.Phase.Committee || phase == IDataMarket.Phase.Register) {
            return uint256(s.phaseStart) + s.terms.registerBlocks;
        }
        if (phase == IDataMarket.Phase.Draw || phase == IDataMarket.Phase.Output) {
            return uint256(s.phaseStart) + s.terms.settleBlocks;
        }
        if (phase >= IDataMarket.Phase.Finished) return 0;
        uint256 scheduled = uint256(s.windowStart) + _share(s, phase);
        uint256 least = uint256(s.phaseStart) + _least(phase);
        return scheduled > least ? scheduled : least;
    }

    function _least(IDataMarket.Phase phase) private pure returns (uint256) {
        if (phase == IDataMarket.Phase.Valid) return MIN_VALID_BLOCKS;
        return phase == IDataMarket.Phase.Batch ? MIN_BATCH_BLOCKS : MIN_PHASE_BLOCKS;
    }

    /// @dev Blocks from the start of the window to the scheduled end of `phase`.
    function _share(Session storage s, IDataMarket.Phase phase) private view returns (uint256) {
        if (phase <= IDataMarket.Phase.Upload) {
            uint256 up = s.terms.uploadBlocks;
            if (phase == IDataMarket.Phase.Groups) return up / 5;
            if (phase == IDataMarket.Phase.Keys) return 2 * up / 5;
            if (phase == IDataMarket.Phase.Bundles) return 3 * up / 5;
            return up;
        }
        uint256 settle = s.terms.settleBlocks;
        if (phase == IDataMarket.Phase.Delivered) return settle / 5;
        if (phase == IDataMarket.Phase.Query) return 3 * settle / 10;
        if (phase == IDataMarket.Phase.Valid) return settle / 2;
        return settle; // Batch
    }
}
