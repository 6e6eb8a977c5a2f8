// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDataMarket} from "./IDataMarket.sol";
import {Session} from "./Types.sol";

/// @title Deadlines: fixed fractions of the three windows, counted from the block in which the window began.
library Timeline {
    /// @dev Last block in which `phase`, entered now, accepts its transactions. Register, Draw and Output count from
    /// the block in which they begin (session.phaseStart), the others from session.windowStart.
    function deadlineOf(Session storage s, IDataMarket.Phase phase) internal view returns (uint256) {
        uint256 start = s.windowStart;
        if (phase == IDataMarket.Phase.Committee || phase == IDataMarket.Phase.Register) {
            return uint256(s.phaseStart) + s.terms.registerBlocks;
        }
        if (phase == IDataMarket.Phase.Draw || phase == IDataMarket.Phase.Output) {
            return uint256(s.phaseStart) + s.terms.settleBlocks;
        }
        if (phase <= IDataMarket.Phase.Upload) {
            uint256 up = s.terms.uploadBlocks;
            if (phase == IDataMarket.Phase.Groups) return start + up / 5;
            if (phase == IDataMarket.Phase.Keys) return start + 2 * up / 5;
            if (phase == IDataMarket.Phase.Bundles) return start + 3 * up / 5;
            return start + up;
        }
        uint256 settle = s.terms.settleBlocks;
        if (phase == IDataMarket.Phase.Delivered) return start + settle / 5;
        if (phase == IDataMarket.Phase.Query) return start + 3 * settle / 10;
        if (phase == IDataMarket.Phase.Valid) return start + settle / 2;
        if (phase == IDataMarket.Phase.Batch) return start + settle;
        return 0; // Finished, Aborted
    }
}
