// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {Clones} from "@openzeppelin/contracts/proxy/Clones.sol";

import {ISecModelUpdate, ISecModelUpdates, Underfunded} from "./ISecModelUpdate.sol";
import {ModelChunk} from "./ModelChunk.sol";
import {SecModelGas} from "./SecModelGas.sol";
import {SecModelUpdate} from "./SecModelUpdate.sol";

/// @title Makes sessions of the on-chain baseline. Nobody owns it.
contract SecModelUpdates is ISecModelUpdates {
    /// @notice The code behind every head.
    SecModelUpdate public immutable HEAD;

    /// @inheritdoc ISecModelUpdates
    uint256 public count;

    /// @inheritdoc ISecModelUpdates
    mapping(uint256 id => address) public headOf;

    constructor() {
        HEAD = new SecModelUpdate(address(new ModelChunk()));
    }

    /// @inheritdoc ISecModelUpdates
    function create(ISecModelUpdate.Terms calldata terms) external payable returns (uint256 id) {
        if (msg.value < terms.reward) revert Underfunded(msg.value, terms.reward);
        id = ++count;
        // its address says whose terms it has: after a reorganisation no other session can be found there
        bytes32 salt = keccak256(abi.encode(msg.sender, id, terms));
        address head = Clones.cloneDeterministic(address(HEAD), salt);
        headOf[id] = head;
        emit Created(id, msg.sender, head, terms.docDigest);
        SecModelUpdate(head).open{value: msg.value}(id, msg.sender, terms);
    }

    /// @inheritdoc ISecModelUpdates
    function quote(ISecModelUpdate.Terms calldata terms, uint16 rounds, uint16 groupSize)
        external
        pure
        returns (uint256)
    {
        uint256 units = SecModelGas.worstCase(terms.dimension, rounds, groupSize, terms.mKrum);
        return terms.reward + units * terms.gasPriceCap;
    }
}
