//! The state in which a node starts.

use proto::eraftpb::Entry;

use crate::mail;
use crate::protocol::Config;
use crate::world::disk::Image;

/// A configuration and a disk, described in a line:
/// `Setup::new(1, 3).term(2).vote(3).log(&[1, 1, 2]).commit(2)`.
#[derive(Debug, Clone)]
pub struct Setup {
    /// How the node is set up. A seed of 0 is replaced by one of the run.
    pub config: Config,
    /// What is on its disk.
    pub image: Image,
}

impl Setup {
    /// Node `id` of a group of `size` nodes 1, 2, ...; it was never started before.
    pub fn new(id: u64, size: u64) -> Self {
        Self::of(id, &(1..=size).collect::<Vec<_>>())
    }

    /// Node `id` in a group of these voters.
    pub fn of(id: u64, ids: &[u64]) -> Self {
        let config = Config { seed: 0, ..Config::new(id) };
        Setup { config, image: Image { conf: mail::voters(ids), ..Image::default() } }
    }

    /// It was in this term.
    #[must_use]
    pub fn term(mut self, term: u64) -> Self {
        self.image.hard.term = term;
        self
    }

    /// It had voted for this node in its term.
    #[must_use]
    pub fn vote(mut self, vote: u64) -> Self {
        self.image.hard.vote = vote;
        self
    }

    /// It knew that this index is committed, and had applied nothing.
    #[must_use]
    pub fn commit(mut self, commit: u64) -> Self {
        self.image.hard.commit = commit;
        self
    }

    /// It had applied everything up to this index, which is committed.
    #[must_use]
    pub fn applied(mut self, applied: u64) -> Self {
        self.config.applied = applied;
        self.image.hard.commit = self.image.hard.commit.max(applied);
        self
    }

    /// Its log has entries of these terms; it has seen at least the last of them.
    #[must_use]
    pub fn log(self, terms: &[u64]) -> Self {
        let first = self.image.truncated.0 + 1;
        self.entries(mail::entries(first, terms))
    }

    /// Its log has these entries.
    #[must_use]
    pub fn entries(mut self, entries: Vec<Entry>) -> Self {
        self.image.entries = entries;
        self.image.hard.term = self.image.hard.term.max(self.image.last().1);
        self
    }

    /// Its log begins after a snapshot at `index@term`, which is applied.
    #[must_use]
    pub fn snapshot(mut self, index: u64, term: u64, data: &[u8]) -> Self {
        self.image.truncated = (index, term);
        self.image.snapshot_data = data.to_vec();
        self.image.hard.term = self.image.hard.term.max(term);
        self.applied(index)
    }

    /// With these learners beside the voters.
    #[must_use]
    pub fn learners(mut self, ids: &[u64]) -> Self {
        self.image.conf.learners = ids.to_vec();
        self
    }

    /// In a joint configuration: these are the voters of its old half. It stays until it is left.
    #[must_use]
    pub fn outgoing(mut self, ids: &[u64]) -> Self {
        self.image.conf.voters_outgoing = ids.to_vec();
        self
    }

    /// With a change of the configuration.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Config)) -> Self {
        change(&mut self.config);
        self
    }
}
