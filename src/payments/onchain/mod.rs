//! Deposits on an EVM chain: an address for each prepayment, and the token transfers that reach it.
//!
//! | file | what is in it |
//! |---|---|
//! | [`address`] | an Ethereum address and its checksummed text |
//! | [`deposit_key`] | the extended public key that deposit addresses are derived from |
//! | [`amount`] | amounts of tokens, exact |
//! | [`chain`] | what is asked of a chain, and what it answers |
//! | [`rpc`] | a chain that is asked by JSON-RPC |
//! | [`transfer`] | a token's Transfer event |
//! | [`memory`] | which blocks were scanned |
//! | [`scan`] | what a scan finds |
//! | [`watch`] | one scan: what is new, and what is undone |

pub mod address;
pub mod amount;
pub mod chain;
pub mod deposit_key;
mod hex;
pub mod memory;
pub mod rpc;
pub mod scan;
pub mod transfer;
pub mod watch;
