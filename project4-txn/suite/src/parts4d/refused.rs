//! Region errors: the client's beliefs are out of date.

use proto::errorpb::{EpochNotMatch, Error, NotLeader, RegionNotFound, StaleCommand};
use sim::failure::Outcome as Verdict;
use sim::harness::Test;

use super::desk::{Desk, SETTINGS, World, show, wrong};
use super::protocol::{Coordinator, Outcome};

pub(super) fn tests() -> Vec<Test<Coordinator>> {
    sim::tests!("refused.rs":
        a_hint_is_followed_at_once,
        without_a_hint_the_scheduler_is_asked_after_a_pause,
        a_region_that_was_cut_is_cut_here_too,
        pauses_double_and_tries_end,
    )
}

fn not_leader(desk: &Desk, region: u64, store: Option<u64>) -> Error {
    let peers = desk.region(region).0.peers;
    let leader = store.and_then(|store| peers.into_iter().find(|peer| peer.store_id == store));
    let not_leader = Some(NotLeader { region_id: region, leader });
    Error { message: "not the leader".into(), not_leader, ..Default::default() }
}

/// A store that refuses with `NotLeader` and names the leader is sure of it: the same request goes there at once, without a
/// pause and without a question to the scheduler.
fn a_hint_is_followed_at_once(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    desk.begin()?;
    desk.get(&[b"a"])?;
    let first = desk.one("one key is read")?;
    let asks = desk.region_asks;
    let hint = not_leader(&desk, 1, Some(2));
    desk.refuse(&first, hint)?;
    let second = desk.one("the store names another as the leader")?;
    if second.store != 2 || second.keys() != first.keys() || desk.region_asks != asks {
        return Err(wrong(
            "a hint is followed at once",
            "the same read, to store 2, and no question to the scheduler",
            format!("{}; {} questions", second.show(), desk.region_asks - asks),
        ));
    }
    Ok(())
}

/// A region error without a hint, or with one that names whom the client has asked already, says that what is known about the region is out of date. Whoever asks again at once finds the same:
/// an election takes a moment, and so does the scheduler's learning of it. So: a pause, then the scheduler, then the
/// store that it names.
fn without_a_hint_the_scheduler_is_asked_after_a_pause(run: &mut World) -> Verdict {
    let plain = |message: &str| Error { message: message.into(), ..Default::default() };
    let nobody = Some(NotLeader { region_id: 1, leader: None });
    let itself = not_leader(&Desk::new(run, SETTINGS)?, 1, Some(1));
    let errors = [
        Error { message: "not the leader, store 1 is, said by store 1".into(), ..itself },
        Error { not_leader: nobody, ..plain("not the leader") },
        Error { region_not_found: Some(RegionNotFound { region_id: 1 }), ..plain("not here") },
        Error { stale_command: Some(StaleCommand {}), ..plain("another term") },
    ];
    for (round, error) in (0..).zip(errors) {
        let mut desk = Desk::new(run, SETTINGS)?;
        desk.begin()?;
        desk.get(&[b"a"])?;
        let first = desk.one("one key is read")?;
        let (asks, before) = (desk.region_asks, desk.now());
        let store = 1 + (round + 1) % 3;
        desk.lead(1, store);
        desk.refuse(&first, error.clone())?;
        desk.silent("a store has refused, and named no leader")?;
        desk.wait("a store has refused, and named no leader")?;
        let again = desk.one("the pause is over")?;
        if again.store != store || desk.region_asks != asks + 1 || desk.now() == before {
            return Err(wrong(
                format!("after {:?}, the scheduler is asked", error.message),
                format!("a pause, one question to the scheduler, and the read to store {store}"),
                format!(
                    "{} after {} ms and {} questions",
                    again.show(),
                    desk.now() - before,
                    desk.region_asks - asks
                ),
            ));
        }
    }
    Ok(())
}

/// A region was cut while the request was on its way. Its keys are now in two regions, on two stores: they are grouped anew,
/// and none is lost.
fn a_region_that_was_cut_is_cut_here_too(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    desk.begin()?;
    desk.get(&[b"a", b"b", b"k"])?;
    let first = desk.one("three keys of one region are read")?;
    desk.split_first_region(b"b");
    let regions = vec![desk.region(4).0, desk.region(1).0];
    let error = Error {
        message: "another epoch".into(),
        epoch_not_match: Some(EpochNotMatch { current_regions: regions }),
        ..Default::default()
    };
    desk.refuse(&first, error)?;
    let mut sent = desk.sent();
    if sent.is_empty() {
        desk.wait("the region has another epoch")?;
        sent = desk.sent();
    }
    let keys: Vec<(u64, Vec<Vec<u8>>)> =
        sent.iter().map(|sent| (sent.store, sent.keys())).collect();
    let right = [(1, vec![b"b".to_vec(), b"k".to_vec()]), (3, vec![b"a".to_vec()])];
    if keys != right {
        return Err(wrong(
            "the region was cut at b; the left part is led by store 3",
            "KvBatchGet [b k] to store 1, KvBatchGet [a] to store 3",
            show(&sent),
        ));
    }
    Ok(())
}

/// A cluster without a leader is asked again and again, with pauses that become longer; and after the configured number of tries
/// the user is told, instead of waiting for ever.
fn pauses_double_and_tries_end(run: &mut World) -> Verdict {
    let mut desk = Desk::new(run, SETTINGS)?;
    desk.begin()?;
    desk.get(&[b"a"])?;
    let mut pauses = Vec::new();
    for _ in 0..SETTINGS.tries {
        let sent = desk.one("a region without a leader")?;
        let error = not_leader(&desk, 1, None);
        desk.refuse(&sent, error)?;
        if let Some(outcome) = desk.done() {
            if matches!(outcome, Outcome::Failed(_)) && pauses == [2, 4, 8, 16] {
                return Ok(());
            }
            return Err(wrong(
                "five tries, and the user is told",
                "pauses of 2, 4, 8 and 16 ms, and Failed",
                format!("pauses of {pauses:?} ms, and {outcome:?}"),
            ));
        }
        let before = desk.now();
        desk.wait("a region without a leader")?;
        pauses.push(desk.now() - before);
    }
    Err(wrong("five tries, and the user is told", "Failed", format!("pauses of {pauses:?} ms")))
}
