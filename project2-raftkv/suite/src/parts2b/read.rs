//! Reads that never go through the log.

use proto::eraftpb::MessageType;
use proto::errorpb::NotLeader;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::parts::bench::{Bench, Tester, must, same};
use crate::parts::letters::{header, heard, heartbeat, kind, of_kind, propose, read, region_error};
use crate::parts::protocol::{Header, Input, Parts, Told};

pub(super) fn tests() -> Vec<Test<Parts>> {
    sim::tests!("read.rs":
        a_read_is_granted_by_a_majority,
        reads_of_one_round_are_asked_for_together,
        a_read_waits_until_its_index_is_applied,
        a_deposed_leader_grants_nothing,
        a_leader_that_reaches_nobody_names_nobody,
        a_read_that_came_too_early_is_asked_for_again,
        a_later_answer_covers_earlier_questions,
        an_answer_does_not_cover_later_questions,
        a_read_of_the_tail_gets_the_tail,
    )
}

/// A leader that was cut off does not know that it was deposed. So it asks: when a majority has answered a heartbeat that it sent
/// after the read came, it led at that moment (thesis, 6.4).
///
/// Hint: `node.read_index` with the group's number, then wait for the `ReadState`.
fn a_read_is_granted_by_a_majority(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::leader(run, 3)?;
    bench.taken(read(1, header()))?.ok();
    let asked = bench.settle()?;
    must(
        asked.told.is_empty(),
        "a read was served on the leader's word alone",
        "nobody has answered since the read came",
        format!("{:?}", asked.told),
    )?;
    let contexts = Bench::contexts(&asked.sent);
    must(
        !contexts.is_empty(),
        "nobody was asked",
        "a read waits",
        "no heartbeat with a context was sent",
    )?;
    bench.done(heard(2, 6, &contexts[contexts.len() - 1]))?;
    let after = bench.settle()?;
    same(
        "a confirmed read was not granted",
        "peer 2 has answered: a majority of three",
        &vec![(1, Told::Granted(1, 6))],
        &after.told,
    )
}

/// A thousand reads in one round cost one question.
///
/// Hint: ask once for all that are fresh.
fn reads_of_one_round_are_asked_for_together(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::leader(run, 3)?;
    for number in 1..=20 {
        bench.taken(read(number, header()))?.ok();
    }
    let asked = bench.settle()?;
    let contexts = Bench::contexts(&asked.sent);
    let beats = of_kind(&asked.sent, MessageType::MsgHeartbeat).len();
    must(
        beats <= 4,
        "each read asks for itself",
        "twenty reads came in one round, and there are two others to ask",
        format!("{beats} heartbeats were sent"),
    )?;
    if let Some(context) = contexts.last() {
        bench.done(heard(3, 6, context))?;
    }
    let granted = bench.settle()?.told;
    same(
        "not all reads of a round were granted",
        "all twenty waited for one answer; granted are",
        &20,
        &granted.len(),
    )
}

/// The answer names an index: what was committed when the read came. The data must have come as far before anybody looks.
///
/// Hint: `reads.at`, by index; granted when `applied` has reached it.
fn a_read_waits_until_its_index_is_applied(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::leader(run, 3)?;
    bench.taken(propose(1, header(), "k", "v"))?.ok();
    bench.persist_all()?;
    bench.done(crate::parts::letters::accept(2, 6, 7))?;
    // Committed, and handed out; not applied.
    let handed = bench.persist_all()?;
    same("entry 7 was not handed out", "it is on a majority's disks", &1, &handed.apply.len())?;
    bench.taken(read(2, header()))?.ok();
    let asked = bench.persist_all()?;
    if let Some(context) = Bench::contexts(&asked.sent).last() {
        bench.done(heard(2, 6, context))?;
    }
    let confirmed = bench.persist_all()?;
    must(
        confirmed.told.is_empty(),
        "a read was granted before the data was there",
        "its index is 7, and 6 is applied",
        format!("{:?}", confirmed.told),
    )?;
    bench.apply(handed.apply)?;
    let after = bench.round(Input::Applied(vec![(7, 6)]))?;
    let granted = after.told.contains(&(2, Told::Granted(1, 6)));
    must(granted, "a read is stuck", "its index, 7, is applied now", format!("{:?}", after.told))
}

/// Another leads a later term: it may have committed writes that this peer knows nothing of. All its reads are over, and their clients
/// are told who leads.
///
/// Hint: `drop_reads_of_the_deposed` does it, if all that wait are in `reads`.
fn a_deposed_leader_grants_nothing(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::leader(run, 3)?;
    bench.taken(read(1, header()))?.ok();
    let asked = bench.settle()?;
    bench.done(heartbeat(2, 7, 6))?;
    if let Some(context) = Bench::contexts(&asked.sent).last() {
        bench.done(heard(3, 6, context))?;
    }
    let after = bench.settle()?;
    let said: Vec<_> = after
        .told
        .iter()
        .map(|(number, told)| match told {
            Told::Refused(refused) => (*number, kind(refused)),
            _ => (*number, "granted"),
        })
        .collect();
    same(
        "a deposed leader's read got another answer",
        "peer 2 leads term 7",
        &vec![(1, "NotLeader")],
        &said,
    )
}

/// A leader that was cut off asks, and nobody answers. When the read's time is over its client hears `NotLeader`, and no name: it follows a
/// name without a pause, and would come back at once, for as long as nobody answers.
///
/// Hint: `refuse_reads` does it, if all that wait are in `reads`.
fn a_leader_that_reaches_nobody_names_nobody(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::leader(run, 3)?;
    let deadline = 5_000_000;
    bench.taken(Input::Read { number: 1, header: header(), deadline })?.ok();
    let early = bench.settle()?;
    same("a read ended before its time", "nobody has answered yet", &Vec::new(), &early.told)?;
    let late = bench.round(Input::Tick(1, deadline))?;
    let said: Vec<_> = late
        .told
        .iter()
        .map(|(number, told)| match told {
            Told::Refused(refused) => (*number, kind(refused), region_error(refused).not_leader),
            _ => (*number, "granted", None),
        })
        .collect();
    let nobody = NotLeader { region_id: 1, leader: None };
    same(
        "a read whose time is over got another answer",
        "peer 1 leads, and nobody has answered it",
        &vec![(1, "NotLeader", Some(nobody))],
        &said,
    )
}

/// A new leader's commit index may be old: until the mark of its term is committed it cannot say what a read must see. Reads that come
/// before wait, and are asked for again.
///
/// Hint: if consensus refuses, leave them fresh.
fn a_read_that_came_too_early_is_asked_for_again(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::elected(run, 3)?;
    bench.taken(read(1, header()))?.ok();
    let early = bench.settle()?;
    must(
        early.told.is_empty(),
        "a read was granted too early",
        "the mark of term 6 is not committed",
        format!("{:?}", early.told),
    )?;
    let mut after = bench.acknowledged(3, 6)?;
    // The next round asks.
    let asked = bench.settle()?;
    after.sent.extend(asked.sent);
    let contexts = Bench::contexts(&after.sent);
    must(
        !contexts.is_empty(),
        "a read was forgotten",
        "the mark of the term is committed now",
        "nobody is asked for the read that waits",
    )?;
    bench.done(heard(2, 6, &contexts[contexts.len() - 1]))?;
    let granted = bench.settle()?.told;
    same(
        "a read was forgotten",
        "a majority has answered",
        &vec![(1, Told::Granted(1, 6))],
        &granted,
    )
}

/// Two groups of reads wait, and only the second question is answered. That answer came later: it is good for both.
///
/// Hint: everything up to the number that is answered.
fn a_later_answer_covers_earlier_questions(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::leader(run, 3)?;
    bench.taken(read(1, header()))?.ok();
    bench.settle()?;
    bench.taken(read(2, header()))?.ok();
    let asked = bench.settle()?;
    let contexts = Bench::contexts(&asked.sent);
    must(
        !contexts.is_empty(),
        "nobody was asked",
        "a second read waits",
        "no heartbeat with a context was sent",
    )?;
    bench.done(heard(2, 6, &contexts[contexts.len() - 1]))?;
    let granted = bench.settle()?.told;
    same(
        "reads are stuck",
        "the second question was answered",
        &vec![(1, Told::Granted(1, 6)), (2, Told::Granted(1, 6))],
        &granted,
    )
}

/// Two groups of reads wait, and only the first question is answered. Whoever answered it may have followed another leader since,
/// under which something was written that the second read must see.
///
/// Hint: each question has a number of its own.
fn an_answer_does_not_cover_later_questions(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::leader(run, 3)?;
    bench.taken(read(1, header()))?.ok();
    let first = Bench::contexts(&bench.settle()?.sent);
    bench.taken(read(2, header()))?.ok();
    bench.settle()?;
    must(!first.is_empty(), "nobody was asked", "a read waits", "no heartbeat with a context")?;
    bench.done(heard(2, 6, &first[first.len() - 1]))?;
    let granted = bench.settle()?.told;
    same(
        "a read was granted by an older answer",
        "of two questions the first was answered",
        &vec![(1, Told::Granted(1, 6))],
        &granted,
    )
}

/// The same peer answers for the empty tail behind its region. Whoever asked for the tail must not be given the region's keys.
///
/// Hint: part the granted reads by the region that their header names.
fn a_read_of_the_tail_gets_the_tail(run: &mut Tester<'_>) -> Outcome {
    let mut bench = Bench::leader(run, 1)?;
    let tail = Header { region: 2, peer: None, epoch: None, term: 0 };
    bench.taken(read(1, tail))?.ok();
    bench.taken(read(2, header()))?.ok();
    let mut granted = bench.settle()?.told;
    granted.sort_by_key(|(number, _)| *number);
    same(
        "reads were granted for other regions",
        "read 1 was for region 2, read 2 for region 1",
        &vec![(1, Told::Granted(2, 6)), (2, Told::Granted(1, 6))],
        &granted,
    )
}
