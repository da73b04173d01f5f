//! Figures 7 and 8 of the paper, and the stories around them.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::notation;
use crate::protocol::{RaftNode, Role};
use crate::world::{Lab, Setup, World};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("figures.rs":
        any_follower_of_figure_7_is_brought_in_line,
        figure_8_an_old_entry_on_a_majority_is_not_committed,
        figure_8_an_entry_of_the_own_term_protects_it,
        a_leader_may_overwrite_newer_entries_that_were_never_committed,
    )
}

const FIGURE_7: [u64; 10] = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];

/// Figure 7: when the leader at the top comes to power, any of the scenarios (a) to (f) could occur in a
/// follower's log: entries missing, entries too many, or both. Afterwards all logs are the leader's.
///
/// Hint: go back until index *and* term agree, then overwrite.
fn any_follower_of_figure_7_is_brought_in_line(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let followers: [(&str, &[u64]); 7] = [
        ("(a)", &[1, 1, 1, 4, 4, 5, 5, 6, 6]),
        ("(b)", &[1, 1, 1, 4]),
        ("(c)", &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6]),
        ("(d)", &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7]),
        ("(e)", &[1, 1, 1, 4, 4, 4, 4]),
        ("(f)", &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]),
        ("an empty one", &[]),
    ];
    for (name, log) in followers {
        // The third node has nothing yet, and votes for the leader.
        let mut net = lab.net(vec![
            Setup::new(1, 3).log(&FIGURE_7).term(7),
            Setup::new(2, 3).log(log).term(7),
            Setup::new(3, 3).log(&[1, 1, 1]).term(7),
        ])?;
        net.campaign(1)?;
        net.beats(1)?;
        let why = format!("follower {name} of figure 7, with the log {}", notation::log(log));
        net.expect_role(1, Role::Leader, "n3's log is behind its own, and n3 is enough")?;
        let expected = [&FIGURE_7[..], &[8]].concat();
        net.propose(1, b"some data")?;
        net.beats(1)?;
        let expected = [&expected[..], &[8]].concat();
        for id in [2, 3] {
            net.expect_log(id, &expected, &why)?;
            net.expect_commit(id, 12, &why)?;
        }
    }
    Ok(())
}

/// Figure 8, up to (d): an entry of term 2 stands on a majority, put there by its leader in term 4, and is
/// overwritten all the same by a leader that has an entry of term 3. So the leader of term 4 must not have
/// committed it: only entries of its own term are committed by counting (section 5.4.2).
///
/// Hint: the monitors watch every commit; which node took what for committed too early?
fn figure_8_an_old_entry_on_a_majority_is_not_committed(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    // (b): n1 led term 2, and its entry reached n2; n5 led term 3, and its entry is on n5 only.
    let mut net = lab.net(vec![
        Setup::new(1, 5).log(&[1, 2]).term(3),
        Setup::new(2, 5).log(&[1, 2]).term(3),
        Setup::new(3, 5).log(&[1]).term(3),
        Setup::new(4, 5).log(&[1]).term(3),
        Setup::new(5, 5).log(&[1, 3]).term(3),
    ])?;
    // (c): n1 leads term 4. 2@2 reaches n3; what n1 itself appends in term 4 reaches nobody.
    net.isolate(5);
    net.cut(1, 4);
    net.shorten = Some(|m| m.entries.retain(|entry| entry.term < 4));
    net.campaign(1)?;
    net.beats(1)?;
    let why = "n1 leads term 4; 2@2 is on n1, n2 and n3 of five, and nothing of term 4 left n1";
    net.expect_role(1, Role::Leader, why)?;
    net.expect_log(3, &[1, 2], why)?;
    net.expect_commit(1, 0, why)?;
    // (d): n1 is gone. n5 is elected by n2, n3 and n4, whose last entries are older than 2@3.
    net.heal();
    net.isolate(1);
    net.campaign(5)?;
    net.campaign(5)?;
    net.beats(5)?;
    let why = "n1 is cut off; n5, with 2@3, was elected by those who have 2@2 or less";
    net.expect_role(5, Role::Leader, why)?;
    let term = net.status(5)?.term;
    net.heal();
    net.beats(5)?;
    for id in 1..=5 {
        net.expect_log(id, &[1, 3, term], why)?;
    }
    Ok(())
}

/// Figure 8 (e): the leader of term 4 gets an entry of its own term onto a majority. With it the old entry
/// is committed, and n5, with its entry of term 3, can never win again.
///
/// Hint: the restriction on commits and the restriction on votes need each other.
fn figure_8_an_entry_of_the_own_term_protects_it(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.net(vec![
        Setup::new(1, 5).log(&[1, 2]).term(3),
        Setup::new(2, 5).log(&[1, 2]).term(3),
        Setup::new(3, 5).log(&[1]).term(3),
        Setup::new(4, 5).log(&[1]).term(3),
        Setup::new(5, 5).log(&[1, 3]).term(3),
    ])?;
    net.isolate(5);
    net.isolate(4);
    net.campaign(1)?;
    net.beats(1)?;
    let why = "n1 leads term 4, and n1, n2 and n3 of five have [1@1 2@2 3@4]";
    net.expect_role(1, Role::Leader, why)?;
    net.expect_commit(1, 3, why)?;
    net.heal();
    for _ in 0..3 {
        net.campaign(5)?;
        let why = "n5's last entry is 2@3; a majority has committed 3@4";
        net.expect_role(5, Role::Follower, why)?;
    }
    net.campaign(2)?;
    net.beats(2)?;
    net.expect_role(2, Role::Leader, "n2 has everything that is committed")?;
    let term = net.status(2)?.term;
    for id in 1..=5 {
        net.expect_log(id, &[1, 2, 4, term], "n2 was elected after n1")?;
    }
    Ok(())
}

/// A newly elected leader need not have the *newest* entries, only all committed ones (section 5.4.1).
/// Here n1's entry of term 1 wins over n3's of term 2, which never reached a majority.
///
/// Hint: "newer" is not "committed".
fn a_leader_may_overwrite_newer_entries_that_were_never_committed(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    // n1 led term 1, and its entry reached n2; n3 led term 2, voted for by n4 and n5, and reached nobody.
    let mut net = lab.net(vec![
        Setup::new(1, 5).log(&[1]),
        Setup::new(2, 5).log(&[1]),
        Setup::new(3, 5).log(&[2]).vote(3),
        Setup::new(4, 5).term(2).vote(3),
        Setup::new(5, 5).term(2).vote(3),
    ])?;
    net.campaign(1)?;
    net.expect_role(1, Role::Follower, "n3, n4 and n5 had voted for n3 in term 2")?;
    net.campaign(1)?;
    net.beats(1)?;
    let why = "n1 campaigned in term 3; n2, n4 and n5 have nothing newer than 1@1";
    net.expect_role(1, Role::Leader, why)?;
    for id in 1..=5 {
        net.expect_log(id, &[1, 3], why)?;
    }
    Ok(())
}
