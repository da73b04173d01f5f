//! The command line of the test programs and the judge. Machines speak it, so it is small and strict.

use std::path::PathBuf;
use std::process::ExitCode;

pub(super) enum Command {
    Grade { test: String, seeds: Vec<u64>, subject: Option<PathBuf>, trace: Option<PathBuf> },
    List,
    Subject,
    Libtest,
    Bad(String),
}

pub(super) fn parse(args: impl Iterator<Item = String>) -> Command {
    let args: Vec<String> = args.collect();
    match args.first().map(String::as_str) {
        Some("subject") if args.len() == 1 => Command::Subject,
        Some("tests") if args.len() == 1 => Command::List,
        Some("grade") => grade(&args[1..]).unwrap_or_else(Command::Bad),
        _ => Command::Libtest,
    }
}

fn grade(args: &[String]) -> Result<Command, String> {
    let [test, options @ ..] = args else {
        return Err("grade needs the name of a test".into());
    };
    let (mut seeds, mut subject, mut trace) = (vec![1], None, None);
    for option in options.chunks(2) {
        match option {
            [name, value] if name == "--seeds" => seeds = parse_seeds(value)?,
            [name, value] if name == "--subject" => subject = Some(PathBuf::from(value)),
            [name, value] if name == "--trace" => trace = Some(PathBuf::from(value)),
            _ => return Err(format!("what is {option:?}?")),
        }
    }
    Ok(Command::Grade { test: test.clone(), seeds, subject, trace })
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
        "{why}\nusage: PROGRAM grade TEST [--seeds 1,2,3] [--subject PATH] [--trace FILE] | tests | subject"
    );
    ExitCode::from(3)
}
