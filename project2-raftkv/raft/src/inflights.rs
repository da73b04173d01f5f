//! The window: which appends are under way to one follower.
//!
//! Without a limit, a leader would fill the memory of the machine, or of the network between, for a follower
//! that is slow. What does not fit waits in the log, where it lies anyway.

use std::collections::VecDeque;

/// Appends that were sent and not answered, oldest first.
///
/// # Invariants
///
/// - `appends.len() <= window`
/// - the last indexes rise
#[derive(Debug, Clone)]
pub(crate) struct Inflights {
    /// The last index of each, and its bytes.
    appends: VecDeque<(u64, u64)>,
    bytes: u64,
    window: usize,
    max_bytes: u64,
}

impl Inflights {
    pub(crate) fn new(window: usize, max_bytes: u64) -> Self {
        Inflights { appends: VecDeque::new(), bytes: 0, window, max_bytes }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.appends.len() >= self.window
            || (self.bytes >= self.max_bytes && !self.appends.is_empty())
    }

    pub(crate) fn add(&mut self, last_index: u64, bytes: u64) {
        self.appends.push_back((last_index, bytes));
        self.bytes += bytes;
    }

    /// Everything up to `index` has arrived.
    pub(crate) fn free_to(&mut self, index: u64) {
        while self.appends.front().is_some_and(|&(last, _)| last <= index) {
            self.free_first();
        }
    }

    /// Makes room for one more, since the answer to the oldest may be lost.
    pub(crate) fn free_first(&mut self) {
        if let Some((_, bytes)) = self.appends.pop_front() {
            self.bytes -= bytes;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.appends.clear();
        self.bytes = 0;
    }

    pub(crate) fn len(&self) -> usize {
        self.appends.len()
    }

    pub(crate) fn window(&self) -> usize {
        self.window
    }
}
