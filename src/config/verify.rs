//! What `abacus verify` takes.

use std::path::PathBuf;

use clap::Args;
use clap::builder::BoolishValueParser;

use crate::domain::anchor::PublicKey;

/// What is verified.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// A file that holds a receipt, as `ledgerAnchor` answers it: only that is checked, without a database
    #[arg(long)]
    pub receipt: Option<PathBuf>,
    /// A public key whose anchors are trusted, 64 hexadecimal digits; may be given again [default: those of ABACUS_ANCHOR_KEY]
    #[arg(long = "public-key", value_parser = anchor_public_key)]
    pub public_keys: Vec<PublicKey>,
    /// It is a sandbox's
    #[arg(long, env = "ABACUS_SANDBOX", value_parser = BoolishValueParser::new())]
    pub sandbox: bool,
}

fn anchor_public_key(text: &str) -> Result<PublicKey, String> {
    PublicKey::read(text)
        .ok_or_else(|| "a public key of Ed25519 is expected, 64 hexadecimal digits".to_owned())
}
