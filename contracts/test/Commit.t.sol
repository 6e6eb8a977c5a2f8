// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import "../src/Errors.sol";
import {IDataMarket} from "../src/IDataMarket.sol";
import {MarketBase} from "./base/MarketBase.sol";

contract CommitTest is MarketBase {
    function testShares() public {
        uint256 id = started(terms(), IDataMarket.Phase.Keys);
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.ShareRootCommitted(id, 7, keccak256(abi.encode("shares", uint256(7))));
        commitShares(id, 7);
        address who = dataOwner(7);
        vm.expectRevert(abi.encodeWithSelector(AlreadyDone.selector, 7));
        vm.prank(who);
        market.commitShares(id, "again");
        vm.expectRevert(abi.encodeWithSelector(NotDataOwner.selector, model));
        vm.prank(model);
        market.commitShares(id, "x");
        who = dataOwner(8);
        vm.expectRevert(EmptyRoot.selector);
        vm.prank(who);
        market.commitShares(id, 0);
        vm.expectRevert(abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Upload, IDataMarket.Phase.Keys));
        vm.prank(who);
        market.commitUpload(id, "x");
    }

    function testAllSharesClose() public {
        uint256 id = started(terms(), IDataMarket.Phase.Keys);
        uint256 start = view_(id).deadline - 8;
        for (uint256 i = 0; i < 11; ++i) {
            commitShares(id, i);
        }
        isPhase(id, IDataMarket.Phase.Keys);
        mine(1);
        commitShares(id, 11);
        isPhase(id, IDataMarket.Phase.Bundles);
        eq(view_(id).deadline, start + 12, "the deadline does not move");
    }

    function testSharesByTime() public {
        uint256 id = started(terms(), IDataMarket.Phase.Keys);
        commitShares(id, 3);
        mine(view_(id).deadline - height);
        commitShares(id, 4);
        mine(1);
        address who = dataOwner(5);
        bytes memory late =
            abi.encodeWithSelector(WrongPhase.selector, IDataMarket.Phase.Keys, IDataMarket.Phase.Bundles);
        vm.expectRevert(late);
        vm.prank(who);
        market.commitShares(id, "late");
        postAll(id, 0, all(id));
        eq(view_(id).sets[0], 3 << 3, "only who committed is in V");
    }

    function testUpload() public {
        uint256 id = started(terms(), IDataMarket.Phase.Bundles);
        postAll(id, 0, 0xff0);
        eq(view_(id).sets[0], 0xff0, "V");
        address who = dataOwner(3);
        vm.expectRevert(abi.encodeWithSelector(NotInSet.selector, 3));
        vm.prank(who);
        market.commitUpload(id, "x");
        vm.expectEmit(true, true, true, true, address(market));
        emit IDataMarket.UploadCommitted(id, 4, uploadRoot(4));
        commitUpload(id, 4);
        who = dataOwner(4);
        vm.expectRevert(abi.encodeWithSelector(AlreadyDone.selector, 4));
        vm.prank(who);
        market.commitUpload(id, "x");
        vm.expectRevert(EmptyRoot.selector);
        vm.prank(who);
        market.commitUpload(id, 0);
        vm.expectRevert(abi.encodeWithSelector(NotDataOwner.selector, model));
        vm.prank(model);
        market.commitUpload(id, "x");
        for (uint256 i = 5; i < 12; ++i) {
            isPhase(id, IDataMarket.Phase.Upload);
            commitUpload(id, i);
        }
        isPhase(id, IDataMarket.Phase.Delivered);
        eq(view_(id).deadline, height + 5, "the settle window starts here");
    }

    function testUploadByTime() public {
        uint256 id = started(terms(), IDataMarket.Phase.Upload);
        uint256 deadline = view_(id).deadline;
        commitUpload(id, 2);
        mine(deadline - height);
        commitUpload(id, 9);
        mine(2);
        postAll(id, 1, all(id));
        eq(view_(id).sets[1], (1 << 2) | (1 << 9), "delivered are those that committed");
        expire(id);
        market.poke(id);
        eq(view_(id).sets[1], (1 << 2) | (1 << 9), "fixed");
    }

    /// @dev The settle window begins when the poke that ends Upload is mined, however late.
    function testSettleWindowByTime() public {
        uint256 id = started(terms(), IDataMarket.Phase.Upload);
        uint256 deadline = view_(id).deadline;
        mine(deadline + 3 - height);
        market.poke(id);
        isPhase(id, IDataMarket.Phase.Delivered);
        eq(view_(id).phaseStart, height, "starts with the poke");
        eq(view_(id).deadline, height + 5, "a fifth of 25");
    }
}
