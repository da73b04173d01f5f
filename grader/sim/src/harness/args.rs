//! The command line of the test programs and the judge. Machines speak it, so it is small and strict.

use std::path::PathBuf;
use std::process::ExitCode;

pub(super) enum Command {
    Grade {
        test: String,
        seeds: Vec<u64>,
        subject: Option<PathBuf>,
        /// Throw away what the subject answers.
        mute: bool,
        show: Show,
    },
    List,
    /// Of which suite, if it is said.
    Subject(Option<String>),
    Libtest,
    Bad(String),
}

/// How a failure is to be shown.
#[derive(Debug, Default)]
pub struct Show {
    /// Where the last run's trace goes.
    pub trace: Option<PathBuf>,
    /// No second run: not whether it repeats, not shorter.
    pub brief: bool,
}

pub(super) fn parse(args: impl Iterator<Item = String>) -> Command {
    let args: Vec<String> = args.collect();
    match args.first().map(String::as_str) {
        Some("subject") if args.len() <= 2 => {
            Command::Subject(args.get(1).filter(|of| !of.is_empty()).cloned())
        }
        Some("tests") if args.len() == 1 => Command::List,
        Some("grade") => grade(&whispered(&args[1..])).unwrap_or_else(Command::Bad),
        _ => Command::Libtest,
    }
}

/// A variable with more of the command line, for what other users of the machine must not read: seeds that are hidden,
/// and that this is a trap.
pub const WHISPERED: &str = "TINYKV_JUDGE";

fn whispered(args: &[String]) -> Vec<String> {
    let more = std::env::var(WHISPERED).unwrap_or_default();
    args.iter().cloned().chain(more.split_whitespace().map(str::to_owned)).collect()
}

fn grade(args: &[String]) -> Result<Command, String> {
    let [test, options @ ..] = args else {
        return Err("grade needs the name of a test".into());
    };
    let (mut seeds, mut subject, mut mute, mut show) = (vec![1], None, false, Show::default());
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let mut value = || options.next().ok_or(format!("{option} needs a value"));
        match option.as_str() {
            "--seeds" => seeds = parse_seeds(value()?)?,
            "--subject" => subject = Some(PathBuf::from(value()?)),
            "--trace" => show.trace = Some(PathBuf::from(value()?)),
            "--brief" => show.brief = true,
            "--mute" => mute = true,
            _ => return Err(format!("what is {option:?}?")),
        }
    }
    Ok(Command::Grade { test: test.clone(), seeds, subject, mute, show })
}

fn parse_seeds(text: &str) -> Result<Vec<u64>, String> {
    text.split(',')
        .map(|seed| {
            seed.parse().map_err(|_| format!("{seed:?} is not a seed (a number below 2^64)"))
        })
        .collect()
}

pub(super) fn usage(why: &str) -> ExitCode {
    eprintln!(
        "{why}\nusage: PROGRAM grade TEST [--seeds 1,2,3] [--subject PATH] [--trace FILE] [--brief] | tests | subject [STAGE]"
    );
    ExitCode::from(3)
}
