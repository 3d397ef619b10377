//! Which variable of the environment is wrong, where clap names the option that it is for.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command, CommandFactory, Error};

use super::Cli;

/// What is wrong with the environment; None: it is the command line that is wrong.
pub(super) fn fault(
    error: &Error,
    arguments: impl Iterator<Item = OsString>,
    variable: impl Fn(&str) -> Option<OsString>,
) -> Option<String> {
    let command = Cli::command();
    let arguments: Vec<OsString> = arguments.collect();
    let arg = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(named)) => arg_of(&command, named)?,
        // A value that is no text is not told of with its option.
        _ => all_args(&command).into_iter().find(|arg| {
            let value = arg.get_env().and_then(OsStr::to_str).and_then(&variable);
            value.is_some_and(|value| value.to_str().is_none())
        })?,
    };
    let option = format!("--{}", arg.get_long()?);
    let is_of_option = |given: &OsString| {
        let given = given.to_string_lossy();
        given.strip_prefix(&option).is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    };
    let name = arg.get_env()?.to_str()?;
    let value = variable(name)?;
    (!arguments.iter().any(is_of_option)).then(|| format!("{name}: {}", why(error, arg, &value)))
}

/// The option that is named as in a usage text, such as `--listen <LISTEN>`.
fn arg_of<'c>(command: &'c Command, named: &str) -> Option<&'c Arg> {
    let long = named.strip_prefix("--")?.split([' ', '=']).next()?;
    all_args(command).into_iter().find(|arg| arg.get_long() == Some(long))
}

fn all_args(command: &Command) -> Vec<&Arg> {
    let of_commands = command.get_subcommands().flat_map(Command::get_arguments);
    command.get_arguments().chain(of_commands).collect()
}

fn why(error: &Error, arg: &Arg, value: &OsStr) -> String {
    let Some(text) = value.to_str() else { return "it is no text in UTF-8".to_owned() };
    let shown = if arg.is_hide_env_values_set() { String::new() } else { format!(", not \"{text}\"") };
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return format!("one of 1, 0, yes, no, on, off, true and false is expected{shown}");
    }
    let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    if said.is_empty() {
        return format!("another value is expected{shown}");
    }
    format!("{said}{shown}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn an_option_on_the_command_line_is_told_of_as_such() {
        let given = ["abacus", "--lanes", "0"];
        let error = Cli::try_parse_from(given).unwrap_err();
        let of_the_environment = |_: &str| Some(OsString::from("0"));
        let arguments = || given.map(OsString::from).into_iter();
        assert_eq!(fault(&error, arguments(), of_the_environment), None);
        let without = || std::iter::once(OsString::from("abacus"));
        let said = fault(&error, without(), of_the_environment).unwrap();
        assert!(said.starts_with("ABACUS_LANES: ") && said.contains("1..=64"), "{said}");
    }

    #[test]
    fn every_option_of_a_server_has_a_variable() {
        let command = Cli::command();
        for arg in command.get_arguments().filter(|arg| !["help", "version"].contains(&arg.get_id().as_str()))
        {
            assert!(arg.get_env().is_some(), "{arg}");
        }
    }
}
