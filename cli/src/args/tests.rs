//! The help of every command, held to what UX asks of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use clap::{Command as Clap, CommandFactory, Parser};

use super::*;

/// Processes document themselves in their own crates.
const SERVICES: [&str; 3] = ["control-plane", "edge", "sidecar"];

/// All commands that do something, with the words that lead to them.
fn leaves(command: &Clap, path: &str, found: &mut Vec<(String, Clap)>) {
    let mut inner = command
        .get_subcommands()
        .filter(|c| !SERVICES.contains(&c.get_name()))
        .peekable();
    if inner.peek().is_none() {
        found.push((path.to_owned(), command.clone()));
    }
    for command in inner {
        leaves(command, &format!("{path} {}", command.get_name()), found);
    }
}

fn all() -> Vec<(String, Clap)> {
    let mut found = Vec::new();
    leaves(&Cli::command(), "gatehouse", &mut found);
    found
}

/// Lines of the help that are examples.
fn examples(command: &Clap) -> Vec<String> {
    let help = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    help.lines()
        .filter(|line| line.starts_with("  gatehouse "))
        .map(|line| line.trim().to_owned())
        .collect()
}

/// A line as a shell splits it: single quotes, and pipes that end a command.
fn split(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word, mut quoted, mut begun) =
        (Vec::new(), Vec::new(), String::new(), false, false);
    for c in line.chars().chain([' ']) {
        match c {
            '\'' => (quoted, begun) = (!quoted, true),
            ' ' if !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            '|' if !quoted => commands.push(std::mem::take(&mut words)),
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    commands.push(words);
    commands
}

#[test]
fn clap_finds_no_fault() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_two_to_four_examples_that_can_be_typed() {
    let commands = all();
    assert!(commands.len() >= 23, "{}", commands.len());
    for (path, command) in commands {
        let examples = examples(&command);
        assert!(
            (2..=4).contains(&examples.len()),
            "{path} has {} examples",
            examples.len()
        );
        let mut own = 0;
        for example in examples {
            for words in split(&example) {
                own += usize::from(words.join(" ").starts_with(&path));
                Cli::try_parse_from(&words).unwrap_or_else(|e| panic!("{example}: {e}"));
            }
        }
        assert!(own >= 2, "{path}: examples must show the command itself");
    }
}

#[test]
fn every_command_says_in_a_sentence_what_it_does() {
    for (path, command) in all() {
        let about = command
            .get_about()
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(
            !about.is_empty() && !about.contains('\n'),
            "{path}: {about:?}"
        );
    }
}

#[test]
fn every_command_names_others_that_exist() {
    let known: Vec<String> = all().into_iter().map(|(path, _)| path).collect();
    for (path, command) in all() {
        let help = command.get_after_help().unwrap().to_string();
        let (_, named) = help
            .split_once("See also: ")
            .unwrap_or_else(|| panic!("{path} names none"));
        let named = named.split_whitespace().collect::<Vec<_>>().join(" ");
        for other in named.split(", ") {
            let words = other.split(" --").next().unwrap().trim();
            let meant = |known: &String| {
                known.starts_with(words) || words.starts_with(&format!("{known} "))
            };
            assert!(
                known.iter().any(meant) && words != path,
                "{path} names {other}"
            );
        }
    }
}

#[test]
fn only_six_short_flags_exist() {
    for (path, mut command) in all() {
        command.build();
        for short in command.get_arguments().filter_map(clap::Arg::get_short) {
            assert!("foqvhw".contains(short), "{path} -{short}");
        }
    }
}

#[test]
fn a_slip_is_met_with_the_nearest_command() {
    let error = Cli::try_parse_from(["gatehouse", "aply"])
        .unwrap_err()
        .to_string();
    assert!(error.contains("'apply'"), "{error}");
}

#[test]
fn the_overview_is_ten_lines_of_commands_that_exist() {
    assert_eq!(OVERVIEW.lines().count(), 10);
    let command = Cli::command();
    for line in OVERVIEW.lines().take(9) {
        let name = line[11..].split_whitespace().next().unwrap();
        assert!(command.find_subcommand(name).is_some(), "{name}");
    }
    let named = "up check connect apply get describe explain nodes tap audit";
    for name in named.split(' ') {
        assert!(OVERVIEW.contains(&format!(" {name}")), "{name}");
    }
    assert!(OVERVIEW.lines().all(|line| line.len() <= 100));
}

#[test]
fn global_flags_stand_anywhere() {
    let cli = Cli::try_parse_from(["gatehouse", "nodes", "-o", "json", "--address", "https://a"])
        .unwrap();
    assert_eq!(
        (cli.global.output, cli.global.address.as_deref()),
        (Format::Json, Some("https://a"))
    );
}

#[test]
fn a_sidecars_token_names_its_server() {
    let parse = |line: &str| Cli::try_parse_from(line.split(' ')).is_ok();
    assert!(!parse("gatehouse node token create --kind sidecar"));
    assert!(parse(
        "gatehouse node token create --kind sidecar --server time"
    ));
    assert!(!parse("gatehouse explain --user ana"));
    assert!(!parse("gatehouse explain GH1001 --user ana"));
    assert!(!parse("gatehouse up --store redis://x"));
}
