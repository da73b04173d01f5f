//! One switch that ends everything in order.

use std::sync::Arc;

use tokio::sync::watch;

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
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}
