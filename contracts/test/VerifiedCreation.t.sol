// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {Gas} from "../src/Gas.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {VerifiedBase} from "./base/VerifiedBase.sol";

/// @dev Mode verified: what creation accepts.
contract VerifiedCreationTest is VerifiedBase {
    /// @dev (2^28 - 1) / 8.7: what PINE can prove, whatever the dimension.
    uint256 private constant LARGEST = 30854650;

    function refuse(IDataMarket.Params memory p, bytes memory why) private {
        vm.expectRevert(why);
        market.requiredEscrow(p);
        vm.expectRevert(why);
        vm.prank(model);
        market.createSession(p);
    }

    function accept(IDataMarket.Params memory p) private {
        uint256 id = create(p);
        isPhase(id, IDataMarket.Phase.Committee);
        ok(keccak256(abi.encode(market.params(id))) == keccak256(abi.encode(p)), "params");
    }

    function testRules() public {
        for (uint8 rule = 0; rule <= TRUST; ++rule) {
            accept(verified(rule, EQUAL));
            accept(verified(rule, BY_SCORE));
        }
        IDataMarket.Params memory p = verified(5, EQUAL);
        refuse(p, abi.encodeWithSelector(BadRule.selector, 5));
    }

    function testSizes() public {
        IDataMarket.Params memory p = verified(NONE, EQUAL);
        p.groupSize = 2;
        refuse(p, abi.encodeWithSelector(BadSizes.selector, 2, 12));
        p.groupSize = 0;
        refuse(p, abi.encodeWithSelector(BadSizes.selector, 0, 12));
        (p.groupSize, p.groups) = (1, 2);
        refuse(p, abi.encodeWithSelector(BadSizes.selector, 1, 2));
        p.groups = 256;
        refuse(p, abi.encodeWithSelector(BadSizes.selector, 1, 256));
        p.groups = 255;
        accept(p);
        p.rule = TRUST;
        accept(p);
        p.rule = OUTLIER;
        refuse(p, abi.encodeWithSelector(BadSizes.selector, 1, 255));
        p.groups = 65;
        refuse(p, abi.encodeWithSelector(BadSizes.selector, 1, 65));
        p.groups = 64;
        accept(p);
        (p.groups, p.muBps) = (3, 0);
        accept(p);
    }

    function testRuleNeedsDataOwners() public {
        IDataMarket.Params memory p = verified(OUTLIER, EQUAL);
        p.muBps = 10000;
        refuse(p, abi.encodeWithSelector(BadMu.selector, 10000));
        p.muBps = 8400;
        refuse(p, abi.encodeWithSelector(TooFewGroups.selector, 12, 13));
        (p.rule, p.mKrum) = (M_KRUM, 8);
        p.muBps = 2500;
        refuse(p, abi.encodeWithSelector(BadMKrum.selector, 8, 7));
        p.mKrum = 7;
        accept(p);
        (p.rule, p.muBps) = (TRUST, 9999);
        accept(p);
    }

    function testPayout() public {
        IDataMarket.Params memory p = verified(TRUST, EQUAL);
        p.payout = 2;
        refuse(p, abi.encodeWithSelector(BadPayout.selector, 2));
        p.payout = EQUAL;
        p.scoreCap = 1;
        refuse(p, abi.encodeWithSelector(BadScoreCap.selector, 1));
        p.payout = BY_SCORE;
        accept(p);
        p.scoreCap = 0;
        refuse(p, abi.encodeWithSelector(BadScoreCap.selector, 0));
        p.scoreCap = 1 << 127;
        refuse(p, abi.encodeWithSelector(BadScoreCap.selector, uint256(1) << 127));
        p.scoreCap = (1 << 127) - 1;
        accept(p);
    }

    function testMinAccepted() public {
        IDataMarket.Params memory p = verified(NONE, EQUAL);
        p.minAccepted = 2;
        refuse(p, abi.encodeWithSelector(BadMinAccepted.selector, 2));
        p.minAccepted = 13;
        refuse(p, abi.encodeWithSelector(BadMinAccepted.selector, 13));
        p.minAccepted = 12;
        accept(p);
    }

    /// @dev Small models are as private as large ones here.
    function testDimension() public {
        IDataMarket.Params memory p = verified(NONE, EQUAL);
        p.dimension = 0;
        refuse(p, abi.encodeWithSelector(BadDimension.selector, 0));
        p.dimension = 2 ** 24;
        refuse(p, abi.encodeWithSelector(BadDimension.selector, 2 ** 24));
        p.dimension = 2 ** 24 - 1;
        accept(p);
        p.dimension = 1;
        accept(p);
        p.publicSums = true;
        refuse(p, abi.encodeWithSelector(BadPublicSums.selector));
    }

    function testFuzzBound(uint64 value, uint8 shift) public {
        IDataMarket.Params memory p = verified(NONE, EQUAL);
        p.bound = value >> (shift % 64);
        if (p.bound != 0 && p.bound <= LARGEST) accept(p);
        else refuse(p, abi.encodeWithSelector(BadBound.selector, p.bound));
    }

    /// @dev At the edge, for small models and large ones.
    function testLargestBound() public {
        IDataMarket.Params memory p = verified(NONE, EQUAL);
        for (uint256 i = 0; i < 3; ++i) {
            p.dimension = [uint32(1), 5090, 2 ** 24 - 1][i];
            p.bound = uint64(LARGEST);
            accept(p);
            p.bound = uint64(LARGEST + 1);
            refuse(p, abi.encodeWithSelector(BadBound.selector, LARGEST + 1));
        }
        p.bound = 1e9; // 8.7 times as much is beyond what a prover can check
        refuse(p, abi.encodeWithSelector(BadBound.selector, 1e9));
    }

    function testFracBits() public {
        IDataMarket.Params memory p = verified(NONE, EQUAL);
        p.fracBits = 41;
        refuse(p, abi.encodeWithSelector(BadFracBits.selector, 41));
        p.fracBits = 40;
        accept(p);
    }

    function testEscrow() public view {
        IDataMarket.Params memory p = verified(TRUST, BY_SCORE);
        eq(market.requiredEscrow(p), 1 ether + 5 * 0.01 ether + this.worstCase(p) * 2 gwei, "escrow");
        IDataMarket.Params memory q = verified(TRUST, EQUAL);
        eq(this.worstCase(p) - this.worstCase(q), Gas.SCORES + 12 * Gas.SCORE, "scores");
    }

    function worstCase(IDataMarket.Params calldata p) external pure returns (uint256) {
        return Gas.worstCase(p);
    }
}
