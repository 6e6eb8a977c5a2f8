// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Grouping} from "./Grouping.sol";
import {Rules} from "./Rules.sol";
import {Session} from "./Types.sol";

/// @title The draw of groups and the judgement of a batch.
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

    /// @notice Which groups and data owners a batch accepts; reverts on a batch that no honest prover signs.
    /// @return output false: nothing is accepted, refunds
    function judge(Session storage s, uint256 passed, uint256[] calldata distances)
        external
        view
        returns (bool output, uint256 selected, uint256 accepted)
    {
        uint256[16] memory masks = Grouping.members(s);
        uint256 valid = s.sets[2];
        Grouping.requireReady(masks, passed, s.groupCount, valid);
        (output, selected) = Rules.select(s.terms.rule, passed, s.groupCount, s.terms.muBps, s.terms.mKrum, distances);
        accepted = valid & Grouping.union(masks, selected);
    }
}
