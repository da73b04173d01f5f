//! The tests can fail: each lie is named, by the small test of its rule and by a storm's monitor.

use std::process::Command;

use oracle::Lie;
use raft_suite::mail::entry;
use raft_suite::monitor::{Monitors, Nodes};
use raft_suite::protocol::{Role, Status};
use raft_suite::world::{Taken, When};

struct Verdict {
    verdict: String,
    text: String,
}

fn grade(lie: Option<Lie>, test: &str, seeds: u64) -> Verdict {
    let seeds: Vec<String> = (1..=seeds).map(|seed| seed.to_string()).collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_oracle-node"));
    command.args(["grade", test, "--seeds", &seeds.join(",")]).env_remove("ORACLE_LIE");
    if let Some(lie) = lie {
        command.env("ORACLE_LIE", lie.name());
    }
    let output = command.output().expect("oracle-node runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.contains("tinykv_verdict")).expect("a verdict");
    let json: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
    let facts = json["facts"].as_array().cloned().unwrap_or_default();
    let facts = facts.iter().filter_map(|fact| fact.as_str()).collect::<Vec<_>>().join("; ");
    Verdict {
        verdict: json["verdict"].as_str().unwrap_or_default().to_owned(),
        text: format!("{}; {facts}", json["broke"].as_str().unwrap_or_default()),
    }
}

const STORM: &str = "stage2ab::storm::reads_in_a_storm_never_see_the_past";

// The lie, the test, on how many seeds it may try, what its text must say.
const TABLE: &[(Lie, &str, u64, &str)] = &[
    (
        Lie::ForgetsVote,
        "stage2aa::vote::a_vote_survives_a_crash",
        1,
        "a vote should have been refused",
    ),
    (
        Lie::ForgetsVote,
        "stage2aa::storm::no_term_has_two_leaders_although_nodes_crash",
        20,
        "voted twice in term",
    ),
    (Lie::ForgetsTerm, "stage2aa::term::a_term_survives_a_crash", 1, "a follower in term 7"),
    (
        Lie::KeepsHardState,
        "stage2ac::start::every_change_of_the_hard_state_is_in_a_ready",
        1,
        "no Ready says so",
    ),
    (Lie::KeepsHardState, STORM, 5, "a vote leaves a node before it is durable"),
    (
        Lie::SendsEarly,
        "stage2ac::contract::a_vote_leaves_only_when_it_is_durable",
        1,
        "must not be",
    ),
    (
        Lie::SendsEarly,
        "stage2ac::contract::an_acknowledgement_leaves_only_when_it_is_durable",
        1,
        "must not be",
    ),
    (Lie::SendsEarly, STORM, 5, "a vote leaves a node before it is durable"),
    (
        Lie::StoresNothing,
        "stage2ab::crash::an_acknowledged_entry_survives_a_crash",
        1,
        "the log of n1 is not",
    ),
    (
        Lie::StoresNothing,
        STORM,
        5,
        "an acknowledgement leaves a node before the entries are durable",
    ),
    (
        Lie::VotesForAll,
        "stage2aa::vote::a_node_votes_once_a_term",
        1,
        "a vote should have been refused",
    ),
    (Lie::VotesForAll, STORM, 5, "voted twice in term"),
    (
        Lie::CountsOldVotes,
        "stage2aa::campaign::a_vote_answer_of_an_older_term_does_not_count",
        1,
        "leads without a majority",
    ),
    (
        Lie::CountsOldAnswers,
        "stage2ab::progress::an_answer_of_an_older_term_is_not_counted",
        1,
        "commit index 1",
    ),
    (
        Lie::AcknowledgesMore,
        "stage2ab::append::an_acknowledgement_names_what_is_known_to_agree",
        1,
        "should name index",
    ),
    (
        Lie::AcknowledgesMore,
        STORM,
        5,
        "an acknowledgement leaves a node before the entries are durable",
    ),
    (
        Lie::TrustsTheDisk,
        "stage2ac::contract::a_leader_counts_itself_only_when_it_is_durable",
        1,
        "before it is durable",
    ),
    (Lie::TrustsTheDisk, STORM, 5, "before it is durable on this node"),
    (Lie::OverwritesItself, STORM, 5, "Leader Append-Only is broken"),
    (Lie::ChangesData, STORM, 5, "Log Matching is broken"),
    (Lie::AppliesTwice, STORM, 5, "each once and in order"),
    (Lie::AppliesOther, STORM, 5, "another content than it has in the log"),
    (Lie::ClaimsToLead, STORM, 5, "Election Safety is broken"),
    (Lie::CommitFalls, STORM, 5, "the commit index fell"),
    (Lie::MatchFalls, STORM, 5, "went backwards"),
    (Lie::ReadsAlone, "stage2ab::read::a_deposed_leader_releases_no_read", 1, "a read"),
    (Lie::ReadsAlone, STORM, 5, "a read would see the past"),
    (Lie::NeverQuiet, "stage2ac::start::an_idle_node_is_quiet", 1, "still has a Ready"),
    (Lie::NeverQuiet, STORM, 5, "never runs out of Readys"),
    (Lie::NeverTicks, STORM, 5, "no leader is elected although everything is healed"),
    (Lie::SkipsNumbers, STORM, 5, "not numbered one after the other"),
    (
        Lie::LosesTail,
        "stage2ab::crash::an_acknowledged_entry_survives_a_crash",
        1,
        "the log of n1 is not",
    ),
    (
        Lie::CountsRefusals,
        "stage2ab::figures::any_follower_of_figure_7_is_brought_in_line",
        1,
        "no majority has on disk",
    ),
    (
        Lie::CountsRefusals,
        "stage2ab::storm::five_replicas_agree_in_a_storm",
        100,
        "no majority has on disk",
    ),
    (
        Lie::IgnoresLogs,
        "stage2aa::restriction::a_voter_refuses_a_log_behind_its_own",
        1,
        "the vote should have been refused",
    ),
    (
        Lie::IgnoresLogs,
        "stage2ab::storm::five_replicas_agree_in_a_storm",
        100,
        "Leader Completeness is broken",
    ),
    (Lie::Unseeded, "determinism::the_same_seed_gives_the_same_run", 1, "not deterministic"),
];

#[test]
fn each_lie_is_named() {
    let mut wrong = Vec::new();
    for (lie, test, seeds, text) in TABLE {
        let seen = grade(Some(*lie), test, *seeds);
        if seen.verdict != "fail" || !seen.text.contains(text) {
            wrong.push(format!("{} in {test}: {} {}", lie.name(), seen.verdict, seen.text));
        }
    }
    assert!(wrong.is_empty(), "these lies are not named as they should be:\n{}", wrong.join("\n"));
}

#[test]
fn every_lie_is_in_the_table() {
    for lie in Lie::ALL {
        assert!(TABLE.iter().any(|(told, ..)| told == lie), "{} is not in the table", lie.name());
    }
}

#[test]
fn without_a_lie_the_same_tests_pass() {
    for (_, test, ..) in TABLE {
        let seen = grade(None, test, 5);
        assert_eq!(seen.verdict, "pass", "{test}: {}", seen.text);
    }
}

fn follower(term: u64) -> Status {
    Status {
        role: Role::Follower,
        term,
        vote: 0,
        leader: 0,
        committed: 1,
        applied: 0,
        last_index: 1,
        last_term: 1,
        progress: Vec::new(),
    }
}

// A node whose log and state machine agree with each other can break this only after Leader Completeness
// is broken, and then that is named first. So this monitor is shown its case by hand.
#[test]
fn state_machines_that_part_are_named() {
    let mut monitors = Monitors::default();
    let mut apply = |id, term, data: &[u8]| {
        let taken = Taken { number: 1, committed: vec![entry(1, term, data)], ..Taken::default() };
        monitors.on_ready(When::default(), &Nodes::new(), id, &follower(term), &taken)
    };
    assert_eq!(apply(1, 1, b"x"), Ok(()));
    assert_eq!(apply(2, 1, b"x"), Ok(()));
    let failure = apply(3, 2, b"y").expect_err("two entries at one index");
    assert!(failure.what().contains("State Machine Safety is broken"), "{failure}");
    assert!(failure.facts()[0].contains("n1 applied 1@1"), "{failure}");
    assert!(failure.facts()[1].contains("n3 applies 1@2"), "{failure}");
}
