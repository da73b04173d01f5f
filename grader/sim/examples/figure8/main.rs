//! `cargo grade demo`: figure 8 of the Raft paper, broken on purpose.
//!
//! A leader that commits whatever a majority has, also entries of earlier terms, loses acknowledged writes. First
//! the story, step by step, with five nodes of the simulator's toy Raft and a network in our hands ([`story`]). Then
//! nobody tells the simulator where to look: it draws faults from seeds until the same mistake shows ([`search`]).
//! The broken line is a switch of the toy (`Bug::Figure8`), so nothing of yours is touched or needed.

mod search;
mod story;
#[path = "../../tests/sim/toy/mod.rs"]
#[allow(dead_code, reason = "the toy has more than this story needs")]
mod toy;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let seed = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => None,
        ["--seed", seed] => match seed.parse() {
            Ok(seed) => Some(seed),
            Err(_) => return usage(),
        },
        _ => return usage(),
    };
    if seed.is_none() {
        story::tell();
    }
    if search::show(seed) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    eprintln!("usage: cargo grade demo [--seed N]");
    ExitCode::from(2)
}
