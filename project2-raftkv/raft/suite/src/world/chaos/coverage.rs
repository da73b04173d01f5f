//! What a run exercised.

/// Counts of what happened in one run, or in many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Terms that had a leader.
    pub elections: u64,
    /// Times that a node dropped entries which were not committed.
    pub truncations: u64,
    /// Snapshots that were installed.
    pub snapshots: u64,
    /// Logs that were cut at the front.
    pub compactions: u64,
    /// Nodes that were killed.
    pub crashes: u64,
    /// Of these, with a Ready on its way to the disk, which was lost.
    pub crashes_before_persist: u64,
    /// Of these, with a Ready on disk whose messages had not left.
    pub crashes_between_persist_and_send: u64,
    /// Times that links went dead.
    pub partitions: u64,
    /// Messages that were sent.
    pub messages: u64,
    /// Messages that were lost by the network.
    pub lost: u64,
    /// Messages that were delivered twice.
    pub duplicated: u64,
    /// Messages that were overtaken by a later one of the same link.
    pub reordered: u64,
    /// Proposals that a leader took.
    pub proposals: u64,
    /// Reads that were asked for.
    pub reads: u64,
    /// Reads that were released.
    pub reads_released: u64,
    /// Changes of members that were applied.
    pub changes: u64,
    /// Leaders that applied their own removal.
    pub leaders_removed: u64,
    /// Nodes that were told to campaign by their leader.
    pub transfers: u64,
}

impl Coverage {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: &Coverage) {
        for ((_, sum), (_, count)) in self.counts_mut().into_iter().zip(other.counts()) {
            *sum += count;
        }
    }

    /// Each count with its name.
    pub fn counts(&self) -> [(&'static str, u64); 18] {
        [
            ("elections", self.elections),
            ("truncations", self.truncations),
            ("snapshots", self.snapshots),
            ("compactions", self.compactions),
            ("crashes", self.crashes),
            ("crashes before persist", self.crashes_before_persist),
            ("crashes between persist and send", self.crashes_between_persist_and_send),
            ("partitions", self.partitions),
            ("messages", self.messages),
            ("lost", self.lost),
            ("duplicated", self.duplicated),
            ("reordered", self.reordered),
            ("proposals", self.proposals),
            ("reads", self.reads),
            ("reads released", self.reads_released),
            ("changes of members", self.changes),
            ("leaders removed", self.leaders_removed),
            ("transfers", self.transfers),
        ]
    }

    fn counts_mut(&mut self) -> [(&'static str, &mut u64); 18] {
        [
            ("elections", &mut self.elections),
            ("truncations", &mut self.truncations),
            ("snapshots", &mut self.snapshots),
            ("compactions", &mut self.compactions),
            ("crashes", &mut self.crashes),
            ("crashes before persist", &mut self.crashes_before_persist),
            ("crashes between persist and send", &mut self.crashes_between_persist_and_send),
            ("partitions", &mut self.partitions),
            ("messages", &mut self.messages),
            ("lost", &mut self.lost),
            ("duplicated", &mut self.duplicated),
            ("reordered", &mut self.reordered),
            ("proposals", &mut self.proposals),
            ("reads", &mut self.reads),
            ("reads released", &mut self.reads_released),
            ("changes of members", &mut self.changes),
            ("leaders removed", &mut self.leaders_removed),
            ("transfers", &mut self.transfers),
        ]
    }
}
