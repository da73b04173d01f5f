//! One switch that ends everything in order.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// Says when to stop. Clones are the same switch; it is thrown once and stays thrown.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<bool>>);

impl Stop {
    /// A switch that nobody has thrown.
    pub fn new() -> Self {
        Stop(Arc::new(watch::Sender::new(false)))
    }

    /// Throws the switch.
    pub fn now(&self) {
        self.0.send_replace(true);
    }

    /// Completes when the switch is thrown.
    pub async fn thrown(self) {
        // An error would mean that all senders are gone, and we hold one.
        let _ = self.0.subscribe().wait_for(|&stopped| stopped).await;
    }

    /// For what is done again and again until the switch is thrown: at once, and then once each `every`. Who is late delays
    /// what comes after, so that nothing has to be caught up with.
    pub fn beats(self, every: Duration) -> Beats {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Beats { ticks, stop: self }
    }
}

/// When to do it again; see [`Stop::beats`].
#[derive(Debug)]
pub struct Beats {
    ticks: Interval,
    stop: Stop,
}

impl Beats {
    /// Waits for the next beat; false as soon as the switch is thrown.
    pub async fn wait(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.stop.clone().thrown() => false,
            _ = self.ticks.tick() => true,
        }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}
