//! How much a leader sends at once, and how much it takes.

use proto::eraftpb::MessageType;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail;
use crate::notation;
use crate::protocol::RaftNode;
use crate::world::{Lab, Puppets, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("flow.rs":
        one_proposal_always_finds_room,
        an_append_carries_no_more_than_its_limit,
        appends_under_way_are_limited,
        proposals_beyond_the_limit_are_refused,
    )
}

/// `max_size_per_msg` bounds the entries of one append, so that a follower far behind does not get a log
/// in one message; one entry always goes, however large.
///
/// Hint: take entries while their encoded size fits; the first in any case.
fn an_append_carries_no_more_than_its_limit(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let entries: Vec<_> = (1..=20).map(|i| mail::entry(i, 1, &[b'x'; 100])).collect();
    let setup = Setup::new(1, 3).entries(entries).with(|c| c.max_size_per_msg = 350);
    let mut node = lab.node(setup)?;
    let mut puppets = Puppets::new(&[2, 3]);
    let mut sent = puppets.elect(&mut node)?;
    sent.extend(node.offer(&[b'y'; 1000])?);
    sent.extend(puppets.beats(&mut node, 30)?);
    for m in mail::of_kind(&sent, MessageType::MsgAppend) {
        let size: usize = m.entries.iter().map(prost::Message::encoded_len).sum();
        expect::that(
            m.entries.len() <= 1 || size <= 350,
            "an append is larger than its limit",
            "`max_size_per_msg` is 350, and each entry has at least 100 bytes",
            format!("{} has {size} bytes of entries", notation::message(m)),
        )?;
    }
    let why =
        "20 entries of 100 bytes and one of 1000 had to be sent, and thirty heartbeats went by";
    expect::that(
        puppets.last(2) == 22 && puppets.last(3) == 22,
        "a follower does not get all entries when appends are small",
        why,
        format!("n2 has {} entries, n3 {}", puppets.last(2), puppets.last(3)),
    )
}

/// `max_inflight_msgs` bounds how many appends may be under way to one follower: a follower that does not
/// answer costs no more memory than that. When it answers, it gets the rest.
///
/// Hint: note the last index of each append that is sent, free it when it is acknowledged.
fn appends_under_way_are_limited(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).with(|c| c.max_inflight_msgs = 4))?;
    let mut puppets = Puppets::new(&[2, 3]);
    puppets.elect(&mut node)?;
    puppets.beats(&mut node, 3)?;
    let mut sent = Vec::new();
    for _ in 0..30 {
        sent.extend(node.offer(b"some data")?);
    }
    let under_way = sent.iter().filter(|m| {
        m.msg.to == 2 && m.kind() == MessageType::MsgAppend && !m.msg.entries.is_empty()
    });
    let count = under_way.count();
    expect::that(
        count <= 4,
        "more appends are under way to one follower than the limit",
        "`max_inflight_msgs` is 4; 30 proposals were made while n2 and n3 did not answer",
        format!("{count} appends with entries went to n2"),
    )?;
    puppets.talk(&mut node, sent)?;
    puppets.beats(&mut node, 5)?;
    let why = "n2 and n3 answered again, and five heartbeats went by";
    expect::commit(&mut node, 31, why)?;
    expect::that(
        puppets.last(2) == 31 && puppets.last(3) == 31,
        "a follower does not get the rest after it has answered",
        why,
        format!("n2 has {} of 31 entries, n3 {}", puppets.last(2), puppets.last(3)),
    )?;
    for _ in 0..12 {
        let sent = node.offer(b"some data")?;
        puppets.talk(&mut node, sent)?;
    }
    expect::that(
        puppets.last(2) == 43 && puppets.last(3) == 43,
        "an acknowledgement makes no room for the next append",
        "twelve proposals were made, each was acknowledged before the next, and no heartbeat went by",
        format!("n2 has {} of 43 entries, n3 {}", puppets.last(2), puppets.last(3)),
    )
}

/// `max_uncommitted_size` bounds what waits on a leader: with its followers gone it refuses proposals,
/// rather than filling its memory. When they are back and entries are committed, it takes them again.
///
/// Hint: add when you append, take off when entries are handed out as committed.
fn proposals_beyond_the_limit_are_refused(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let setup =
        Setup::new(1, 3).with(|c| (c.max_uncommitted_size, c.max_size_per_msg) = (1000, 500));
    let mut node = lab.node(setup)?;
    let mut puppets = Puppets::new(&[2, 3]);
    puppets.elect(&mut node)?;
    puppets.beats(&mut node, 3)?;
    let mut taken = 0;
    for _ in 0..10 {
        taken += u64::from(node.propose(&[b'x'; 400])?.is_ok());
        node.settle()?;
    }
    expect::that(
        (1..=3).contains(&taken),
        "the limit on what waits uncommitted does not hold",
        "`max_uncommitted_size` is 1000; ten proposals of 400 bytes were made, and nobody answered",
        format!("{taken} of them were taken"),
    )?;
    puppets.beats(&mut node, 5)?;
    let why = format!("{taken} proposals waited, then n2 and n3 answered for five heartbeats");
    expect::commit(&mut node, 1 + taken, &why)?;
    let again = node.propose(&[b'x'; 400])?;
    expect::that(
        again.is_ok(),
        "proposals are still refused although everything is committed",
        why,
        format!("another one was refused: {again:?}"),
    )
}

/// The limit is kept exactly, and two things are never too much: one proposal while nothing waits, however large, for else it could
/// never be made; and one without data, which takes no room.
///
/// Hint: refuse if something waits, the proposal has data, and both together are *more* than the limit.
fn one_proposal_always_finds_room(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let limit = 1000;
    let rows: [(&[usize], bool); 5] = [
        (&[1500], true),
        (&[1500, 0], true),
        (&[600, 400], true),
        (&[600, 401], false),
        (&[600, 400, 1], false),
    ];
    for (sizes, taken) in rows {
        let setup =
            Setup::new(1, 3).with(|c| (c.max_uncommitted_size, c.max_size_per_msg) = (limit, 500));
        let mut node = lab.node(setup)?;
        let mut puppets = Puppets::new(&[2, 3]);
        puppets.elect(&mut node)?;
        puppets.beats(&mut node, 3)?;
        let mut last = Ok(());
        for size in sizes {
            last = node.propose(&vec![b'x'; *size])?;
            node.settle()?;
        }
        expect::that(
            last.is_ok() == taken,
            format!(
                "the last proposal should have been {}",
                if taken { "taken" } else { "refused" }
            ),
            format!(
                "`max_uncommitted_size` is {limit}; proposals of {sizes:?} bytes were made one by one, and nobody answered"
            ),
            format!("the last was {}", if last.is_ok() { "taken" } else { "refused" }),
        )?;
    }
    Ok(())
}
