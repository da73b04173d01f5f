//! Two halves, and a majority of each.

use proto::eraftpb::MessageType;
use raft_suite::mail::{accepted, of_kind, vote};
use raft_suite::protocol::{Input, RaftNode, Role};
use raft_suite::world::{Lab, Puppets, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{between, lead_between, others};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("quorum.rs":
        voters_of_both_halves_are_asked,
        a_candidate_needs_both_halves,
        one_half_is_enough_to_lose,
        an_entry_needs_both_halves,
        a_read_needs_both_halves,
        a_leader_without_one_half_steps_down,
    )
}

/// The two halves both ways round: which one is full first must not matter.
const HALVES: [([u64; 3], [u64; 3]); 2] = [([1, 2, 3], [1, 4, 5]), ([1, 4, 5], [1, 2, 3])];

/// Who has a vote in either half has a vote, and is asked for it once.
///
/// Hint: `voters` is the union of both.
fn voters_of_both_halves_are_asked(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (new, old) in [(&[1, 2, 3][..], &[1, 2, 4][..]), (&[1, 2], &[1, 3, 4])] {
        let mut node = lab.node(between(new, old))?;
        node.settle()?;
        let sent = node.campaign()?;
        let mut asked: Vec<u64> =
            of_kind(&sent, MessageType::MsgRequestVote).iter().map(|m| m.to).collect();
        asked.sort_unstable();
        expect::that(
            asked == [2, 3, 4],
            "a candidate does not ask the voters of both halves, each once",
            format!("n1 campaigned; the new half is {new:?}, the old one {old:?}"),
            format!("it asked {asked:?}"),
        )?;
    }
    Ok(())
}

/// A leader needs a majority of the new half and one of the old: else each half could have a leader of its own, in the same
/// term. Who is in both counts in both.
///
/// Hint: `won`: both must be won.
fn a_candidate_needs_both_halves(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (new, old) in HALVES {
        let mut node = lab.node(between(&new, &old))?;
        node.settle()?;
        node.campaign()?;
        for id in [2, 3] {
            node.tell(vote(id, 1, 1, true))?;
        }
        let why = format!(
            "the new half is {new:?}, the old one {old:?}; n1 campaigned, and has the votes of n2 and n3"
        );
        expect::role(&mut node, Role::Candidate, 1, &why)?;
        node.tell(vote(4, 1, 1, true))?;
        expect::role(&mut node, Role::Leader, 1, &format!("{why}, and then of n4"))?;
    }
    Ok(())
}

/// If one half refuses, there is nothing to wait for.
///
/// Hint: `won`: one that is lost is enough.
fn one_half_is_enough_to_lose(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (new, old) in HALVES {
        let mut node = lab.node(between(&new, &old))?;
        node.settle()?;
        node.campaign()?;
        node.tell(vote(4, 1, 1, true))?;
        node.tell(vote(2, 1, 1, false))?;
        let why = format!(
            "the new half is {new:?}, the old one {old:?}; n1 campaigned; n4 said yes, n2 no"
        );
        expect::role(&mut node, Role::Candidate, 1, &why)?;
        node.tell(vote(3, 1, 1, false))?;
        expect::role(&mut node, Role::Follower, 1, &format!("{why}, and n3 no"))?;
    }
    Ok(())
}

/// An entry is committed when a majority of each half has it. One half alone, be it all of it, is not enough: the other may
/// elect somebody who has never seen it.
///
/// Hint: `committed` is as far as the slower half is.
fn an_entry_needs_both_halves(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (new, old) in HALVES {
        let (mut node, _) = lead_between(&lab, &new, &old)?;
        let before = node.status()?.committed;
        node.offer(b"a write")?;
        let last = node.status()?.last_index;
        for id in [2, 3] {
            node.tell(accepted(id, 1, 1, last))?;
        }
        let why = format!("the new half is {new:?}, the old one {old:?}; n1, n2, n3 have a write");
        expect::commit(&mut node, before, &why)?;
        node.tell(accepted(5, 1, 1, last))?;
        expect::commit(&mut node, last, &format!("{why}, and then n5"))?;
    }
    Ok(())
}

/// Before a leader answers a read, both halves must have said that they know no other.
///
/// Hint: the same `committed`, of the rounds that members have answered; nothing is to be done for it.
fn a_read_needs_both_halves(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (new, old) in HALVES {
        let (mut node, mut puppets) = lead_between(&lab, &new, &old)?;
        let _ = node.order(Input::ReadIndex(b"r".to_vec().into()))?;
        let sent = node.settle()?;
        for id in [2, 3, 4] {
            let why = format!(
                "the new half is {new:?}, the old one {old:?}; n1 was asked to read, and n{id} has not confirmed that it leads"
            );
            expect::that(
                node.reads.is_empty(),
                "a read is released too early",
                why,
                format!("at {:?}", node.reads),
            )?;
            let asked = sent.iter().map(|mail| &mail.msg).filter(|m| m.to == id);
            let answers: Vec<_> = asked.filter_map(|m| puppets.answer(m)).collect();
            answers.into_iter().try_for_each(|answer| node.tell(answer).map(drop))?;
        }
        expect::that(
            !node.reads.is_empty(),
            "a read is never released",
            format!("the new half is {new:?}, the old one {old:?}; n2, n3 and n4 have confirmed"),
            "it waits",
        )?;
    }
    Ok(())
}

/// A leader that hears from one half only can commit nothing, and another may lead already: with `CheckQuorum` it steps
/// down. (This needs stage 2X's `check_quorum`.)
///
/// Hint: `active`: both.
fn a_leader_without_one_half_steps_down(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (new, old) in HALVES {
        for (answering, stays) in [([2, 3], false), ([2, 4], true)] {
            let setup = between(&new, &old).with(|config| config.check_quorum = true);
            let mut puppets = Puppets::new(&others(&setup));
            let mut node = lab.node(setup)?;
            puppets.elect(&mut node)?;
            puppets.beats(&mut node, 5)?;
            let term = node.status()?.term;
            puppets.only(&answering);
            puppets.beats(&mut node, 30)?;
            let why = format!(
                "the new half is {new:?}, the old one {old:?}; n1 led, and for three election timeouts only {answering:?} answered"
            );
            let what = if stays { "a leader still" } else { "without leadership" };
            // One that stays was never anything else, and so in no other term.
            expect::status(&mut node, what, &why, |s| {
                (s.role == Role::Leader) == stays && (!stays || s.term == term)
            })?;
        }
    }
    Ok(())
}
