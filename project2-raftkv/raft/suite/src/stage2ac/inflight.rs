//! Several Readys under way: a disk takes its time, and the world goes on.

use proto::eraftpb::{Message, MessageType};
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{accepted, append, entries, heartbeat, request_vote};
use crate::notation;
use crate::protocol::RaftNode;
use crate::world::{Lab, Node, Puppets, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("inflight.rs":
        what_comes_while_a_ready_is_stored_comes_with_the_next,
        commits_that_come_while_a_ready_is_stored_come_with_the_next,
        an_entry_that_is_replaced_while_it_is_stored_is_written_anew,
        a_term_that_comes_while_a_ready_is_stored_comes_with_the_next,
        a_ready_that_was_dropped_comes_again,
        entries_that_come_after_a_ready_come_with_the_next,
        commits_that_come_after_a_ready_come_with_the_next,
        a_confirmation_counts_for_its_own_ready,
        a_write_that_was_overtaken_confirms_nothing,
        several_readys_may_be_under_way,
        one_confirmation_covers_all_before_it,
        a_follower_acknowledges_in_the_order_of_its_disk,
    )
}

fn leader<'l>(lab: &'l Lab<'l>, size: u64) -> Outcome<(Node<'l>, Puppets)> {
    let mut puppets = Puppets::new(&(2..=size).collect::<Vec<_>>());
    let mut node = lab.node(Setup::new(1, size))?;
    puppets.elect(&mut node)?;
    puppets.beats(&mut node, 3)?;
    Ok((node, puppets))
}

/// Takes the one Ready that must be there, and stores it; its number.
fn take(node: &mut Node, why: &str) -> Outcome<u64> {
    let number = take_only(node, why)?;
    node.advance()?;
    Ok(number)
}

/// Takes the one Ready that must be there; its number.
fn take_only(node: &mut Node, why: &str) -> Outcome<u64> {
    let taken = node.take()?;
    expect::that(
        taken.is_some(),
        "there is no Ready",
        why,
        "something has happened that must be written",
    )?;
    Ok(taken.map_or(0, |taken| taken.number))
}

/// The durable log must have these terms.
fn on_disk(node: &Node, terms: &[u64], why: &str) -> Outcome {
    let image = node.disk.durable();
    expect::that(
        image.terms() == terms,
        format!("the log on n{}'s disk is not as it must be", node.id),
        format!("{why}: expected {}", notation::log(terms)),
        format!(
            "everything is durable now, and its disk holds {}",
            notation::entries(&image.entries)
        ),
    )
}

/// Between taking a Ready and advancing it the driver writes, and the world goes on: new entries come. They were not
/// in that Ready, so they are not stored with it. A node that takes them for stored never hands them out, and
/// acknowledges what is on no disk.
///
/// Hint: `advance` moves each cursor by what the Ready held, not by how things are now.
fn what_comes_while_a_ready_is_stored_comes_with_the_next(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, 1)?;
    let mut expected = vec![1];
    for round in 1..=3 {
        let _ = node.propose(b"before the Ready")?;
        let number = take_only(&mut node, "a proposal was made")?;
        let _ = node.propose(b"while it is stored")?;
        node.advance()?;
        node.persisted(number)?;
        node.settle()?;
        expected.extend([1, 1]);
        on_disk(
            &node,
            &expected,
            &format!(
                "{round} times a proposal came before a Ready, and one before it was advanced"
            ),
        )?;
    }
    let mut node = lab.node(Setup::new(1, 3))?;
    node.deliver(&append(2, 1, 1, (0, 0), entries(1, &[1])).into())?;
    let number = take_only(&mut node, "it got [1@1]")?;
    node.deliver(&append(2, 1, 1, (1, 1), entries(2, &[1, 1])).into())?;
    node.advance()?;
    node.persisted(number)?;
    node.settle()?;
    on_disk(&node, &[1, 1, 1], "[1@1] came before a Ready, [2..3@1] before it was advanced")
}

/// While a Ready is stored, the commit index rises. What is committed since was not handed out with that Ready, so it
/// comes with the next one. A node that takes it for handed out never applies it: the replicas drift apart, and
/// nobody says a word.
///
/// Hint: remember in the Ready's record how far it went.
fn commits_that_come_while_a_ready_is_stored_come_with_the_next(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    node.tell(append(2, 1, 1, (0, 0), entries(1, &[1; 6])))?;
    for commit in [1, 3, 5] {
        node.deliver(&heartbeat(2, 1, 1, commit).into())?;
        let number = take_only(&mut node, "the commit index has risen")?;
        node.deliver(&heartbeat(2, 1, 1, commit + 1).into())?;
        node.advance()?;
        node.persisted(number)?;
        node.settle()?;
        let seen: Vec<u64> = node.executed.iter().map(|entry| entry.index).collect();
        let expected: Vec<u64> = (1..=commit + 1).collect();
        expect::that(
            seen == expected,
            "entries that were committed while a Ready was stored are not handed out",
            format!("{commit} was committed before a Ready, {} before it was advanced", commit + 1),
            format!("handed out were {seen:?}"),
        )?;
    }
    Ok(())
}

/// While a Ready is stored, a new leader replaces what is in it. The old entries are stored then, the new ones are not: a
/// node that compares indices alone never writes them.
///
/// Hint: index *and* term of the Ready's last entry.
fn an_entry_that_is_replaced_while_it_is_stored_is_written_anew(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).log(&[1]))?;
    node.deliver(&append(2, 1, 2, (1, 1), entries(2, &[2, 2])).into())?;
    let number = take_only(&mut node, "it got [2..3@2]")?;
    node.deliver(&append(3, 1, 3, (1, 1), entries(2, &[3, 3])).into())?;
    node.advance()?;
    node.persisted(number)?;
    node.settle()?;
    let why = "[2..3@2] came before a Ready, and [2..3@3] in their place before it was advanced";
    on_disk(&node, &[1, 3, 3], why)
}

/// While a Ready is stored, a message brings a higher term. It was not in that Ready: it has to be written before
/// anything is said in it.
///
/// Hint: what the driver knows is the hard state of the Ready that it advanced, not the node's own.
fn a_term_that_comes_while_a_ready_is_stored_comes_with_the_next(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    node.deliver(&append(2, 1, 1, (0, 0), entries(1, &[1])).into())?;
    let number = take_only(&mut node, "it got [1@1]")?;
    node.deliver(&request_vote(3, 1, 5, (1, 1)).into())?;
    node.advance()?;
    node.persisted(number)?;
    node.settle()?;
    let hard = node.disk.durable().hard;
    expect::that(
        (hard.term, hard.vote) == (5, 3),
        "a vote that was given while a Ready was stored is on no disk",
        "[1@1] came before a Ready; n3 asked for its vote in term 5 before it was advanced",
        format!("its disk holds {}", notation::hard_state(&hard)),
    )
}

/// A driver may drop a Ready: its write failed, and it tries again. Taking is not storing: what the dropped one asked
/// to be stored comes again with the next one.
///
/// Hint: the cursors move in `advance`, not in `ready`.
fn a_ready_that_was_dropped_comes_again(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).log(&[1]))?;
    node.deliver(&append(2, 1, 4, (1, 1), entries(2, &[4, 4])).into())?;
    take_only(&mut node, "it got [2..3@4]")?;
    let number = take_only(&mut node, "its Ready was dropped")?;
    node.advance()?;
    node.persisted(number)?;
    node.settle()?;
    let why = "[2..3@4] came, its Ready was dropped, and the next one was stored";
    on_disk(&node, &[1, 4, 4], why)?;
    let hard = node.disk.durable().hard;
    expect::that(
        hard.term == 4,
        "a term is on no disk: it was in a Ready that was dropped",
        why,
        format!("its disk holds {}", notation::hard_state(&hard)),
    )
}

/// Between a Ready and the word that it is durable, new entries come. They are not durable with it: they
/// come with the next Ready.
///
/// Hint: mark as stable what the Ready held, not what the log holds by now.
fn entries_that_come_after_a_ready_come_with_the_next(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, 1)?;
    let mut expected = vec![1];
    for round in 0..5 {
        let _ = node.propose(b"before the Ready")?;
        let number = take(&mut node, "a proposal was made")?;
        let _ = node.propose(b"after the Ready")?;
        node.persisted(number)?;
        node.settle()?;
        expected.extend([1, 1]);
        let why = format!(
            "in each of {} rounds one proposal came before a Ready, and one after it",
            round + 1
        );
        expect::log(&mut node, &expected, &why)?;
        let seen = node.executed.len();
        expect::that(
            seen == expected.len(),
            "entries that came after a Ready are lost",
            why,
            format!("{seen} of {} entries were handed out to be applied", expected.len()),
        )?;
    }
    let mut node = lab.node(Setup::new(1, 3))?;
    node.deliver(&append(2, 1, 1, (0, 0), entries(1, &[1])).into())?;
    let number = take(&mut node, "it got [1@1]")?;
    node.deliver(&append(2, 1, 1, (1, 1), entries(2, &[1, 1])).into())?;
    node.persisted(number)?;
    node.settle()?;
    expect::log(&mut node, &[1, 1, 1], "it got [1@1] before a Ready, and [2..3@1] after it")
}

/// Between a Ready and the word that its entries are applied, more is committed. That is not applied with
/// it: it comes with the next Ready.
///
/// Hint: mark as applied what the driver says, not what is committed by now.
fn commits_that_come_after_a_ready_come_with_the_next(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    node.tell(append(2, 1, 1, (0, 0), entries(1, &[1; 6])))?;
    for commit in [1, 3, 4] {
        node.deliver(&heartbeat(2, 1, 1, commit).into())?;
        let number = take(&mut node, "the commit index has risen")?;
        let handed_out = node.executed.len() as u64;
        // Before the state machine has caught up, the leader tells that more is committed.
        node.deliver(&heartbeat(2, 1, 1, commit + 1).into())?;
        node.persisted(number)?;
        node.applied(handed_out.min(commit))?;
        let status = node.status()?;
        expect::that(
            status.applied <= commit,
            "more counts as applied than the driver said",
            format!("the driver said that {} is applied", handed_out.min(commit)),
            format!("it says that {} is applied", status.applied),
        )?;
        node.settle()?;
        let seen: Vec<u64> = node.executed.iter().map(|entry| entry.index).collect();
        let expected: Vec<u64> = (1..=commit + 1).collect();
        expect::that(
            seen == expected,
            "entries that were committed after a Ready are not handed out",
            format!("{commit} was committed before a Ready, {} before it was applied", commit + 1),
            format!("handed out were {seen:?}"),
        )?;
    }
    Ok(())
}

/// The word that a Ready is durable is for what *it* held: a leader that has taken two Readys counts its
/// own copy of the second only when that one is durable, too.
///
/// Hint: remember for each Ready number the last entry that it held.
fn a_confirmation_counts_for_its_own_ready(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, 3)?;
    let _ = node.propose(b"first")?;
    let first = take(&mut node, "a proposal was made")?;
    let _ = node.propose(b"second")?;
    let second = take(&mut node, "a proposal was made")?;
    node.deliver(&accepted(2, 1, 1, 3).into())?;
    expect::commit(&mut node, 1, "n2 has stored 2 and 3, the leader none of them")?;
    node.persisted(first)?;
    expect::commit(&mut node, 2, "n2 has stored 2 and 3, the leader only the Ready with 2")?;
    node.persisted(second)?;
    expect::commit(&mut node, 3, "n2 has stored 2 and 3, the leader, too")
}

/// Takes and stores every Ready that there is: none may hand out an entry behind the first. The number of the last one, or
/// `last` if there is none.
fn nothing_to_apply(node: &mut Node, mut last: u64, why: &str) -> Outcome<u64> {
    while let Some(taken) = node.ready()? {
        last = taken.number;
    }
    expect::that(
        node.executed.iter().all(|entry| entry.index < 2),
        "an entry is handed out to be applied although its write is under way",
        why,
        format!("handed out: {}", notation::entries(&node.executed)),
    )?;
    Ok(last)
}

/// While a write is under way, what it writes may be replaced: index 2 was written in term 2, and is
/// written again in term 3. The word that the first write is durable says nothing about the second. Marked
/// by index alone, the new entry counts as durable, is acknowledged, and is gone after a crash.
///
/// Hint: remember the term of the last entry as well, and compare.
fn a_write_that_was_overtaken_confirms_nothing(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).log(&[1]))?;
    node.deliver(&append(2, 1, 2, (1, 1), entries(2, &[2, 2])).into())?;
    let first = take(&mut node, "it got [2..3@2]")?;
    let newer = append(3, 1, 3, (1, 1), entries(2, &[3, 3]));
    node.deliver(&Message { commit: 3, ..newer }.into())?;
    let second = take(&mut node, "it got [2..3@3]")?;
    let sent = node.persisted(first)?;
    let why = "the write of [2..3@2] is durable; that of [2..3@3], which replaces it, is under way";
    let early = sent.iter().find(|m| m.msg.term == 3 && m.kind() == MessageType::MsgAppendResponse);
    expect::that(
        early.is_none(),
        "an entry is acknowledged although its write is under way",
        why,
        early.map_or_else(String::new, crate::mail::Mail::show),
    )?;
    let last = nothing_to_apply(&mut node, second, why)?;
    node.persisted(last)?;
    node.settle()?;
    expect::log(&mut node, &[1, 3, 3], "both writes are durable")?;
    expect::commit(&mut node, 3, "n3, the leader of term 3, told it that 3 is committed")?;

    // What was replaced comes back, with the same terms (A-B-A): the disk, which lost it in between, has to take it again.
    let mut node = lab.node(Setup::new(1, 3).log(&[1]))?;
    node.deliver(&append(2, 1, 2, (1, 1), entries(2, &[2, 2])).into())?;
    let first = take(&mut node, "it got [2..3@2]")?;
    node.deliver(&append(3, 1, 3, (1, 1), entries(2, &[3])).into())?;
    take(&mut node, "it got [2@3]")?;
    let back = append(2, 1, 4, (1, 1), entries(2, &[2, 2]));
    node.deliver(&Message { commit: 3, ..back }.into())?;
    node.persisted(first)?;
    let why =
        "the first write of [2..3@2] is durable; [2@3], and then [2..3@2] again, are under way";
    let last = nothing_to_apply(&mut node, first, why)?;
    node.persisted(last)?;
    node.settle()?;
    expect::log(&mut node, &[1, 2, 2], "all writes are durable")?;
    expect::commit(&mut node, 3, "n2, the leader of term 4, told it that 3 is committed")
}

/// A leader goes on taking proposals, and giving out Readys, while its disk is slow.
///
/// Hint: `advance_append_async`: the next Ready does not wait for the last.
fn several_readys_may_be_under_way(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, 3)?;
    let mut numbers = Vec::new();
    for _ in 0..6 {
        let _ = node.propose(b"some data")?;
        numbers.push(take(&mut node, "a proposal was made, and earlier Readys are under way")?);
    }
    node.deliver(&accepted(2, 1, 1, 7).into())?;
    for (index, number) in (2..).zip(numbers) {
        node.persisted(number)?;
        while let Some(taken) = node.ready()? {
            // Commit and messages only: nothing of these must be written.
            expect::that(
                taken.entries.is_empty(),
                "entries are handed out twice",
                "six proposals were made, each was in a Ready",
                format!("Ready {} has {}", taken.number, notation::entries(&taken.entries)),
            )?;
        }
        expect::commit(
            &mut node,
            index,
            &format!("n2 has stored 2 to 7, the leader up to {index}"),
        )?;
    }
    Ok(())
}

/// Writes are durable in order, so one word covers all Readys up to a number.
///
/// Hint: go through the records up to the number; the last one decides.
fn one_confirmation_covers_all_before_it(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, 3)?;
    let mut last = 0;
    for _ in 0..5 {
        let _ = node.propose(b"some data")?;
        last = take(&mut node, "a proposal was made")?;
    }
    node.deliver(&accepted(3, 1, 1, 6).into())?;
    expect::commit(&mut node, 1, "n3 has stored 2 to 6, the leader none of them")?;
    node.persisted(last)?;
    expect::commit(&mut node, 6, "n3 has stored 2 to 6, and the leader's last Ready is durable")?;
    node.settle()?;
    let seen = node.executed.len();
    expect::that(
        seen == 6,
        "not everything is handed out",
        "six entries are committed",
        format!("{seen} were"),
    )
}

/// Three appends, three Readys, a slow disk: each acknowledgement waits for its own write, and no longer.
///
/// Hint: messages that wait belong to the Ready in which they were handed out.
fn a_follower_acknowledges_in_the_order_of_its_disk(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    let mut numbers = Vec::new();
    for index in 0..3 {
        let base = (index, u64::from(index > 0));
        node.deliver(&append(2, 1, 1, base, entries(index + 1, &[1])).into())?;
        numbers.push(take(&mut node, "an append came")?);
    }
    for (index, number) in (1..).zip(numbers) {
        let sent = node.persisted(number)?;
        let highest = sent
            .iter()
            .filter(|m| m.kind() == MessageType::MsgAppendResponse && !m.msg.reject)
            .map(|m| m.msg.index)
            .max();
        expect::that(
            highest == Some(index),
            "an acknowledgement does not go with its own write",
            format!("three appends with one entry each came; the write of {index} is durable now"),
            format!("the highest index acknowledged with it is {highest:?}"),
        )?;
    }
    Ok(())
}
