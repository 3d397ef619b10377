//! Secrets are given in the environment, or in files that it names; never on the command line, where everybody on the machine
//! sees them.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use super::{Cli, CliCommand, PaymentArgs};

/// What is said of them in the help.
pub(super) const HELP: &str = "Secrets are given in the environment, each itself or as a file that holds it:
  DATABASE_URL, DATABASE_URL_FILE                  the PostgreSQL to use; without it a private one is started
  ABACUS_MIGRATE_URL, ABACUS_MIGRATE_URL_FILE      the same for the role that owns the schema; without it the server's own role does
  ABACUS_JWT_SECRET, ABACUS_JWT_SECRET_FILE        signs and checks tokens (HS256), at least 32 bytes; a sandbox makes its own
  ABACUS_LEDGER_KEYS, ABACUS_LEDGER_KEYS_FILE      seals what is posted: VERSION:SECRET, with commas between several; the first
                                                   seals. Without it the ledger is sealed with what everybody knows
  ABACUS_ANCHOR_KEY, ABACUS_ANCHOR_KEY_FILE        signs the anchors of the ledger (Ed25519): 64 hexadecimal digits, and with commas
                                                   public:… of keys before. Without it nothing is anchored
  ABACUS_STRIPE_KEY, ABACUS_STRIPE_KEY_FILE        Stripe's secret key, sk_… or rk_…; without it no cards are charged
  ABACUS_STRIPE_WEBHOOK_SECRETS, …_FILE            of Stripe's endpoint /webhooks/stripe, whsec_…, with commas between several";

/// The options that are for the environment alone, with their variables.
const OPTIONS: [(&str, &str); 6] = [
    ("--anchor-key", "ABACUS_ANCHOR_KEY"),
    ("--ledger-keys", "ABACUS_LEDGER_KEYS"),
    ("--migrate-url", "ABACUS_MIGRATE_URL"),
    ("--jwt-secret", "ABACUS_JWT_SECRET"),
    ("--stripe-key", "ABACUS_STRIPE_KEY"),
    ("--stripe-webhook-secret", "ABACUS_STRIPE_WEBHOOK_SECRETS"),
];

/// A text that is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

impl FromStr for Secret {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(text.to_owned()))
    }
}

/// What is wrong with arguments that hold a secret.
pub(super) fn on_the_command_line(arguments: impl Iterator<Item = OsString>) -> Option<String> {
    let arguments: Vec<OsString> = arguments.collect();
    let addresses = arguments.iter().map(|given| given.to_string_lossy());
    if addresses.into_iter().any(|given| has_password(&given)) {
        let where_to = "Set DATABASE_URL, or DATABASE_URL_FILE to a file that holds it";
        return Some(format!(
            "an address with a password is no argument: everybody sees the command line. {where_to}"
        ));
    }
    let names = |given: &OsString, option: &str| {
        let given = given.to_string_lossy();
        given.strip_prefix(option).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    let named =
        arguments.iter().find_map(|given| OPTIONS.into_iter().find(|(option, _)| names(given, option)));
    named.map(|(_, variable)| {
        format!("{variable} is no option: everybody sees the command line. Set {variable}, or {variable}_FILE to a file that holds it")
    })
}

/// Whether that is the address of a database with its password.
fn has_password(given: &str) -> bool {
    let authority = given.split_once("://").and_then(|(_, rest)| rest.split(['/', '?', '#']).next());
    let user = authority.and_then(|authority| authority.rsplit_once('@')).map(|(user, _)| user);
    let is_address = given.contains("postgres://") || given.contains("postgresql://");
    let is_named = given.split_once("password").is_some_and(|(_, rest)| rest.trim_start().starts_with('='));
    (is_address && user.is_some_and(|user| user.contains(':'))) || is_named
}

/// Reads the secrets that files hold, where they are needed.
pub(super) fn read_files(cli: &mut Cli, variable: &impl Fn(&str) -> Option<OsString>) -> Result<(), String> {
    let global = &mut cli.global;
    if !matches!(cli.command, Some(CliCommand::Schema | CliCommand::Token(_))) {
        read_file("ABACUS_ANCHOR_KEY", &mut global.anchor_key, variable)?;
    }
    if needs_a_database(&cli.command) {
        read_file("DATABASE_URL", &mut global.database_url, variable)?;
        read_file("ABACUS_LEDGER_KEYS", &mut global.ledger_keys, variable)?;
        read_file("ABACUS_MIGRATE_URL", &mut global.migrate_url, variable)?;
        if global.migrate_url.is_some() && global.database_url.is_none() {
            return Err("ABACUS_MIGRATE_URL needs a DATABASE_URL, whose role is given its rights".to_owned());
        }
    }
    if matches!(cli.command, None | Some(CliCommand::Serve(_) | CliCommand::Token(_))) {
        read_file("ABACUS_JWT_SECRET", &mut global.jwt_secret, variable)?;
    }
    match &mut cli.command {
        None => read_payment_files(&mut cli.serve.payments, variable),
        Some(CliCommand::Serve(args)) => read_payment_files(&mut args.payments, variable),
        Some(CliCommand::Jobs(args)) => read_payment_files(&mut args.payments, variable),
        Some(_) => Ok(()),
    }
}

fn needs_a_database(command: &Option<CliCommand>) -> bool {
    match command {
        Some(CliCommand::Schema | CliCommand::Token(_) | CliCommand::AnchorKey) => false,
        Some(CliCommand::Verify(args)) => args.receipt.is_none(),
        _ => true,
    }
}

fn read_payment_files(
    payments: &mut PaymentArgs,
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Result<(), String> {
    read_file("ABACUS_STRIPE_KEY", &mut payments.stripe_key, variable)?;
    let mut several = payments.stripe_webhook_secrets.first().cloned();
    let is_given = several.is_some();
    read_file("ABACUS_STRIPE_WEBHOOK_SECRETS", &mut several, variable)?;
    if let Some(several) = several.filter(|_| !is_given) {
        let each = several.expose().split(',').map(|secret| Secret(secret.trim().to_owned()));
        payments.stripe_webhook_secrets = each.collect();
    }
    Ok(())
}

/// Reads what `NAME_FILE` names, if it does.
fn read_file(
    name: &str,
    secret: &mut Option<Secret>,
    variable: &impl Fn(&str) -> Option<OsString>,
) -> Result<(), String> {
    let file = format!("{name}_FILE");
    // What is set to nothing is not set.
    let Some(path) = variable(&file).filter(|path| !path.is_empty()) else { return Ok(()) };
    if secret.as_ref().is_some_and(|secret| !secret.expose().is_empty()) {
        return Err(format!("{name} and {file} cannot be used together"));
    }
    let path = Path::new(&path);
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{file}: {} cannot be read: {error}", path.display()))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(format!("{file}: {} is empty", path.display()));
    }
    *secret = Some(Secret(text.to_owned()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn a_secret_on_the_command_line_is_refused_and_not_repeated() {
        let said = |given: &[&str]| on_the_command_line(given.iter().map(OsString::from));
        for given in
            [&["abacus", "--jwt-secret", "hunter2"][..], &["abacus", "serve", "--stripe-key=hunter2"]]
        {
            let said = said(given).unwrap();
            assert!(said.contains("_FILE") && !said.contains("hunter2"), "{said}");
        }
        assert_eq!(said(&["abacus", "serve", "--listen", "127.0.0.1:0"]), None);
        assert_eq!(said(&["abacus", "--database-url", "postgres://abacus@db:5432/abacus"]), None);
        assert_eq!(said(&["abacus", "--database-url", "postgres://db:5432/abacus?user=me@corp"]), None);
    }

    #[test]
    fn nobody_is_shown_a_secret() {
        let mut cli = Cli::try_parse_from(["abacus"]).unwrap();
        cli.global.jwt_secret = Some(Secret("hunter2".to_owned()));
        cli.serve.payments.stripe_webhook_secrets = vec![Secret("hunter2".to_owned())];
        assert!(!format!("{cli:?}").contains("hunter2"), "{cli:?}");
    }

    #[test]
    fn a_file_that_is_named_is_read() {
        let path = std::env::temp_dir().join(format!("abacus-secret-{}", std::process::id()));
        let variable =
            |name: &str| (name == "ABACUS_STRIPE_WEBHOOK_SECRETS_FILE").then(|| path.clone().into());
        let mut cli = Cli::try_parse_from(["abacus"]).unwrap();
        let said = read_files(&mut cli, &variable).unwrap_err();
        assert!(said.starts_with("ABACUS_STRIPE_WEBHOOK_SECRETS_FILE: "), "{said}");
        std::fs::write(&path, "whsec_1, whsec_2\n").unwrap();
        let read = read_files(&mut cli, &variable);
        let again = read_files(&mut cli, &variable);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(read, Ok(()));
        let secrets: Vec<&str> =
            cli.serve.payments.stripe_webhook_secrets.iter().map(Secret::expose).collect();
        assert_eq!(secrets, ["whsec_1", "whsec_2"]);
        assert!(again.unwrap_err().contains("cannot be used together"));
    }
}
