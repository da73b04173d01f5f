//! How far the oracle can be. Every timestamp that an honest client shows was handed out before; what lies beyond was made up, and must
//! not move `max_ts` ([`Concurrency::raise_horizon`]).
//!
//! The scheduler is asked now and then, and time goes on in between, also when it cannot be reached.
//!
//! A little beyond is believed, since clocks differ, and a scheduler that was started again is up to three seconds ahead of its own. Whoever
//! makes up a time within that can lift `max_ts` by as much; what this store commits by itself then is seen when that time has
//! come. TiKV believes a minute, and its Go client allows a store to choose two seconds (`max_commit_ts`); the Rust client allows
//! anything.

use std::time::{Duration, Instant};

use multiraft::raftstore::server::Pd;
use standalone::server::Stop;

use super::leaderships::timestamp;
use crate::{Concurrency, TimeStamp};

/// How often it is asked.
const EVERY: Duration = Duration::from_secs(1);

/// How far clocks may differ until then, in milliseconds.
const SLACK_MS: u64 = 10_000;

/// Where the oracle was, and when.
#[derive(Clone, Copy)]
pub(super) struct Horizon {
    millis: u64,
    // The edge: time that passes here stands for time that passes there.
    since: Instant,
}

impl Horizon {
    /// The oracle is at this millisecond now.
    pub(super) fn at(millis: u64) -> Self {
        Horizon { millis, since: Instant::now() }
    }

    /// Nothing above this was handed out.
    pub(super) fn now(&self) -> TimeStamp {
        let passed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let millis = self.millis.saturating_add(passed).saturating_add(SLACK_MS);
        TimeStamp::new(millis.min(u64::MAX >> 18) << 18)
    }
}

/// Who knows where the oracle is.
pub(super) enum Oracle {
    /// The scheduler.
    Scheduler(Pd),
    /// This machine's clock; it was there already.
    Here(Horizon),
}

/// Moves the horizon, until the store ends.
pub(super) async fn follow(concurrency: Concurrency, oracle: Oracle, stop: Stop) {
    let mut beats = stop.beats(EVERY);
    let mut last = None;
    while beats.wait().await {
        match &oracle {
            Oracle::Scheduler(pd) => {
                if let Ok(ts) = timestamp(pd).await {
                    last = Some(Horizon::at(ts.physical()));
                }
            }
            Oracle::Here(horizon) => last = Some(*horizon),
        }
        if let Some(horizon) = last {
            concurrency.raise_horizon(horizon.now());
        }
    }
}
