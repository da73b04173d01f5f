//! Waiting, by tokio's clock.

use std::time::Duration;

use crate::timer::{Sleep, Timer};

/// Asks tokio.
#[derive(Debug, Clone, Copy, Default)]
pub struct TokioTimer;

impl Timer for TokioTimer {
    fn sleep(&self, millis: u64) -> Sleep {
        Box::pin(tokio::time::sleep(Duration::from_millis(millis)))
    }
}
