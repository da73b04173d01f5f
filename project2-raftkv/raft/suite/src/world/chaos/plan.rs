//! How bad a run is.

use crate::protocol::Config;

/// What the world of a run is like. Percentages are of 100; times in ticks unless another unit is named.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools)] // each is a choice of its own
pub struct Plan {
    /// How many nodes.
    pub nodes: u64,
    /// How long the bad time lasts.
    pub ticks: u64,
    /// How many messages are lost, in percent.
    pub loss: u32,
    /// How many arrive twice, in percent.
    pub duplicate: u32,
    /// How long a message takes at most, in hundredths of a tick.
    pub delay: u64,
    /// How many messages take much longer than that (up to three election timeouts), in percent.
    pub straggle: u32,
    /// How long a disk or a state machine takes at most, in hundredths of a tick.
    pub disk: u64,
    /// How often a driver is late to take a Ready, in percent.
    pub lazy: u32,
    /// How far apart faults (crashes, partitions) are. 0: there are none.
    pub faults: u64,
    /// Of the faults, how many are crashes, in percent; the others are partitions.
    pub crashes: u32,
    /// How often a node dies just after a Ready is durable, before its messages leave, in percent.
    pub crash_at_persist: u32,
    /// How far apart proposals are. 0: there are none.
    pub proposals: u64,
    /// How far apart reads are. 0: there are none.
    pub reads: u64,
    /// Whether logs are compacted.
    pub compact: bool,
    /// With `compact`: so many entries are kept at least.
    pub keep: u64,
    /// How far apart wishes for other members are. 0: there are none.
    pub changes: u64,
    /// Members change by several at once, through joint configurations (stage 3X), and not one at a time.
    pub joint: bool,
    /// How far apart wishes for another leader are. 0: there are none.
    pub transfers: u64,
    /// PreVote.
    pub pre_vote: bool,
    /// CheckQuorum.
    pub check_quorum: bool,
}

impl Plan {
    /// A group in peace: small delays, nothing else.
    pub fn calm(nodes: u64, ticks: u64) -> Self {
        Plan {
            nodes,
            ticks,
            loss: 0,
            duplicate: 0,
            delay: 30,
            straggle: 0,
            disk: 10,
            lazy: 0,
            faults: 0,
            crashes: 0,
            crash_at_persist: 0,
            proposals: 4,
            reads: 0,
            compact: false,
            keep: 4,
            changes: 0,
            joint: false,
            transfers: 0,
            pre_vote: false,
            check_quorum: false,
        }
    }

    /// A network that loses, doubles and delays.
    pub fn lossy(nodes: u64, ticks: u64) -> Self {
        Plan { loss: 10, duplicate: 10, delay: 150, straggle: 5, ..Self::calm(nodes, ticks) }
    }

    /// The same, with dead links and dying nodes.
    pub fn stormy(nodes: u64, ticks: u64) -> Self {
        Plan {
            faults: 25,
            crashes: 50,
            crash_at_persist: 1,
            lazy: 10,
            disk: 60,
            ..Self::lossy(nodes, ticks)
        }
    }

    pub(super) fn configure(&self, config: &mut Config) {
        config.heartbeat_tick = 2;
        config.pre_vote = self.pre_vote;
        config.check_quorum = self.check_quorum;
        config.max_inflight_msgs = 8;
    }
}
