//! What may leave before a Ready is durable, and what must wait.

use proto::eraftpb::{Message, MessageType};
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{Mail, accepted, append, entries, request_vote, show_all, vote};
use crate::notation;
use crate::protocol::{Input, RaftNode, Role};
use crate::world::{Lab, Node, Puppets, Setup, Taken, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("contract.rs":
        a_vote_leaves_only_when_it_is_durable,
        a_candidate_asks_only_when_its_own_vote_is_durable,
        an_acknowledgement_leaves_only_when_it_is_durable,
        a_leader_sends_before_its_own_write_is_durable,
        a_leader_counts_itself_only_when_it_is_durable,
        only_durable_entries_are_applied,
        a_commit_alone_needs_no_sync,
        a_crash_before_the_write_forgets_all_of_it,
    )
}

/// Takes Readys without making any durable.
fn take_all(node: &mut Node) -> Outcome<Vec<Taken>> {
    let mut all = Vec::new();
    while let Some(taken) = node.ready()? {
        all.push(taken);
        if all.len() > 50 {
            return Err(node.restless());
        }
    }
    Ok(all)
}

fn at_once(all: &[Taken]) -> Vec<Mail> {
    all.iter().flat_map(|taken| taken.messages.clone()).collect()
}

fn waits_for_the_disk(
    node: &mut Node,
    kind: MessageType,
    why: &str,
    on_disk: impl Fn(&Node) -> bool,
) -> Outcome {
    let all = take_all(node)?;
    let early = at_once(&all);
    expect::none(&early, kind, &format!("{why}; nothing of it is durable yet"))?;
    let last = all.last().map_or(0, |taken| taken.number);
    let sent = node.persisted(last)?;
    let settled = [sent, node.settle()?].concat();
    let found = settled.iter().find(|mail| mail.kind() == kind && !mail.msg.reject);
    expect::that(
        found.is_some(),
        format!("{} never leaves", notation::kind(kind)),
        format!("{why}; every Ready is durable"),
        format!("sent: {}", show_all(&settled)),
    )?;
    expect::that(
        on_disk(node),
        format!("{} leaves, and what it promises is not on disk", notation::kind(kind)),
        why,
        format!(
            "its disk holds {}, {}",
            notation::hard_state(&node.disk.durable().hard),
            notation::entries(&node.disk.durable().entries)
        ),
    )
}

/// A vote that is told and then forgotten in a crash can be given twice. So the answer waits in
/// `persisted_messages` until the hard state with the vote is durable (figure 2).
///
/// Hint: a follower's messages are all of this kind.
fn a_vote_leaves_only_when_it_is_durable(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    node.deliver(&request_vote(2, 1, 4, (0, 0)).into())?;
    let kind = MessageType::MsgRequestVoteResponse;
    waits_for_the_disk(&mut node, kind, "n2 asked for its vote in term 4", |node| {
        let hard = node.disk.durable().hard;
        (hard.term, hard.vote) == (4, 2)
    })
}

/// A candidate's own vote is a vote: if it asked, crashed, and forgot that it had voted for itself, it
/// could vote for another candidate of the same term.
///
/// Hint: a candidate's messages wait as a follower's do.
fn a_candidate_asks_only_when_its_own_vote_is_durable(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    let _ = node.order(Input::Campaign)?;
    let kind = MessageType::MsgRequestVote;
    waits_for_the_disk(&mut node, kind, "it campaigns in term 1", |node| {
        let hard = node.disk.durable().hard;
        (hard.term, hard.vote) == (1, 1)
    })
}

/// The leader counts an acknowledged entry as stored; so the acknowledgement waits until it is (figure 2:
/// the log is persistent state).
///
/// Hint: a follower's messages are all in `persisted_messages`.
fn an_acknowledgement_leaves_only_when_it_is_durable(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let kind = MessageType::MsgAppendResponse;
    let mut node = lab.node(Setup::new(1, 3))?;
    node.deliver(&append(2, 1, 1, (0, 0), entries(1, &[1, 1])).into())?;
    waits_for_the_disk(&mut node, kind, "n2 sent it [1..2@1]", |node| {
        node.disk.durable().terms() == [1, 1]
    })?;
    // The same append once more, while nothing is written: the old write is durable, so this may leave.
    node.deliver(&append(2, 1, 1, (1, 1), entries(2, &[1, 1])).into())?;
    waits_for_the_disk(&mut node, kind, "n2 sent it [2..3@1], and it had [1..2@1]", |node| {
        node.disk.durable().terms() == [1, 1, 1]
    })
}

/// A leader need not wait for its own disk to send its entries to the others: it "can write to its disk in
/// parallel with replicating to the followers" (thesis 10.2.1). That halves the latency of a write.
///
/// Hint: a leader's messages are in `messages`.
fn a_leader_sends_before_its_own_write_is_durable(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut puppets = Puppets::new(&[2, 3]);
    let mut node = lab.node(Setup::new(1, 3))?;
    puppets.elect(&mut node)?;
    puppets.beats(&mut node, 3)?;
    let _ = node.propose(b"some data")?;
    let sent = at_once(&take_all(&mut node)?);
    for to in [2, 3] {
        let why = "it leads, all have 1@1, and a proposal was made; nothing of it is durable yet";
        expect::some(&sent, &format!("an Append with 2@1 to n{to}"), why, |m| {
            m.to == to && m.entries.iter().any(|entry| entry.index == 2)
        })?;
    }
    Ok(())
}

/// A leader may send early, but it may not count early: its own copy makes part of a majority only when it
/// is durable. Else an entry is committed that, after one crash, is on a minority.
///
/// Hint: your own `match` moves when the write is durable.
fn a_leader_counts_itself_only_when_it_is_durable(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (size, followers) in [(1, &[][..]), (3, &[2]), (5, &[2, 3])] {
        let mut puppets = Puppets::new(&(2..=size).collect::<Vec<_>>());
        let mut node = lab.node(Setup::new(1, size))?;
        puppets.elect(&mut node)?;
        puppets.beats(&mut node, 3)?;
        let _ = node.propose(b"some data")?;
        let mut last = take_all(&mut node)?.last().map_or(0, |taken| taken.number);
        for from in followers {
            node.deliver(&accepted(*from, 1, 1, 2).into())?;
        }
        last = take_all(&mut node)?.last().map_or(last, |taken| taken.number);
        let why = format!(
            "of {size} voters, {followers:?} have stored 2@1; the leader's own write is under way"
        );
        expect::commit(&mut node, 1, &why)?;
        node.persisted(last)?;
        node.settle()?;
        expect::commit(
            &mut node,
            2,
            &format!("of {size} voters, {followers:?} and the leader have stored 2@1"),
        )?;
    }
    Ok(())
}

/// An entry is applied only when it is durable in this node's own log, however many others have it: else
/// the state machine is ahead of the log after a crash.
///
/// Hint: hand out up to the smaller of the commit index and what is durable here.
fn only_durable_entries_are_applied(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    let m = append(2, 1, 1, (0, 0), entries(1, &[1, 1, 1]));
    node.deliver(&Message { commit: 3, ..m }.into())?;
    let all = take_all(&mut node)?;
    let why = "n2 sent it [1..3@1] with commit index 3";
    let early: Vec<u64> = all.iter().flat_map(|t| &t.committed).map(|e| e.index).collect();
    expect::that(
        early.is_empty(),
        "entries are handed out to be applied before they are durable",
        why,
        format!("nothing is durable yet, and {early:?} were handed out"),
    )?;
    expect::commit(&mut node, 3, why)?;
    node.persisted(all.last().map_or(0, |taken| taken.number))?;
    node.settle()?;
    let seen: Vec<u64> = node.executed.iter().map(|entry| entry.index).collect();
    expect::that(
        seen == [1, 2, 3],
        "committed entries are not handed out when they are durable",
        why,
        format!("everything is durable, and {seen:?} were handed out"),
    )
}

/// The commit index may be lost in a crash: it is found again from the leader. So a Ready with nothing else
/// to write does not say `must_sync`, and costs no fsync.
///
/// Hint: `must_sync` is for entries, snapshots, term and vote.
fn a_commit_alone_needs_no_sync(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    node.tell(append(2, 1, 1, (0, 0), entries(1, &[1, 1])))?;
    for commit in 1..=2 {
        node.deliver(&crate::mail::heartbeat(2, 1, 1, commit).into())?;
        for taken in take_all(&mut node)? {
            expect::that(
                !taken.must_sync,
                "a Ready that needs no fsync asks for one",
                format!("n2 told it that {commit} is committed; its entries are durable"),
                format!("Ready {} says `must_sync`, with {:?}", taken.number, taken.hard_state),
            )?;
            node.persisted(taken.number)?;
        }
    }
    node.tell(append(2, 1, 1, (2, 1), Vec::new()))?;
    node.deliver(&append(2, 1, 1, (2, 1), entries(3, &[1])).into())?;
    let synced = take_all(&mut node)?.iter().any(|taken| taken.must_sync);
    expect::that(
        synced,
        "a Ready with entries needs no fsync",
        "n2 sent it 3@1",
        "no Ready says `must_sync`",
    )?;
    let mut node = lab.node(Setup::new(1, 3).term(3))?;
    node.deliver(&request_vote(2, 1, 3, (0, 0)).into())?;
    let synced = take_all(&mut node)?.iter().any(|taken| taken.must_sync);
    expect::that(
        synced,
        "a Ready with a vote needs no fsync",
        "n2 asked for its vote in term 3, in which it was already",
        "no Ready says `must_sync`",
    )
}

/// A crash between a Ready and the disk loses all that this Ready says; none of its messages has left, so
/// nobody misses it.
///
/// Hint: this is why messages wait.
fn a_crash_before_the_write_forgets_all_of_it(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).log(&[1]))?;
    node.deliver(&append(2, 1, 2, (1, 1), entries(2, &[2, 2])).into())?;
    take_all(&mut node)?;
    node.deliver(&request_vote(3, 1, 3, (9, 2)).into())?;
    take_all(&mut node)?;
    node.crash()?;
    let why =
        "it got an append in term 2 and a vote request in term 3; both Readys were lost in a crash";
    expect::role(&mut node, Role::Follower, 1, why)?;
    expect::log(&mut node, &[1], why)?;
    node.tell(request_vote(2, 1, 3, (9, 2)))?;
    node.campaign()?;
    node.tell(vote(3, 1, 4, true))?;
    expect::role(
        &mut node,
        Role::Leader,
        4,
        "after the crash it campaigned, and n3 granted its vote",
    )
}
