//! One Ready, taken apart: what goes to the disk, what leaves at once, what must wait.

use proto::eraftpb::MessageType;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::parts::bench::{Bench, INIT, REGION, Tester, must, same};
use crate::parts::letters::{
    append, entries, header, heartbeat, of_kind, opened, propose, show, vote_request,
};
use crate::parts::protocol::{Input, Op, Parts};

pub(super) fn tests() -> Vec<Test<Parts>> {
    sim::tests!("ready.rs":
        what_a_ready_brings_goes_to_the_log,
        a_vote_waits_for_the_disk,
        an_acknowledgement_waits_for_the_disk,
        a_promise_leaves_when_it_is_durable,
        promises_leave_in_their_order,
        a_ready_without_a_write_waits_for_those_before_it,
        a_leader_sends_before_its_own_disk_has_it,
        what_is_replaced_is_not_durable,
        nothing_is_applied_before_it_is_durable,
        what_is_committed_is_handed_out_once,
    )
}

/// Entries and hard state of a Ready go into the round's one write of the log, in one batch, with a sync.
///
/// Hint: `storage_mut().append` with the round's log; `must_sync` and the Ready's number belong to the same write.
fn what_a_ready_brings_goes_to_the_log(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::peer(run, 3)?;
    bench.done(append(2, 6, INIT, entries(6..=7, 6), 5))?;
    let round = bench.round(Input::Ready)?;
    must(
        round.more,
        "there was a Ready, and it was not taken",
        "a leader has sent two entries",
        "handle_ready said false",
    )?;
    let appended = round
        .ops
        .iter()
        .any(|op| matches!(op, Op::Append(REGION, new) if *new == entries(6..=7, 6)));
    must(
        appended,
        "the entries of a Ready are not written",
        "6..=7 of term 6 came",
        format!("the round writes {:?}", round.ops),
    )?;
    let stated = round
        .ops
        .iter()
        .any(|op| matches!(op, Op::State(REGION, state) if state.term == 6 && state.last == 7));
    must(
        stated,
        "the state of a Ready is not written",
        "the term is 6 now, the last index 7",
        format!("the round writes {:?}", round.ops),
    )?;
    must(
        round.sync,
        "a write that must be synced is not",
        "term and log have changed",
        "sync is false",
    )?;
    must(
        round.ready.is_some(),
        "nobody will learn when the Ready is durable",
        "the write of the round makes it durable",
        "`round.ready` is None",
    )
}

/// A vote that leaves before it is on the disk can be given twice: the power goes, and the voter does not remember.
///
/// Hint: `persisted_messages` go into `unpersisted`, not into the round.
fn a_vote_waits_for_the_disk(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::peer(run, 3)?;
    bench.done(vote_request(2, 6, INIT))?;
    let round = bench.round(Input::Ready)?;
    let votes = of_kind(&round.sent, MessageType::MsgRequestVoteResponse);
    must(
        votes.is_empty(),
        "a vote left before it was durable",
        "peer 2 asked for a vote in term 6; nothing is on the disk yet",
        show(&round.sent),
    )?;
    let stated = round
        .ops
        .iter()
        .any(|op| matches!(op, Op::State(REGION, state) if (state.term, state.vote) == (6, 2)));
    must(
        stated && round.sync,
        "a vote is not written, with a sync",
        "peer 2 was voted for in term 6",
        format!("the round writes {:?}, sync: {}", round.ops, round.sync),
    )
}

/// "I have these entries" is what a leader counts. It waits until they are on the disk.
///
/// Hint: as for votes.
fn an_acknowledgement_waits_for_the_disk(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::peer(run, 3)?;
    bench.done(append(2, 6, INIT, entries(6..=8, 6), 5))?;
    let round = bench.round(Input::Ready)?;
    let answers = of_kind(&round.sent, MessageType::MsgAppendResponse);
    must(
        answers.is_empty(),
        "an acknowledgement left before its entries were durable",
        "peer 2 sent 6..=8; nothing is on the disk yet",
        show(&round.sent),
    )
}

/// When the write is durable, the answer leaves, in an envelope that says from whom and to whom.
///
/// Hint: `unpersisted`; send the messages of the Readys that are covered.
fn a_promise_leaves_when_it_is_durable(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::peer(run, 3)?;
    bench.done(vote_request(2, 6, INIT))?;
    let ready = bench.round(Input::Ready)?.ready.unwrap_or_default();
    bench.done(Input::CommitRound)?;
    let sent = bench.round(Input::Persisted(ready))?.sent;
    let votes = of_kind(&sent, MessageType::MsgRequestVoteResponse);
    must(
        votes.len() == 1 && votes.iter().all(|vote| !vote.reject),
        "a vote does not leave",
        "it is durable, and peer 2 waits for it",
        show(&sent),
    )?;
    let addressed = opened(&sent).iter().all(|envelope| {
        let store = |peer: &Option<proto::metapb::Peer>| peer.map(|peer| (peer.id, peer.store_id));
        envelope.region_id == 1
            && store(&envelope.from_peer) == Some((1, 1))
            && store(&envelope.to_peer) == Some((2, 2))
    });
    must(
        addressed,
        "an envelope has no proper address",
        "region 1, from peer 1 to peer 2",
        format!("{:?}", opened(&sent)),
    )
}

/// Two writes are on their way. The first is durable: its answer leaves, and no other.
///
/// Hint: from the front of `unpersisted`, as far as the number goes.
fn promises_leave_in_their_order(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::peer(run, 3)?;
    let mut readys = Vec::new();
    for index in 6..=8u64 {
        let base = if index == 6 { INIT } else { (index - 1, 6) };
        bench.done(append(2, 6, base, entries(index..=index, 6), 5))?;
        readys.extend(bench.round(Input::Ready)?.ready);
    }
    must(
        readys.len() == 3,
        "three Readys were not three",
        "each brought an entry",
        format!("their numbers: {readys:?}"),
    )?;
    bench.done(Input::CommitRound)?;
    let indexes = |sent: &[serde_bytes::ByteBuf]| -> Vec<u64> {
        of_kind(sent, MessageType::MsgAppendResponse).iter().map(|message| message.index).collect()
    };
    let first = bench.round(Input::Persisted(readys[0]))?;
    same(
        "other answers left than those that are covered",
        "entry 6 is durable; acknowledged are",
        &vec![6],
        &indexes(&first.sent),
    )?;
    same("the peer does not know how far its log is durable", "it is up to", &6, &first.persisted)?;
    // One report may cover several.
    let rest = bench.round(Input::Persisted(readys[2]))?;
    same(
        "other answers left than those that are covered",
        "entries 7 and 8 are durable; acknowledged are",
        &vec![7, 8],
        &indexes(&rest.sent),
    )?;
    same("the peer does not know how far its log is durable", "it is up to", &8, &rest.persisted)
}

/// A Ready that writes nothing is durable when those before it are: what it says may rest on them. Here the answer to a heartbeat
/// waits for a new term.
///
/// Hint: one that needs no sync and is alone is durable at once; one behind others goes with the last of them.
fn a_ready_without_a_write_waits_for_those_before_it(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::peer(run, 3)?;
    bench.done(append(2, 6, INIT, entries(6..=6, 6), 5))?;
    let ready = bench.round(Input::Ready)?.ready.unwrap_or_default();
    bench.done(heartbeat(2, 6, 5))?;
    let kind = MessageType::MsgHeartbeatResponse;
    let early = bench.round(Input::Ready)?.sent;
    must(
        of_kind(&early, kind).is_empty(),
        "an answer left under a term that is not durable",
        "the term rose to 6 in the Ready before, which is not durable",
        show(&early),
    )?;
    bench.done(Input::CommitRound)?;
    let sent = bench.round(Input::Persisted(ready))?.sent;
    same(
        "an answer is stuck",
        "all before it is durable; answers to heartbeats:",
        &1,
        &of_kind(&sent, kind).len(),
    )?;
    bench.done(heartbeat(2, 6, 5))?;
    let sent = bench.round(Input::Ready)?.sent;
    same(
        "an answer is stuck that waits for nothing",
        "nothing is on its way to the disk; answers to heartbeats:",
        &1,
        &of_kind(&sent, kind).len(),
    )
}

/// A leader's appends leave at once: its followers' disks work while its own does (thesis, 10.2.1).
///
/// Hint: `messages` go into the round.
fn a_leader_sends_before_its_own_disk_has_it(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::elected(run, 3)?;
    bench.settle()?;
    bench.acknowledged(3, 6)?;
    bench.taken(propose(1, header(), "k", "v"))?.ok();
    let round = bench.round(Input::Ready)?;
    let carries = |message: &proto::eraftpb::Message| message.entries.iter().any(|e| e.index == 7);
    let appends = of_kind(&round.sent, MessageType::MsgAppend);
    same(
        "a leader waits for its own disk before it sends",
        "entry 7 was proposed; appends with it that leave at once:",
        &2,
        &appends.iter().filter(|m| carries(m)).count(),
    )?;
    must(
        round.ready.is_some() && round.persisted < 7,
        "a leader counts what its disk does not have",
        "entry 7 was handed out a moment ago",
        format!("the peer takes the log for durable up to {}", round.persisted),
    )
}

/// Entry 6 of term 6 becomes durable while its replacement, of term 7, is still on its way. Then entry 6 is *not* durable: what
/// the log's file has there is gone in a moment.
///
/// Hint: the log is durable up to before the first entry of any Ready that is still on its way.
fn what_is_replaced_is_not_durable(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::peer(run, 3)?;
    bench.done(append(2, 6, INIT, entries(6..=8, 6), 5))?;
    let first = bench.round(Input::Ready)?.ready.unwrap_or_default();
    bench.done(append(3, 7, INIT, entries(6..=6, 7), 5))?;
    let second = bench.round(Input::Ready)?.ready.unwrap_or_default();
    bench.done(Input::CommitRound)?;
    let round = bench.round(Input::Persisted(first))?;
    same(
        "the peer takes a replaced entry for durable",
        "6..=8 of term 6 arrived on the disk, 6 of term 7 has not; durable is",
        &5,
        &round.persisted,
    )?;
    let round = bench.round(Input::Persisted(second))?;
    same(
        "the peer does not know how far its log is durable",
        "both writes have arrived; durable is",
        &6,
        &round.persisted,
    )
}

/// R1: what is applied must be found in this store's log after a crash. A group of one commits an entry when its own disk has it,
/// and not before.
///
/// Hint: committed entries come out of a Ready only after `on_persist_ready`; call it in `on_persisted`, and nowhere else.
fn nothing_is_applied_before_it_is_durable(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::elected(run, 1)?;
    let mut ready = None;
    loop {
        let round = bench.round(Input::Ready)?;
        must(
            round.apply.is_empty() && round.commit < 6,
            "an entry was applied before it was durable",
            "entry 6 is on its way to the disk, and there is nobody else",
            format!("commit index {}, to be applied: {:?}", round.commit, round.apply),
        )?;
        ready = ready.max(round.ready);
        if !round.more {
            break;
        }
    }
    bench.done(Input::CommitRound)?;
    bench.round(Input::Persisted(ready.unwrap_or_default()))?;
    let apply = bench.persist_all()?.apply;
    let places: Vec<(u64, u64)> = apply.iter().map(|entry| (entry.index, entry.term)).collect();
    same(
        "an entry that is durable is not applied",
        "entry 6 is on the only disk; to be applied is",
        &vec![(6, 6)],
        &places,
    )
}

/// Committed entries are handed out in order, without a gap, each once.
///
/// Hint: all of `committed_entries`, in one `ApplyTask`.
fn what_is_committed_is_handed_out_once(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::peer(run, 3)?;
    let mut seen = Vec::new();
    for (index, commit) in [(6u64, 5u64), (7, 6), (8, 6), (9, 9)] {
        let base = if index == 6 { INIT } else { (index - 1, 6) };
        bench.done(append(2, 6, base, entries(index..=index, 6), commit))?;
        let settled = bench.persist_all()?;
        seen.extend(settled.apply.iter().map(|entry| entry.index));
        same(
            "other entries were handed out than are committed",
            format!("the commit index is {commit}; handed out:"),
            &(6..=commit).collect::<Vec<_>>(),
            &seen,
        )?;
    }
    Ok(())
}
