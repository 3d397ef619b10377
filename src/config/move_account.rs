//! What `abacus move-account` takes.

use clap::Args;

use crate::domain::ids::AccountId;

/// Which account is moved, and where to.
#[derive(Debug, Clone, Args)]
pub struct MoveAccountArgs {
    /// The MAIN account, by its id: acc_42
    #[arg(value_parser = account)]
    pub account: AccountId,
    /// The name of the cell that it is to live in; the one that it lives in takes back what has not left yet
    #[arg(long)]
    pub to: String,
}

fn account(written: &str) -> Result<AccountId, String> {
    AccountId::parse(written).ok_or_else(|| format!("\"{written}\" is no account\'s id, such as acc_42"))
}
