// SPDX-License-Identifier: Apache-2.0
//! Parses a command line and reports all faults together: an argument that clap refuses is recorded and removed, and the
//! rest is parsed and checked.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    process::ExitCode,
};

use clap::{
    Arg, ArgAction, Command, Parser,
    builder::Resettable,
    error::{ContextKind, ContextValue, Error, ErrorKind},
};
use fleet::reserved::reserved_word;

use crate::{exit, faults::Faults, telemetry::LogFormat};

/// Words that users may try as a command, each with the commands that they may mean.
pub type Hints = &'static [(&'static str, &'static [&'static str])];

/// Parses a command line, the program's name first, and returns it with all faults that clap finds. If it can't be parsed
/// at all, or help is requested, that is printed and the exit status returned.
pub(crate) fn parse<C: Parser>(
    args: impl IntoIterator<Item = OsString>,
    hints: Hints,
) -> Result<(C, Faults), ExitCode> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let mut faults = Faults::default();
    let mut without_variables: HashSet<String> = HashSet::new();
    loop {
        let command = without(C::command(), &without_variables);
        let parsed = command.clone().try_get_matches_from(&args);
        let error = match parsed.and_then(|mut matches| C::from_arg_matches_mut(&mut matches)) {
            Ok(cli) => return Ok((cli, faults)),
            Err(error) => hinted(error, hints),
        };
        match refused(&error, command, &mut args, &mut without_variables) {
            Some((fault, argument)) => {
                faults.usage(fault);
                faults.left_out.extend(argument);
            }
            None if faults.is_empty() => return Err(exit::print_clap_error(&error)),
            None => {
                faults.usage(sentence(&error));
                return Err(exit::status(faults.end(None), LogFormat::Text));
            }
        }
    }
}

/// Adds suggestions to the error for an unknown command.
fn hinted(mut error: Error, hints: Hints) -> Error {
    if let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand)
        && let Some((_, commands)) = hints.iter().find(|(hint, _)| hint == word)
    {
        let commands = commands.iter().map(|&command| command.to_owned()).collect();
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(commands));
    }
    error
}

/// The command without the environment variables of these arguments.
fn without(command: Command, arguments: &HashSet<String>) -> Command {
    let without = |arg: Arg| {
        if arguments.contains(arg.get_id().as_str()) { arg.env(Resettable::Reset) } else { arg }
    };
    command.mut_args(without).mut_subcommands(|subcommand| subcommand.mut_args(without))
}

/// The fault that clap found and its argument, which is removed from `args` or, if it is from a variable, added to
/// `without_variables`. `None` if the rest can't be parsed without it.
fn refused(
    error: &Error,
    mut command: Command,
    args: &mut Vec<OsString>,
    without_variables: &mut HashSet<String>,
) -> Option<(String, Option<String>)> {
    let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else { return None };
    if error.kind() == ErrorKind::UnknownArgument {
        let at =
            args.iter().position(|token| option_of(token) == named || token.as_os_str() == named.as_str())?;
        remove(args, at, named.starts_with("--"));
        let fault = named.strip_prefix("--").and_then(reserved_word).map_or_else(
            || sentence(error),
            |reserved| format!("unexpected argument '{named}': {}", reserved.instead),
        );
        return Some((fault, None));
    }
    command.build();
    let subcommand = args.iter().skip(1).find_map(|token| command.find_subcommand(token))?;
    let arg = subcommand.get_arguments().find(|arg| arg.to_string() == *named)?;
    let id = arg.get_id().to_string();
    let value = match error.get(ContextKind::InvalidValue) {
        Some(ContextValue::String(value)) => value.as_str(),
        _ => "",
    };
    if let Some(at) = place_of(arg, value, args) {
        let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
        remove(args, at, takes_value && !arg.is_positional());
        return Some((sentence(error), Some(id)));
    }
    let variable = arg.get_env().filter(|name| std::env::var_os(name).is_some())?;
    let fault = format!("{} (from {})", sentence(error), variable.display());
    without_variables.insert(id.clone()).then_some((fault, Some(id)))
}

/// The index of an argument on the command line, if possible with this value.
fn place_of(arg: &Arg, value: &str, args: &[OsString]) -> Option<usize> {
    if arg.is_positional() {
        return args.iter().position(|token| token == value);
    }
    let long = arg.get_long().map(|long| format!("--{long}"));
    let short = arg.get_short().map(|short| format!("-{short}"));
    let is_it = |token: &OsString| {
        let text = token.to_string_lossy();
        long.as_deref() == Some(option_of(token))
            || short.as_ref().is_some_and(|short| text.starts_with(short))
    };
    let has_value = |at: usize| {
        let of_it = args.iter().skip(at).take(2).map(|token| token.to_string_lossy());
        of_it.into_iter().any(|text| text.contains(value))
    };
    let mut places = args.iter().enumerate().filter(|(_, token)| is_it(token)).map(|(at, _)| at);
    let first = places.clone().next();
    places.find(|at| has_value(*at)).or(first)
}

/// An option without its value: `--date` for `--date=x`.
fn option_of(token: &OsStr) -> &str {
    let text = token.to_str().unwrap_or_default();
    text.split_once('=').map_or(text, |(option, _)| option)
}

/// Removes a token and, if it is an option with its value in the next token, that one too.
fn remove(args: &mut Vec<OsString>, at: usize, takes_value: bool) {
    let token = args.remove(at);
    let has_it_inside = token.to_string_lossy().contains('=');
    let next_is_value = args.get(at).is_some_and(|next| !next.to_string_lossy().starts_with("--"));
    if takes_value && !has_it_inside && next_is_value {
        args.remove(at);
    }
}

/// The message of clap on one line, without the usage.
fn sentence(error: &Error) -> String {
    let text = error.render().to_string();
    let text = text.strip_prefix("error: ").unwrap_or(&text);
    let message = text.split("\n\nUsage:").next().unwrap_or_default();
    let message = message.split("\n\nFor more information").next().unwrap_or_default();
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join(" ").replace(" tip: ", "; tip: ")
}

#[cfg(test)]
mod tests {
    use clap::{Args, Subcommand};

    use super::*;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(subcommand)]
        command: Commands,
    }

    #[derive(Debug, Subcommand)]
    enum Commands {
        Go(Go),
    }

    #[derive(Debug, Args)]
    struct Go {
        #[arg(value_name = "PLACE")]
        place: Option<u8>,
        #[arg(long)]
        number: Option<u8>,
        #[arg(long, value_delimiter = ',')]
        list: Vec<u8>,
        #[arg(long, short)]
        short: Option<u8>,
        #[arg(long)]
        flag: bool,
        #[arg(long)]
        text: Option<String>,
    }

    fn parsed(args: &str) -> (Go, Faults) {
        let args = ["program"].into_iter().chain(args.split(' ')).map(OsString::from);
        let (Cli { command: Commands::Go(go) }, faults) = parse::<Cli>(args, &[]).expect("parsed");
        (go, faults)
    }

    #[test]
    fn everything_that_clap_refuses_is_reported_and_the_rest_is_parsed() {
        let (go, faults) = parsed(
            "go --number x --list 1,x --list 3 --bogus 7 --flag -s y --from=1 --text kept 900 --also-bogus --text2 z",
        );
        let expected = [
            "invalid value 'x' for '--number <NUMBER>': invalid digit found in string",
            "invalid value 'x' for '--list <LIST>': invalid digit found in string",
            "unexpected argument '--bogus' found",
            "invalid value 'y' for '--short <SHORT>': invalid digit found in string",
            "unexpected argument '--from': write from and to (--from, --to), of which to is exclusive, or date (--date) for one day",
            "invalid value '900' for '[PLACE]': 900 is not in 0..=255",
            "unexpected argument '--also-bogus' found",
            "unexpected argument '--text2' found",
        ];
        assert_eq!(faults.texts.len(), expected.len(), "{:#?}", faults.texts);
        for expected in expected {
            assert!(
                faults.texts.iter().any(|fault| fault.starts_with(expected)),
                "{:#?}\n{expected}",
                faults.texts
            );
        }
        assert!(
            !faults.texts.iter().any(|fault| fault.contains('\n') || fault.contains("Usage")),
            "{:#?}",
            faults.texts
        );
        assert_eq!((go.place, go.number, go.short, go.flag), (None, None, None, true));
        assert_eq!((go.list, go.text.as_deref()), (vec![3], Some("kept")));
        assert!(faults.left_out("number") && faults.left_out("list") && !faults.left_out("text"));
    }

    #[test]
    fn an_option_without_its_value_and_one_given_twice_are_faults_like_others() {
        let (_, faults) = parsed("go --number 1 --number 2 --text a --list x --short");
        assert_eq!(faults.texts.len(), 3, "{:#?}", faults.texts);
        assert!(
            faults.texts[0].contains("--number <NUMBER>' cannot be used multiple times"),
            "{:?}",
            faults.texts
        );
        assert!(faults.texts[2].contains("a value is required for '--short"), "{:?}", faults.texts);
    }
}
