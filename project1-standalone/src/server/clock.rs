//! The machine's clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::clock::{Clock, UnixSeconds};

/// A [`Clock`] that asks the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// Milliseconds since 1970, for timestamps.
    pub fn unix_millis(self) -> u64 {
        u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> UnixSeconds {
        since_1970().as_secs()
    }
}

// A clock that is set to before 1970 is broken; 0 is the nearest thing to what it says.
fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
