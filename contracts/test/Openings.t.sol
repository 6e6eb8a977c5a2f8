// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {Gas} from "../src/Gas.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {Sets} from "../src/Sets.sol";
import {VerifiedBase} from "./base/VerifiedBase.sol";

/// @dev Combinations of the consistency check on chain: who may post them, when, and what of them is checked.
contract OpeningsTest is VerifiedBase {
    function member(uint256 id, uint256 seat) private view returns (address) {
        return market.committeeOf(id)[seat];
    }

    function refuse(uint256 id, address who, uint256 present, uint256 length, bytes memory why) private {
        bytes memory values = new bytes(length);
        vm.expectRevert(why);
        vm.prank(who);
        market.postOpenings(id, present, values);
    }

    function valid(IDataMarket.Params memory p) private returns (uint256 id) {
        id = started(p, IDataMarket.Phase.Valid);
    }

    function testShowsWhatWasPosted() public {
        uint256 id = valid(terms());
        bytes memory values = openings(0x805, 7);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.OpeningsPosted(id, 3, 0x805, values);
        vm.prank(member(id, 3));
        market.postOpenings(id, 0x805, values);
        isPhase(id, IDataMarket.Phase.Valid);
    }

    /// @dev Mode verified: the reference has its bit, and its element comes last.
    function testReference() public {
        uint256 id = valid(verified(TRUST, EQUAL));
        uint256 present = view_(id).sets[1];
        eq(present, 0xfff | REF, "delivered");
        bytes memory values = openings(present, 1);
        eq(values.length, 8 * 13, "one more");
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.OpeningsPosted(id, 0, present, values);
        postOpenings(id, 0, present);
        id = valid(verified(NONE, EQUAL));
        refuse(id, member(id, 0), present, 8 * 13, abi.encodeWithSelector(NotDelivered.selector, REF));
    }

    function testNothingPresent() public {
        uint256 id = valid(terms());
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.OpeningsPosted(id, 0, 0, "");
        postOpenings(id, 0, 0);
        refuse(id, member(id, 0), 1, 8, abi.encodeWithSelector(OpenedTwice.selector, 0));
    }

    function testOncePerSeat() public {
        uint256 id = valid(terms());
        for (uint256 seat = 0; seat < 5; ++seat) {
            postOpenings(id, seat, 0xfff);
            bytes memory why = abi.encodeWithSelector(OpenedTwice.selector, seat);
            refuse(id, member(id, seat), 0xfff, 96, why);
        }
        isPhase(id, IDataMarket.Phase.Valid); // all have opened: it is the bitmaps that end the phase
        postAll(id, 2, 0xfff);
        isPhase(id, IDataMarket.Phase.Batch);
    }

    function testBeforeAndAfterTheBitmap() public {
        uint256 id = valid(verified(NONE, EQUAL));
        postOpenings(id, 0, 0xfff);
        post(id, 0, 2, 0xfff);
        post(id, 1, 2, 0xfff);
        postOpenings(id, 1, 0xffe);
        expire(id);
        refuse(
            id,
            member(id, 2),
            0xfff,
            96,
            abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Valid, IDataMarket.Phase.Batch)
        );
    }

    function testOnlyTheCommittee() public {
        uint256 id = valid(terms());
        address[3] memory others = [model, dataOwner(0), address(this)];
        for (uint256 i = 0; i < 3; ++i) {
            refuse(id, others[i], 0xfff, 96, abi.encodeWithSelector(NotInCommittee.selector, others[i]));
        }
    }

    function testOnlyInValid() public {
        for (uint8 mode = 0; mode < 2; ++mode) {
            uint256 id = create(mode == 0 ? terms() : verified(TRUST, EQUAL));
            while (phase(id) < IDataMarket.Phase.Finished) {
                IDataMarket.Phase now_ = phase(id);
                if (now_ > IDataMarket.Phase.Committee && now_ != IDataMarket.Phase.Valid) {
                    refuse(
                        id,
                        member(id, 0),
                        0,
                        0,
                        abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Valid, now_)
                    );
                }
                step(id);
            }
        }
        vm.expectRevert(abi.encodeWithSelector(UnknownSession.selector, 3));
        market.postOpenings(3, 0, "");
    }

    /// @dev What is present must be delivered, and each element is 8 bytes long.
    function testFuzzPresentAndLength(uint256 present, uint16 length, bool right) public {
        uint256 id = valid(terms());
        present = present % 4 == 0 ? present : present & 0xfff;
        uint256 expected = 8 * Sets.size(present);
        uint256 given = right ? expected : length % 128;
        if (present & ~uint256(0xfff) != 0) {
            refuse(
                id,
                member(id, 1),
                present,
                given,
                abi.encodeWithSelector(NotDelivered.selector, present & ~uint256(0xfff))
            );
        } else if (given != expected) {
            refuse(id, member(id, 1), present, given, abi.encodeWithSelector(OpeningsLength.selector, given, expected));
        } else {
            postOpenings(id, 1, present);
        }
    }

    /// @dev Not all are delivered: those that are not cannot be opened.
    function testDelivered() public {
        uint256 id = started(terms(), IDataMarket.Phase.Delivered);
        postAll(id, 1, 0xff7);
        expire(id);
        market.poke(id);
        walk(id, IDataMarket.Phase.Valid);
        eq(view_(id).sets[1], 0xff7, "delivered");
        refuse(id, member(id, 0), 0xfff, 96, abi.encodeWithSelector(NotDelivered.selector, 8));
        postOpenings(id, 0, 0xff7);
    }

    function testPaidBack() public {
        for (uint8 mode = 0; mode < 2; ++mode) {
            uint256 id = valid(mode == 0 ? terms() : verified(NONE, EQUAL));
            uint256 twin = valid(mode == 0 ? terms() : verified(NONE, EQUAL));
            postOpenings(id, 0, 0xfff);
            postOpenings(id, 1, 0x7);
            walk(id, IDataMarket.Phase.Finished);
            walk(twin, IDataMarket.Phase.Finished);
            for (uint256 seat = 0; seat < 3; ++seat) {
                uint256 units = seat == 0 ? Gas.openings(96) : seat == 1 ? Gas.openings(24) : 0;
                eq(spent(id, seat) - spent(twin, seat), units * 1 gwei, "credit");
            }
        }
        eq(Gas.openings(96) - Gas.openings(24), 2 * Gas.OPENINGS_WORD, "words begun");
    }

    /// @dev What a member is owed, without what other sessions owe it.
    function spent(uint256 id, uint256 seat) private view returns (uint256) {
        return market.owed(id, member(id, seat));
    }

    /// @dev The escrowed budget has room for everybody's.
    function testInTheBudget() public view {
        IDataMarket.Params memory p = terms();
        ok(this.worstCase(p) > 5 * (3 * Gas.BITMAP + Gas.openings(96)), "grouped");
        p = verified(NONE, EQUAL);
        IDataMarket.Params memory q = verified(NONE, EQUAL);
        q.committee = 6;
        uint256 more = this.worstCase(q) - this.worstCase(p);
        uint256 each = 2 * Gas.BITMAP + Gas.openings(8 * 13) + Gas.DRAW + Gas.SLASH + Gas.END_EACH;
        eq(more, each + 2 * Gas.FIX_EACH + 3 * Gas.SIGNATURE, "per member");
    }

    function worstCase(IDataMarket.Params calldata p) external pure returns (uint256) {
        return Gas.worstCase(p);
    }
}
