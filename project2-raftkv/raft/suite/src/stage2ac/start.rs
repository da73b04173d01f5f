//! Start, restart, rest.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{self, append, entries, heartbeat, request_vote};
use crate::notation;
use crate::protocol::{Input, RaftNode, Role};
use crate::world::{Lab, Node, Puppets, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("start.rs":
        a_node_starts_and_commits_through_readys,
        a_restart_hands_out_what_was_committed,
        a_restart_hands_out_nothing_twice,
        a_ready_is_taken_once,
        an_idle_node_is_quiet,
        every_change_of_the_hard_state_is_in_a_ready,
    )
}

fn is_quiet(node: &mut Node, why: &str) -> Outcome {
    let ready = node.ready()?;
    expect::that(
        ready.is_none(),
        "a node that has nothing to do still has a Ready",
        why,
        format!("n{} gave {ready:?}", node.id),
    )
}

/// The shortest life of a node: it starts, is elected, takes a proposal, and applies it, all through
/// Readys. Then there is nothing left to do.
///
/// Hint: `has_ready` compares with what the last Ready gave out.
fn a_node_starts_and_commits_through_readys(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 1))?;
    is_quiet(&mut node, "it has just started, on an empty disk")?;
    node.campaign()?;
    node.offer(b"foo")?;
    let seen: Vec<(u64, &[u8])> = node.executed.iter().map(|e| (e.index, &e.data[..])).collect();
    expect::that(
        seen == [(1, &b""[..]), (2, b"foo")],
        "a proposal is not handed out to be applied",
        "the only voter was elected, and \"foo\" was proposed; every Ready was made durable",
        format!("it was given {}", notation::entries(&node.executed)),
    )?;
    let written = node.disk.durable().terms();
    expect::that(
        written == [1, 1],
        "a proposal is not handed out to be written",
        "the only voter was elected, and \"foo\" was proposed; every Ready was made durable",
        format!("its disk holds {}", notation::log(&written)),
    )?;
    is_quiet(&mut node, "everything is written and applied")
}

/// A node that comes back hands out what its disk knows to be committed and its state machine has not
/// seen, and no more: the rest waits for a leader.
///
/// Hint: commit index from the hard state; applied from the configuration.
fn a_restart_hands_out_what_was_committed(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (log, commit) in [(&[1, 1][..], 1), (&[1, 1, 2], 3), (&[1, 1, 2], 0), (&[1, 2, 2, 2], 2)] {
        let mut node = lab.node(Setup::new(1, 3).log(log).commit(commit))?;
        let why = format!(
            "its disk holds {} and commit index {commit}; nothing was applied",
            notation::log(log)
        );
        let sent = node.settle()?;
        let upto = usize::try_from(commit).unwrap_or(0);
        expect::that(
            node.executed == entries(1, &log[..upto]),
            "a restart does not hand out exactly what was committed",
            &why,
            format!("it handed out {}", notation::entries(&node.executed)),
        )?;
        expect::that(
            sent.is_empty(),
            "a node speaks before it was spoken to",
            &why,
            mail::show_all(&sent),
        )?;
        is_quiet(&mut node, &why)?;
    }
    Ok(())
}

/// What the state machine had applied, and remembers, is not handed out again: applied twice, a counter
/// counts twice.
///
/// Hint: begin after `Config::applied`.
fn a_restart_hands_out_nothing_twice(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (commit, applied) in [(3, 1), (3, 3), (4, 2)] {
        let mut node =
            lab.node(Setup::new(1, 3).log(&[1, 1, 1, 1]).applied(applied).commit(commit))?;
        node.settle()?;
        let seen: Vec<u64> = node.executed.iter().map(|entry| entry.index).collect();
        let expected: Vec<u64> = (applied + 1..=commit).collect();
        expect::that(
            seen == expected,
            "a restart does not go on where the state machine stands",
            format!("up to {commit} is committed, up to {applied} was applied before"),
            format!("it handed out {seen:?}"),
        )?;
    }
    Ok(())
}

/// What a Ready has given out, the next one does not give out again: there is none, unless something new
/// has happened.
///
/// Hint: entries, messages, committed entries, hard state: note for each what was given out.
fn a_ready_is_taken_once(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    for m in [
        append(2, 1, 1, (0, 0), entries(1, &[1, 1])),
        heartbeat(2, 1, 1, 0),
        request_vote(3, 1, 2, (2, 1)),
    ] {
        let why = format!("it got {}, and one Ready was taken", notation::message(&m));
        node.deliver(&m.into())?;
        let first = node.ready()?;
        expect::that(first.is_some(), "a message leads to no Ready", &why, "there was none")?;
        is_quiet(&mut node, &format!("{why}, and nothing else happened, not even the disk"))?;
        let number = first.map_or(0, |taken| taken.number);
        node.persisted(number)?;
        is_quiet(&mut node, &format!("{why}, and is durable"))?;
    }
    Ok(())
}

/// A node that nobody speaks to has no Ready, however often it is asked; nor has one after a tick that
/// changes nothing. Who loops "while there is a Ready" would never stop.
///
/// Hint: compare the hard state with the one in the last Ready, and remember that one.
fn an_idle_node_is_quiet(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).log(&[1, 1]).term(3).vote(2).applied(1))?;
    for _ in 0..5 {
        is_quiet(&mut node, "it has just started, and nobody spoke to it")?;
    }
    node.tell(heartbeat(2, 1, 3, 2))?;
    is_quiet(&mut node, "it answered a heartbeat, and everything is durable and applied")?;
    for _ in 1..node.config().election_tick {
        let _ = node.order(Input::Tick)?;
        is_quiet(&mut node, "it is a follower, and one tick went by")?;
    }
    let mut node = lab.node(Setup::new(1, 3))?;
    let mut puppets = Puppets::new(&[2, 3]);
    puppets.elect(&mut node)?;
    puppets.beats(&mut node, 3)?;
    is_quiet(&mut node, "it leads, its followers have everything, and all is applied")
}

/// Term, vote and commit index are in a Ready whenever they have changed, with `must_sync` for term and
/// vote: what is not in a Ready is not on disk.
///
/// Hint: compare the hard state with the one in the last Ready.
fn every_change_of_the_hard_state_is_in_a_ready(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    let steps: [(&str, Input); 6] = [
        ("it heard of term 2", Input::Step(mail::Mail::from(heartbeat(2, 1, 2, 0)).bytes)),
        ("it voted in term 3", Input::Step(mail::Mail::from(request_vote(3, 1, 3, (0, 0))).bytes)),
        ("it campaigned", Input::Campaign),
        ("it campaigned again", Input::Campaign),
        ("it lost", Input::Step(mail::Mail::from(append(2, 1, 5, (0, 0), Vec::new())).bytes)),
        ("it voted in term 9", Input::Step(mail::Mail::from(request_vote(2, 1, 9, (0, 0))).bytes)),
    ];
    for (why, input) in steps {
        let before = node.disk.written().hard;
        let _ = node.order(input)?;
        let status = node.status()?;
        let mut synced = false;
        while let Some(taken) = node.ready()? {
            synced |= taken.must_sync && taken.hard_state.is_some();
            node.persisted(taken.number)?;
        }
        let hard = node.disk.durable().hard;
        expect::that(
            (hard.term, hard.vote) == (status.term, status.vote),
            "term or vote have changed, and no Ready says so",
            format!(
                "{why}: {}, vote {}",
                notation::status(1, &status),
                notation::node(status.vote)
            ),
            format!("its disk holds {}", notation::hard_state(&hard)),
        )?;
        expect::that(
            synced || (before.term, before.vote) == (hard.term, hard.vote),
            "a new term or vote need not be synced",
            format!("{why}: {}", notation::hard_state(&hard)),
            "no Ready with a hard state said `must_sync`",
        )?;
    }
    expect::role(&mut node, Role::Follower, 9, "it voted in term 9")
}
