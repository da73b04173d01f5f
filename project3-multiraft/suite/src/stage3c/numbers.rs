//! Ids and timestamps: each given out once, whatever happens.

use proto::pdpb::{AllocIdRequest, TsoRequest};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use super::protocol::{Scheduler, Settings};
use super::world::{Pd, World};

pub(super) fn tests() -> Vec<Test<Scheduler>> {
    sim::tests!("numbers.rs":
        an_id_is_given_out_once,
        an_id_is_given_out_once_over_restarts,
        ids_do_not_cost_a_save_each,
        timestamps_grow,
        timestamps_grow_over_restarts_and_clock_steps,
        a_batch_of_timestamps_is_counted_from_its_end,
        a_timestamp_is_near_the_clock,
    )
}

fn alloc(pd: &mut Pd) -> Outcome<u64> {
    Ok(pd.done(AllocIdRequest::default())?.id)
}

/// Every id is larger than 0 and different from all before: two regions with one id would be one region.
///
/// Hint: 0 means "none".
fn an_id_is_given_out_once(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    distinct(&mut pd, 2500, 0)
}

/// The same over crashes: what was given out just before one is not given out after it.
///
/// An id whose answer has left must be below a bound that is on the disk. Saving the last id given out, after the answer,
/// is too late.
///
/// Hint: `Outbox::save` makes the answer wait; `Outbox::remember` does not. After a restart begin at the bound, not
/// below it.
fn an_id_is_given_out_once_over_restarts(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    distinct(&mut pd, 600, 5)
}

fn distinct(pd: &mut Pd, many: usize, crash_percent: u32) -> Outcome {
    let mut last = 0;
    let mut seen = std::collections::BTreeMap::new();
    for nth in 0..many {
        let id = alloc(pd)?;
        if id == 0 {
            return Err(Failure::broke(
                "an id is 0",
                format!("the answer to call {nth} of AllocID"),
                "0 means \"none\" in every message",
            ));
        }
        if let Some(earlier) = seen.insert(id, nth) {
            return Err(Failure::broke(
                "an id was given out twice",
                format!("call {earlier} of AllocID was answered with {id}"),
                format!("call {nth} was, too, after crashes of the scheduler or without"),
            ));
        }
        last = last.max(id);
        if pd.rng().chance(crash_percent) {
            pd.crash()?;
        }
    }
    Ok(())
}

/// A thousand ids cost a few saves, not a thousand: an fsync for each would make every split wait for the disk.
///
/// Hint: save a bound that is `ID_STEP` ahead.
fn ids_do_not_cost_a_save_each(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    let before = pd.saves;
    for _ in 0..1000 {
        alloc(&mut pd)?;
    }
    let saves = pd.saves - before;
    if saves <= 100 {
        return Ok(());
    }
    Err(Failure::broke(
        "ids cost too many saves",
        "1000 ids were asked for",
        format!("something was saved {saves} times"),
    ))
}

fn timestamp(pd: &mut Pd, count: u32) -> Outcome<(i64, i64)> {
    let answer = pd.call(TsoRequest { count, ..Default::default() })?;
    let at = answer.timestamp.unwrap_or_default();
    if answer.count != count || at.logical >= 1 << 18 || at.logical < i64::from(count) - 1 {
        return Err(Failure::broke(
            "an answer of timestamps that clients cannot use",
            format!("{count} timestamps were asked for"),
            format!("the answer is {answer:?}; logical is below 2^18 and counts the batch"),
        ));
    }
    Ok((at.physical, at.logical))
}

// Whether all of the new batch is above the last one's end.
fn above(last: (i64, i64), new: (i64, i64), count: u32, when: &str) -> Outcome {
    let first = (new.0, new.1 - i64::from(count) + 1);
    if first > last {
        return Ok(());
    }
    Err(Failure::broke(
        "a timestamp is not larger than one that was given out before",
        format!("given out: {}.{}", last.0, last.1),
        format!("then, {when}: {count} up to {}.{}", new.0, new.1),
    ))
}

/// Each timestamp is larger than all before it, also when the millisecond's 2^18 are used up.
///
/// Hint: `standalone::pd::Tso` knows what to give out; do what it says until it says `Send`.
fn timestamps_grow(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    let mut last = (0, 0);
    for _ in 0..200 {
        let count = u32::try_from(pd.rng().below(100_000)).unwrap_or(0) + 1;
        let new = timestamp(&mut pd, count)?;
        above(last, new, count, "at once")?;
        last = new;
        let wait = pd.rng().below(3) as u64 * 700;
        pd.now.wall += wait;
    }
    Ok(())
}

/// Timestamps grow over crashes, and while the machine's clock is set back by an hour.
///
/// The bound is on the disk before anything below it is given out, and a restart begins at it.
///
/// Hint: `Outbox::save` with `saved::TSO_BOUND`, before the answer; then `Tso::saved`.
fn timestamps_grow_over_restarts_and_clock_steps(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    let mut last = (0, 0);
    for _ in 0..120 {
        let mut when = "at once";
        match pd.rng().below(6) {
            0 => {
                pd.crash()?;
                when = "after a crash";
            }
            1 => {
                pd.now.wall -= 3_600_000;
                when = "with the clock set back by an hour";
            }
            2 => {
                pd.now.wall -= 3_600_000;
                pd.crash()?;
                when = "after a crash, with the clock set back by an hour";
            }
            3 => pd.now.wall += 2_500,
            _ => {}
        }
        let new = timestamp(&mut pd, 10)?;
        above(last, new, 10, when)?;
        last = new;
    }
    Ok(())
}

/// The answer to a request for `count` timestamps is the largest of them, and none of the others was given out before.
/// A count of 0, or of more than a millisecond has, ends the stream with an error: a client would wait for ever.
fn a_batch_of_timestamps_is_counted_from_its_end(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    let first = timestamp(&mut pd, 1)?;
    let second = timestamp(&mut pd, 1000)?;
    above(first, second, 1000, "at once")?;
    let third = timestamp(&mut pd, (1 << 18) - 1)?;
    above(second, third, (1 << 18) - 1, "at once")?;
    for count in [0, 1 << 18] {
        if let Ok(answer) = pd.try_call(TsoRequest { count, ..Default::default() })? {
            return Err(Failure::broke(
                "a request for timestamps was answered that cannot be",
                format!("asked for {count} at once"),
                format!("answered {answer:?}"),
            ));
        }
    }
    Ok(())
}

/// A timestamp's physical part is the wall clock's milliseconds, give or take a few seconds: locks live by it.
///
/// Hint: `now.wall`, not the uptime.
fn a_timestamp_is_near_the_clock(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    for _ in 0..20 {
        pd.now.wall += 10_000;
        let wall = pd.now.wall.cast_signed();
        let (physical, _) = timestamp(&mut pd, 5)?;
        if (wall..wall + 5_000).contains(&physical) {
            continue;
        }
        return Err(Failure::broke(
            "a timestamp is far from the clock",
            format!("the wall clock says {wall}"),
            format!("the timestamp's physical part is {physical}"),
        ));
    }
    Ok(())
}
