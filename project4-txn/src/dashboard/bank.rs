//! The bank of `tinykv bench`, run by a button.

use std::sync::{Arc, Mutex, PoisonError};

use crate::cli::bench::{Load, run};
use crate::cli::client::Client;

/// A bank that runs, or has run.
#[derive(Default)]
pub(super) struct Bank(Arc<Mutex<Ledger>>);

#[derive(Default)]
struct Ledger {
    load: Option<Arc<Load>>,
    says: Option<String>,
}

impl Bank {
    /// How it goes; none before the first time.
    pub(super) fn says(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).says.clone()
    }

    /// Begins. Returns at once.
    ///
    /// # Errors
    /// One runs.
    pub(super) fn run(&self, client: Arc<Client>, clients: u32) -> Result<String, String> {
        let mut ledger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ledger.load.is_some() {
            return Err("a bank runs already: end it first".into());
        }
        let load = Arc::new(Load::bank(client, clients));
        ledger.load = Some(load.clone());
        ledger.says = Some("opens its accounts".into());
        let shared = self.0.clone();
        tokio::spawn(async move {
            let say = |text: String| {
                shared.lock().unwrap_or_else(PoisonError::into_inner).says = Some(text);
            };
            let done = async {
                load.fill(|progress| say(format!("opens its accounts: {} so far", progress.done)))
                    .await?;
                run(&load, |progress| {
                    let (done, failed) = (progress.done, progress.failed);
                    let pace = progress.per_second;
                    say(format!("{done} transfers and sums, {pace:.0}/s, {failed} failed, every sum was right"));
                })
                .await
            };
            match done.await {
                Ok(outcome) => {
                    let done: u64 = outcome.times.iter().map(|(_, times)| times.len()).sum();
                    say(format!(
                        "ended: {done} transfers and sums, {} failed, every sum was right",
                        outcome.failed
                    ));
                }
                Err(error) => say(format!("ended: {error}")),
            }
            shared.lock().unwrap_or_else(PoisonError::into_inner).load = None;
        });
        Ok(format!("a bank with {clients} clients"))
    }

    /// Ends it, soon.
    ///
    /// # Errors
    /// None runs.
    pub(super) fn end(&self) -> Result<String, String> {
        let ledger = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let load = ledger.load.as_ref().ok_or("no bank runs")?;
        load.end();
        Ok("the bank ends".into())
    }
}
