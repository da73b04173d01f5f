//! A log that forgets its beginning (section 7).

use proto::eraftpb::MessageType;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::notation;
use crate::protocol::{Input, RaftNode};
use crate::world::{Lab, Node, Puppets, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("compact.rs":
        what_is_compacted_is_gone_and_the_rest_is_there,
        a_follower_just_before_the_cut_gets_entries,
    )
}

fn compact(node: &mut Node, index: u64) -> Outcome {
    let data = format!("state at {index}").into_bytes();
    let _ = node.order(Input::MakeSnapshot(index, data.clone().into()))?;
    let _ = node.order(Input::Compact(index))?;
    node.disk.compact(index, &data);
    node.settle().map(drop)
}

/// After the storage has dropped everything up to an index, the log says so: entries before are
/// "compacted", each one behind is there. A log that keeps its own copy in memory grows for ever.
///
/// Hint: what the storage holds durably need not be kept in memory.
fn what_is_compacted_is_gone_and_the_rest_is_there(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 1))?;
    node.campaign()?;
    for _ in 0..19 {
        node.offer(b"some data")?;
    }
    for cut in [5, 6, 12, 19] {
        compact(&mut node, cut)?;
        let why = format!("a log of 20 entries, all applied, was compacted up to {cut}");
        let before = node.log(cut, cut + 1)?;
        expect::that(
            before.is_err(),
            "an entry that was compacted is still there",
            &why,
            format!(
                "asked for {cut} it shows {}",
                before.map_or_else(|e| e, |e| notation::entries(&e))
            ),
        )?;
        for index in cut + 1..=20 {
            let seen = node.log(index, index + 1)?;
            let there = seen.as_ref().is_ok_and(|e| e.len() == 1 && e[0].index == index);
            expect::that(
                there,
                "an entry behind the cut is gone",
                &why,
                format!("asked for {index}: {seen:?}"),
            )?;
        }
        expect::status(&mut node, "at 20@1, all committed", &why, |s| {
            (s.last_index, s.last_term, s.committed, s.applied) == (20, 1, 20, 20)
        })?;
    }
    node.offer(b"one more")?;
    expect::commit(&mut node, 21, "a log was compacted up to 19, then a proposal was made")
}

/// A follower that has everything up to the cut needs the first entry behind it: for that the leader must
/// still know the *term* at the cut. It sends entries, not a snapshot.
///
/// Hint: `term(first_index - 1)` is known.
fn a_follower_just_before_the_cut_gets_entries(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let setup = Setup::new(1, 3).log(&[1, 1, 1, 2, 2]).commit(5);
    let mut puppets = Puppets::like(&setup, &[2, 3]);
    puppets.shorten(3, 3);
    let mut node = lab.node(setup)?;
    node.settle()?;
    compact(&mut node, 3)?;
    let mut sent = puppets.elect(&mut node)?;
    sent.extend(puppets.beats(&mut node, 4)?);
    let why = "n1's log was compacted up to 3@1, n3 has [1..3@1], and n1 was elected";
    expect::that(
        puppets.last(3) == 6,
        "a follower that stands at the cut is not served",
        why,
        format!("n3 ends at {}", puppets.last(3)),
    )?;
    expect::none(&sent, MessageType::MsgSnapshot, why)
}
