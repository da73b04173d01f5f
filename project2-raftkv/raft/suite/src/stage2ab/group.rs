//! Replication in a whole group, told step by step.

use proto::eraftpb::MessageType;
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::mail::{append, entries};
use crate::notation;
use crate::protocol::{RaftNode, Role};
use crate::world::{Lab, Net, Setup, World};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("group.rs":
        proposals_reach_every_log_in_one_order,
        a_proposal_needs_a_majority,
        a_lagging_follower_is_found_by_heartbeats,
        entries_of_earlier_terms_are_committed_with_the_next,
        candidates_duel_until_the_better_log_wins,
        a_candidate_concedes_and_catches_up,
        an_old_leaders_append_changes_nothing,
        a_heartbeat_commits_only_what_matches,
        a_deposed_leader_gives_up_its_tail,
        progress_follows_the_acknowledgements,
    )
}

/// What was applied on a node, entries without data left out.
fn data(net: &Net, id: u64) -> Vec<Vec<u8>> {
    let all = net.nodes[&id].executed.iter();
    all.filter(|entry| !entry.data.is_empty()).map(|entry| entry.data.to_vec()).collect()
}

fn expect_data(net: &Net, id: u64, expected: &[&[u8]], why: &str) -> Outcome {
    let seen = data(net, id);
    if seen == expected {
        return Ok(());
    }
    let show = |all: Vec<String>| format!("[{}]", all.join(", "));
    Err(Failure::broke(
        format!("n{id} did not apply the proposals as they were made"),
        format!("{why}: {}", show(expected.iter().map(|d| sim::failure::show(d)).collect())),
        format!("it applied {}", show(seen.iter().map(|d| sim::failure::show(d)).collect())),
    ))
}

/// Proposals to successive leaders are applied on every node, in one order.
///
/// Hint: the log is the order.
fn proposals_reach_every_log_in_one_order(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(3)?;
    let all: [&[u8]; 5] = [b"one", b"two", b"three", b"four", b"five"];
    net.campaign(1)?;
    net.propose(1, all[0])?;
    net.propose(1, all[1])?;
    net.campaign(2)?;
    net.propose(2, all[2])?;
    net.campaign(3)?;
    net.propose(3, all[3])?;
    net.propose(3, all[4])?;
    net.beats(3)?;
    for id in 1..=3 {
        net.expect_commit(id, 8, "three elections and five proposals, no message lost")?;
        expect_data(&net, id, &all, "n1, n2 and n3 led in turn, and these were proposed")?;
    }
    Ok(())
}

/// A proposal is applied if a majority of the group stores it, and not if fewer do (section 5.3).
///
/// Hint: the majority of the configuration, not of those who answer.
fn a_proposal_needs_a_majority(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let rows: [(u64, &[u64], bool); 6] = [
        (3, &[], true),
        (3, &[3], true),
        (3, &[2, 3], false),
        (4, &[2, 3], false),
        (5, &[2, 3], true),
        (5, &[2, 3, 4], false),
    ];
    for (size, cut, success) in rows {
        let mut net = lab.group(size)?;
        net.campaign(1)?;
        net.beats(1)?;
        for id in cut {
            net.isolate(*id);
        }
        net.propose(1, b"some data")?;
        net.beats(1)?;
        let why =
            format!("of {size} nodes, n1 leads and {cut:?} are cut off; one proposal was made");
        net.expect_commit(1, if success { 2 } else { 1 }, &why)?;
        let expected: &[&[u8]] = if success { &[b"some data"] } else { &[] };
        for id in net.ids() {
            expect_data(&net, id, if cut.contains(&id) { &[] } else { expected }, &why)?;
        }
    }
    Ok(())
}

/// A leader retries appends indefinitely (section 5.3): a follower that was cut off and is back shows in
/// its answer to a heartbeat, and gets what it lacks.
///
/// Hint: if a follower that answers a heartbeat is behind, send it an append.
fn a_lagging_follower_is_found_by_heartbeats(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(5)?;
    net.campaign(1)?;
    net.beats(1)?;
    net.isolate(5);
    for data in [b"one", b"two"] {
        net.propose(1, data)?;
    }
    net.beats(1)?;
    net.expect_commit(5, 1, "it is cut off since the first entry was committed")?;
    net.heal();
    net.beats(1)?;
    let why = "n5 was cut off for two proposals; it is back, and three heartbeat intervals went by";
    net.expect_log(5, &[1, 1, 1], why)?;
    net.expect_commit(5, 3, why)
}

/// A new leader commits what its predecessor left on a majority, without any new proposal: by the empty
/// entry of its own term (section 8).
///
/// Hint: the first entry of a term, and section 5.4.2.
fn entries_of_earlier_terms_are_committed_with_the_next(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(5)?;
    net.campaign(1)?;
    net.beats(1)?;
    for id in [3, 4, 5] {
        net.cut(1, id);
    }
    for data in [b"one", b"two"] {
        net.propose(1, data)?;
    }
    net.beats(1)?;
    net.expect_commit(1, 1, "it reaches n2 only, of five")?;
    net.heal();
    net.campaign(2)?;
    net.beats(2)?;
    let why = "n1 left two entries on n1 and n2; then n2 was elected, and nothing was proposed";
    net.expect_role(2, Role::Leader, why)?;
    for id in 1..=5 {
        net.expect_commit(id, 4, why)?;
        expect_data(&net, id, &[b"one", b"two"], why)?;
    }
    Ok(())
}

/// Two nodes that cannot hear each other campaign. The one that was cut off comes back with a higher term
/// and a shorter log: it deposes the leader, and loses (sections 5.1 and 5.4.1).
///
/// Hint: the term of a refused request counts, its log does not.
fn candidates_duel_until_the_better_log_wins(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(3)?;
    net.cut(1, 3);
    net.campaign(1)?;
    net.campaign(3)?;
    net.expect_role(1, Role::Leader, "n1 and n2 voted for it in term 1")?;
    net.expect_role(3, Role::Candidate, "n2 had voted for n1 in term 1")?;
    net.heal();
    net.campaign(3)?;
    let why = "n3, without an entry, campaigned in term 2; n1 and n2 have 1@1";
    for id in 1..=3 {
        net.expect_role(id, Role::Follower, why)?;
        let status = net.status(id)?;
        if status.term != 2 {
            return Err(Failure::broke(
                "a node is in another term",
                why,
                notation::status(id, &status),
            ));
        }
    }
    net.expect_log(1, &[1], why)?;
    net.expect_log(2, &[1], why)?;
    net.expect_log(3, &[], why)?;
    net.campaign(2)?;
    net.beats(2)?;
    for id in 1..=3 {
        net.expect_log(id, &[1, 3], "then n2 campaigned in term 3")?;
    }
    Ok(())
}

/// A candidate that hears from the leader of its own term concedes, and gets its log and commit index.
///
/// Hint: a candidate handles an append of its own term as a follower does.
fn a_candidate_concedes_and_catches_up(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(3)?;
    net.isolate(1);
    net.campaign(1)?;
    net.campaign(3)?;
    net.heal();
    net.beats(3)?;
    net.propose(3, b"some data")?;
    net.beats(3)?;
    let why = "n1 campaigned in term 1 unheard, n3 was elected in term 1, and heals; then a proposal was made";
    net.expect_role(1, Role::Follower, why)?;
    for id in 1..=3 {
        net.expect_log(id, &[1, 1], why)?;
        net.expect_commit(id, 2, why)?;
    }
    Ok(())
}

/// A message of a leader that was deposed arrives late, at the leader of a later term: it is nothing.
///
/// Hint: older terms are dropped before anything else.
fn an_old_leaders_append_changes_nothing(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(3)?;
    for id in [1, 2, 1] {
        net.campaign(id)?;
    }
    net.beats(1)?;
    net.send(append(2, 1, 2, (2, 2), entries(3, &[2])))?;
    net.propose(1, b"some data")?;
    net.beats(1)?;
    for id in 1..=3 {
        let why =
            "n1 leads term 3; an append of n2, from term 2, arrived late; then a proposal was made";
        net.expect_log(id, &[1, 2, 3, 3], why)?;
        net.expect_commit(id, 4, why)?;
    }
    Ok(())
}

/// A heartbeat lets a follower commit only what it is known to share with the leader. Here a deposed
/// leader has a tail of its own that is as long as the new leader's log; until an append has replaced it,
/// none of it may be committed.
///
/// Hint: the leader sends each follower the smaller of its match and the commit index.
fn a_heartbeat_commits_only_what_matches(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (lost, made) in [(1, 1), (5, 3), (5, 10)] {
        let mut net = lab.group(3)?;
        net.campaign(1)?;
        net.beats(1)?;
        net.isolate(1);
        for _ in 0..lost {
            net.propose(1, b"lost")?;
        }
        net.campaign(2)?;
        for _ in 0..made {
            net.propose(2, b"made")?;
        }
        net.beats(2)?;
        let why = format!(
            "n1 was cut off with {lost} entries of its own; n2 was elected and committed {made}"
        );
        net.expect_commit(1, 1, &why)?;
        net.expect_commit(2, 2 + made, &why)?;
        net.expect_commit(3, 2 + made, &why)?;
        net.heal();
        net.ignore(MessageType::MsgAppend);
        net.beats(2)?;
        net.expect_commit(1, 1, &format!("{why}; now n1 gets n2's heartbeats, but no append"))?;
        net.heal();
        net.beats(2)?;
        net.expect_commit(1, 2 + made, &format!("{why}; now all links work"))?;
    }
    Ok(())
}

/// A leader that was cut off comes back with entries that nobody else has: they are replaced by those of
/// its successor, and never applied.
///
/// Hint: the conflict is found by index and term, and everything behind it goes.
fn a_deposed_leader_gives_up_its_tail(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(5)?;
    net.campaign(1)?;
    net.propose(1, b"kept")?;
    net.beats(1)?;
    net.isolate(1);
    for _ in 0..6 {
        net.propose(1, b"lost")?;
    }
    net.campaign(2)?;
    net.propose(2, b"new")?;
    net.beats(2)?;
    net.heal();
    net.beats(2)?;
    let why = "n1 was cut off with six entries of its own; n2 was elected and got one proposal; all links work again";
    net.expect_role(1, Role::Follower, why)?;
    for id in 1..=5 {
        net.expect_log(id, &[1, 1, 2, 2], why)?;
        net.expect_commit(id, 4, why)?;
        expect_data(&net, id, &[b"kept", b"new"], why)?;
    }
    Ok(())
}

/// When followers have acknowledged everything, the leader knows: match is the last index of each, and what
/// comes next is what comes after it.
///
/// Hint: `next` is `match + 1` when nothing is under way.
fn progress_follows_the_acknowledgements(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let log = [1, 1, 1];
    let mut net = lab.net((1..=3).map(|id| Setup::new(id, 3).log(&log)).collect())?;
    net.campaign(1)?;
    net.propose(1, b"some data")?;
    net.beats(1)?;
    let status = net.status(1)?;
    let expected: Vec<_> = (1..=3).map(|id| (id, 5, 6)).collect();
    sim::failure::expect_eq(
        || "a leader does not know what its followers have (id, match, next)".into(),
        &expected,
        &status.progress,
    )
}
