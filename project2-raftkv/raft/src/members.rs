//! Who belongs to the group. This crate does not know how a configuration *changes*: that is project 3. It
//! offers what a change needs, and uses the same door itself, at the start and when a snapshot is restored.

use std::collections::BTreeSet;

use proto::eraftpb::ConfState;

use crate::error::{Error, Result};
use crate::inflights::Inflights;
use crate::progress::Progress;
use crate::raft::{Raft, Role};
use crate::storage::Storage;
use crate::wire::NOBODY;

impl<S: Storage> Raft<S> {
    /// *Seam.* From now on, these are the members. May be called at any time, in any role.
    ///
    /// Members that stay keep their [`Progress`]; a new one starts with nothing known of it. A leader looks
    /// again at what is committed and at the reads that wait, for the quorum may be a smaller one now, and
    /// sends to who is new. A leader that is not a member any more goes on serving the others, is not
    /// counted, and proposes nothing; whoever removed it makes it step down.
    ///
    /// # Errors
    /// [`Error::Config`] if the configuration makes no sense, or none that `Config::quorum` understands;
    /// nothing has changed then.
    pub fn set_conf(&mut self, conf: &ConfState) -> Result<()> {
        let quorum = (self.config.quorum)(conf)?;
        let members = members_of(conf);
        if members.contains(&NOBODY) {
            return Err(Error::Config("0 is the id of no node".into()));
        }
        if !quorum.voters().is_subset(&members) {
            return Err(Error::Config("a voter that is no member".into()));
        }
        self.progress.retain(|id, _| members.contains(id));
        let next_index = self.log.last_index() + 1;
        for &id in &members {
            let config = &self.config;
            self.progress.entry(id).or_insert_with(|| {
                let window = Inflights::new(config.max_inflight_msgs, config.max_inflight_bytes);
                let mut progress = Progress::new(next_index, window);
                // Else CheckQuorum would blame it for its silence before it was there.
                progress.recent_active = true;
                if id == config.id {
                    progress.match_index = self.log.persisted;
                }
                progress
            });
        }
        self.peers = members.into_iter().filter(|&id| id != self.id).collect();
        self.promotable = quorum.voters().contains(&self.id);
        self.quorum = quorum;
        self.conf = conf.clone();
        if self.role == Role::Leader {
            self.maybe_commit()?;
            self.confirm_reads();
        }
        Ok(())
    }
}

fn members_of(conf: &ConfState) -> BTreeSet<u64> {
    let ConfState { voters, learners, voters_outgoing, learners_next, .. } = conf;
    [voters, learners, voters_outgoing, learners_next].into_iter().flatten().copied().collect()
}
