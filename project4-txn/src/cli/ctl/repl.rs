//! The prompt, and scripts.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::path::PathBuf;

use clap::{CommandFactory as _, Parser};
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};
use tokio::signal::ctrl_c;
use tokio::task::block_in_place;

use super::super::show::say;
use super::{Command, Session};
use crate::AnyError;

/// The longest line of a script, in bytes. More than any value may have, also when each byte is written as `\xff`.
const LONGEST: u64 = 16 << 20;

/// A line.
#[derive(Parser)]
#[command(name = "", no_binary_name = true, disable_version_flag = true)]
#[command(override_usage = "COMMAND, or: help COMMAND, exit")]
struct Line {
    #[command(subcommand)]
    command: Command,
}

/// Reads commands until there are no more.
///
/// # Errors
/// In a script: that of the first command that failed.
pub(super) async fn run(session: &mut Session) -> Result<(), AnyError> {
    if io::stdin().is_terminal() { prompt(session).await } else { script(session).await }
}

async fn script(session: &mut Session) -> Result<(), AnyError> {
    let mut number = 0;
    loop {
        number += 1;
        let mut line = Vec::new();
        let read = || io::stdin().lock().take(LONGEST).read_until(b'\n', &mut line);
        if block_in_place(read)? == 0 {
            break;
        }
        if line.len() as u64 == LONGEST {
            return Err(format!("line {number} has over {LONGEST} bytes").into());
        }
        let line = String::from_utf8(line).map_err(|_| {
            format!("line {number} is no text: write \\xff for a byte that is none")
        })?;
        let Some(command) = parse(&line).map_err(|error| format!("line {number}: {error}"))? else {
            continue;
        };
        session.execute(command).await.map_err(|error| format!("line {number}: {error}"))?;
    }
    match &session.txn {
        Some(txn) if txn.len() > 0 => {
            let writes = txn.len();
            Err(format!("the transaction was never committed: {writes} writes are forgotten")
                .into())
        }
        _ => Ok(()),
    }
}

async fn prompt(session: &mut Session) -> Result<(), AnyError> {
    say("`help` names the commands, the tab key completes them, ctrl-d ends.")?;
    let mut editor = Editor::<Completion, DefaultHistory>::new()?;
    editor.set_helper(Some(Completion(Line::command())));
    let history = history();
    if let Some(file) = &history {
        // The first time there is none.
        let _ = editor.load_history(file);
    }
    loop {
        let prompt = match &session.txn {
            None => "tinykv> ".to_owned(),
            Some(txn) => format!("tinykv txn {}> ", txn.start()),
        };
        let line = match block_in_place(|| editor.readline(&prompt)) {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        };
        if matches!(line.trim(), "exit" | "quit") {
            break;
        }
        let _ = editor.add_history_entry(&line);
        if let Some(file) = &history {
            // A history that cannot be kept is no reason to stop.
            let _ = editor.append_history(file);
        }
        match parse(&line) {
            Ok(None) => {}
            Ok(Some(command)) => {
                let done = tokio::select! {
                    done = session.execute(command) => done,
                    _ = ctrl_c() => Err("interrupted: a write may have happened".into()),
                };
                if let Err(error) = done {
                    say(format_args!("error: {error}"))?;
                }
            }
            Err(text) => say(text)?,
        }
    }
    if session.txn.is_some() {
        say("the open transaction is rolled back")?;
    }
    Ok(())
}

/// A command; none for an empty line or a comment.
fn parse(line: &str) -> Result<Option<Command>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let words = words(line)?;
    let parsed = Line::try_parse_from(words).map(|line| Some(line.command));
    parsed.map_err(|error| error.to_string().trim_end().to_owned())
}

/// As a shell would, but for the `\`: it belongs to `\xff`. Quotes hold what has blanks.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (c, quote) {
            (_, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (_, None) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    match quote {
        None => Ok(words),
        Some(open) => Err(format!("a {open} is never closed")),
    }
}

/// Where commands are remembered.
fn history() -> Option<PathBuf> {
    std::env::home_dir().map(|home| home.join(".tinykv_history"))
}

/// Completes what stands in the help.
struct Completion(clap::Command);

impl Helper for Completion {}
impl Highlighter for Completion {}
impl Validator for Completion {}

impl Hinter for Completion {
    type Hint = String;
}

impl Completer for Completion {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = &line[..at];
        let start = typed.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
        Ok((start, candidates(&self.0, &typed[..start], &typed[start..])))
    }
}

/// What may come behind these words and begins like this.
fn candidates(root: &clap::Command, before: &str, begun: &str) -> Vec<String> {
    let mut command = root;
    for word in before.split_whitespace().filter(|word| *word != "help") {
        match command.find_subcommand(word) {
            Some(found) => command = found,
            None => break,
        }
    }
    let names = command.get_subcommands().map(|found| found.get_name().to_owned());
    let flags = command.get_arguments().filter_map(|flag| flag.get_long());
    let flags = flags.map(|flag| format!("--{flag}"));
    let own = (command.get_name() == root.get_name()).then(|| ["help", "exit"].map(String::from));
    let all = names.chain(flags).chain(own.into_iter().flatten());
    all.filter(|candidate| candidate.starts_with(begun)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell_and_escapes_stay() {
        let cases = [
            ("put a b", vec!["put", "a", "b"]),
            ("  put 'a b' \"\" ", vec!["put", "a b", ""]),
            ("get \\xff\\n", vec!["get", "\\xff\\n"]),
        ];
        for (line, expected) in cases {
            assert_eq!(
                words(line).as_deref(),
                Ok(&expected.iter().map(|w| (*w).to_owned()).collect::<Vec<_>>()[..])
            );
        }
        assert!(words("get 'a").is_err());
    }

    #[test]
    fn the_tab_key_knows_commands_and_flags() {
        let root = Line::command();
        assert_eq!(candidates(&root, "", "tra"), ["transfer-leader"]);
        assert_eq!(candidates(&root, "txn ", "c"), ["commit"]);
        assert_eq!(candidates(&root, "help txn ", "r"), ["rollback"]);
        assert_eq!(candidates(&root, "scan a ", "--l"), ["--limit"]);
        assert!(candidates(&root, "put a ", "x").is_empty());
    }

    #[test]
    fn a_wrong_line_says_what_would_be_right() {
        assert!(matches!(parse("# a comment"), Ok(None)));
        let said = parse("trnsfer-leader 1 2").expect_err("no such command");
        assert!(said.contains("transfer-leader"), "{said}");
        let said = parse("transfer-leader 1 x").expect_err("no such store");
        assert!(said.contains('x') && said.contains("<STORE>"), "{said}");
    }
}
