// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {IDataMarket} from "../../src/IDataMarket.sol";
import {Sets} from "../../src/Sets.sol";
import {MarketBase} from "./MarketBase.sol";

/// @dev Sessions of both modes: `step` and `walk` know what mode verified does otherwise.
abstract contract VerifiedBase is MarketBase {
    uint256 internal constant REF = 1 << 255;
    uint8 internal constant NONE = 0;
    uint8 internal constant OUTLIER = 1;
    uint8 internal constant MULTI_KRUM = 2;
    uint8 internal constant M_KRUM = 3;
    uint8 internal constant TRUST = 4;
    uint8 internal constant EQUAL = 0;
    uint8 internal constant BY_SCORE = 1;

    mapping(uint256 id => bool) internal referenced; // the owner has committed its reference

    /// @dev 12 data owners, cap 1000.
    function verified(uint8 rule, uint8 payout) internal pure returns (IDataMarket.Params memory p) {
        p = terms();
        (p.mode, p.groupSize, p.groups, p.dimension) = (1, 1, 12, 100);
        (p.rule, p.payout) = (rule, payout);
        if (rule == M_KRUM) p.mKrum = 5;
        if (payout == BY_SCORE) p.scoreCap = 1000;
    }

    function usesReference(uint256 id) internal view returns (bool) {
        return market.params(id).rule == TRUST || market.params(id).payout == BY_SCORE;
    }

    function referenceRoot() internal pure returns (bytes32) {
        return keccak256("reference");
    }

    function commitReference(uint256 id) internal virtual {
        vm.prank(model);
        market.commitReference(id, referenceRoot());
        referenced[id] = true;
    }

    function refBit(uint256 id) internal view returns (uint256) {
        return referenced[id] ? REF : 0;
    }

    function step(uint256 id) internal virtual override {
        if (market.params(id).mode == 0) return super.step(id);
        IDataMarket.Phase now_ = phase(id);
        if (now_ == IDataMarket.Phase.Register) {
            if (usesReference(id) && !referenced[id]) commitReference(id);
            uint256 most = market.params(id).groups;
            for (uint256 i = view_(id).registered; i < most; ++i) {
                join(id, i);
            }
        } else if (now_ == IDataMarket.Phase.Delivered) {
            postAll(id, 1, view_(id).sets[0] | refBit(id));
        } else if (now_ == IDataMarket.Phase.Batch) {
            uint256 accepted = view_(id).sets[2] & ~REF;
            postBatch(id, accepted, scores(id, accepted));
        } else {
            super.step(id);
        }
    }

    function word(uint256 score, uint256 copies) internal pure returns (uint256) {
        return score | (copies << 128);
    }

    /// @dev Score 100 + index, nobody a copy; none where the session has no scores.
    function scores(uint256 id, uint256 accepted) internal view returns (uint256[] memory values) {
        if (market.params(id).payout == EQUAL || !Sets.has(view_(id).sets[2], 255)) return values;
        values = new uint256[](Sets.size(accepted));
        uint256 next;
        for (uint256 i = 0; i < 255; ++i) {
            if (Sets.has(accepted, i)) values[next++] = word(100 + i, 1);
        }
    }

    /// @dev In phase Batch, with these bitmaps in Valid.
    function judged(IDataMarket.Params memory p, uint256 valid) internal returns (uint256 id) {
        id = started(p, IDataMarket.Phase.Valid);
        postAll(id, 2, valid);
        isPhase(id, IDataMarket.Phase.Batch);
    }
}
