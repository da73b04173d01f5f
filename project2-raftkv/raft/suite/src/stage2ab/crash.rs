//! What replication must survive: entries that were acknowledged are on disk.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{append, entries};
use crate::protocol::{RaftNode, Role};
use crate::world::{Lab, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("crash.rs":
        an_acknowledged_entry_survives_a_crash,
        a_conflict_leaves_no_old_tail_on_disk,
        a_leader_comes_back_with_its_log,
        a_group_that_restarts_goes_on,
    )
}

/// The log is part of the persistent state (figure 2: updated on stable storage *before* responding to
/// RPCs). What a follower has acknowledged, it still has when it comes back.
///
/// Hint: entries that are new must show up in `Ready.entries`, each once.
fn an_acknowledged_entry_survives_a_crash(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    for index in 0..4 {
        let base = u64::from(index != 0);
        node.tell(append(2, 1, 1, (index, base), entries(index + 1, &[1])))?;
        node.crash()?;
        let log = vec![1; usize::try_from(index).unwrap_or(0) + 1];
        let why = "it acknowledged each entry, and crashed after each; every Ready was durable";
        expect::log(&mut node, &log, why)?;
    }
    Ok(())
}

/// A log that was cut at a conflict is cut on disk, too: the new entries replace what was there, and of
/// the old tail nothing comes back. An implementation that remembers "stable up to 5" after cutting at 3
/// never writes the new 3 to 5.
///
/// Hint: after a cut, nothing from there on is stable.
fn a_conflict_leaves_no_old_tail_on_disk(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (base, terms, log) in [
        ((2, 1), &[2][..], &[1, 1, 2][..]),
        ((1, 1), &[2, 2, 2], &[1, 2, 2, 2]),
        ((2, 1), &[2, 2, 2, 2], &[1, 1, 2, 2, 2, 2]),
        ((0, 0), &[2], &[2]),
    ] {
        let mut node = lab.node(Setup::new(1, 3).log(&[1, 1, 1, 1, 1]))?;
        let m = append(2, 1, 2, base, entries(base.0 + 1, terms));
        let why = format!(
            "its log was [1..5@1], it got {}, every Ready was durable, and it crashed",
            crate::notation::message(&m)
        );
        node.tell(m)?;
        node.crash()?;
        expect::log(&mut node, log, &why)?;
        let last = (log.len() as u64, 2);
        node.tell(append(2, 1, 2, last, entries(last.0 + 1, &[2])))?;
        node.crash()?;
        expect::log(&mut node, &[log, &[2]].concat(), &why)?;
    }
    Ok(())
}

/// A leader that crashes has in its log what it appended, and what it knew to be committed; it does not
/// lead any more.
///
/// Hint: a leader's own entries are in `Ready.entries` as well.
fn a_leader_comes_back_with_its_log(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(3)?;
    net.campaign(1)?;
    net.propose(1, b"one")?;
    net.isolate(1);
    net.propose(1, b"two")?;
    net.crash(1)?;
    let why = "it led term 1, \"one\" was committed, \"two\" reached nobody, then it crashed";
    net.expect_log(1, &[1, 1, 1], why)?;
    net.expect_role(1, Role::Follower, why)?;
    net.heal();
    net.campaign(1)?;
    net.beats(1)?;
    net.expect_role(1, Role::Leader, "it has the longest log of three")?;
    for id in 1..=3 {
        net.expect_log(id, &[1, 1, 1, 2], "the one with the longest log was elected again")?;
    }
    Ok(())
}

/// All nodes of a group lose their power at once, and come back: every committed entry is there, and new
/// ones can be committed.
///
/// Hint: nothing that matters may live in memory only.
fn a_group_that_restarts_goes_on(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(5)?;
    net.campaign(2)?;
    for data in [b"one", b"two"] {
        net.propose(2, data)?;
    }
    net.beats(2)?;
    for id in 1..=5 {
        net.node(id)?.kill(0);
    }
    for id in 1..=5 {
        net.monitors.on_crash(&net.nodes[&id]);
        net.node(id)?.boot(0)?;
    }
    net.campaign(4)?;
    net.propose(4, b"three")?;
    net.beats(4)?;
    for id in 1..=5 {
        let why =
            "n2 led term 1 and committed two proposals; all crashed; n4 leads now and got a third";
        net.expect_log(id, &[1, 1, 1, 2, 2], why)?;
        net.expect_commit(id, 5, why)?;
    }
    Ok(())
}
