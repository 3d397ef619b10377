// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";

/// A token for tests: all of it belongs to who deploys it.
contract TestToken is ERC20 {
    uint8 private immutable _places;

    constructor(string memory name, string memory symbol, uint8 places, uint256 supply) ERC20(name, symbol) {
        _places = places;
        _mint(msg.sender, supply);
    }

    function decimals() public view override returns (uint8) {
        return _places;
    }
}
