//! Each planted mistake is caught within some seeds, and called by its name.

use libtest_mimic::Trial;
use sim::cluster::dialect::Dialect;
use sim::cluster::faults::Chaos;
use sim::cluster::plan::Mix;
use sim::cluster::setup::SECOND;
use sim::harness::Run;
use sim::link::InProcess;
use sim::scenario::Scenario;

use crate::toy::{Bug, Toy, dialect, inline_setup, setup, tight_lipped};

struct Case {
    bug: Bug,
    chaos: Chaos,
    stores: u64,
    // Without promises from messages.
    silent: bool,
    // One of these is said.
    named: &'static [&'static str],
}

const fn case(bug: Bug, chaos: Chaos, named: &'static [&'static str]) -> Case {
    Case { bug, chaos, stores: 5, silent: false, named }
}

const DISKS: Chaos = Chaos { disk_errors: 1, ..Chaos::NONE };
const ROUGH: Chaos = Chaos { every: SECOND / 3, ..Chaos::ALL };

fn cases() -> Vec<Case> {
    let silent = |case: Case| Case { silent: true, ..case };
    vec![
        case(Bug::VotesTwice, ROUGH, &["one node gave two votes in one term"]),
        silent(case(Bug::VotesTwice, ROUGH, &["Election Safety", "changed its vote"])),
        case(Bug::ForgetsVotes, ROUGH, &["forgot its vote", "two votes in one term"]),
        case(Bug::LeaderRewrites, ROUGH, &["Leader Append-Only"]),
        case(
            Bug::NoPrevCheck,
            ROUGH,
            &["Log Matching", "knew to be committed", "terms in the log of"],
        ),
        case(
            Bug::NoUpToDateCheck,
            ROUGH,
            &["Leader Completeness", "State Machine Safety", "knew to be committed"],
        ),
        case(Bug::Figure8, ROUGH, &["figure 8"]),
        case(Bug::SkipsCommands, Chaos::NONE, &["hold different data"]),
        case(Bug::CommitsAlone, Chaos::NETWORK, &["no majority has on disk"]),
        case(Bug::AnswersEarly, ROUGH, &["contradicts itself"]),
        case(Bug::AcksBeforeSync, Chaos::CRASHES, &["no majority has on disk", "had acknowledged"]),
        case(Bug::LocalReads, ROUGH, &["contradicts itself"]),
        case(Bug::AnswersTwice, Chaos::NONE, &["answered exactly once"]),
        case(Bug::NeverAnswers, ROUGH, &["never answered"]),
        Case { stores: 3, ..case(Bug::NoSecondElection, Chaos::CRASHES, &["does not recover"]) },
        case(Bug::IgnoresDiskErrors, DISKS, &["although its disk failed"]),
        case(Bug::LiesAboutLateness, ROUGH, &["contradicts itself"]),
    ]
}

const SEEDS: u64 = 60;

fn caught(case: &Case) {
    let launch = InProcess(Toy::default);
    let dialect: fn() -> Box<dyn Dialect> = if case.silent { tight_lipped } else { dialect };
    let mut other = String::new();
    for seed in 0..SEEDS {
        let inline = seed % 4 == 3;
        let setup =
            if inline { inline_setup(case.stores, case.bug) } else { setup(case.stores, case.bug) };
        let scenario = Scenario::new(setup, dialect)
            .clients(4, 40)
            .mix(Mix { keys: 4, ..Mix::KV })
            .chaos(case.chaos)
            .length(15 * SECOND);
        let mut run = Run::new(seed, "bugs", &launch);
        let Err(failure) = scenario.run(&mut run) else { continue };
        let what = failure.to_string();
        if case.named.iter().any(|name| what.contains(name)) {
            println!("{:?}, seed {seed}: {failure}", case.bug);
            return;
        }
        other = format!("seed {seed}: {what}");
    }
    panic!("{:?} was never called by its name; {other}", case.bug);
}

pub fn trials() -> Vec<Trial> {
    cases()
        .into_iter()
        .map(|case| {
            let silent = if case.silent { "_silent" } else { "" };
            Trial::test(format!("bugs::{:?}{silent}", case.bug), move || {
                caught(&case);
                Ok(())
            })
        })
        .collect()
}
