//! What `abacus distribute` takes.

use clap::Args;
use clap::builder::BoolishValueParser;

/// How the database is spread over machines.
#[derive(Debug, Clone, Args)]
pub struct DistributeArgs {
    /// How many shards accounts are cut into, once and for all [default: two for each worker]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub shards: Option<u16>,
    /// Print what there is to do, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// It is a sandbox's
    #[arg(long, env = "ABACUS_SANDBOX", value_parser = BoolishValueParser::new())]
    pub sandbox: bool,
}
