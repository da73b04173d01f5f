//! How a world is made: its stores, its network, its clocks, its limits. Plain data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::protocol::{Micros, NodeId};

/// A millisecond in virtual time.
pub const MS: Micros = 1_000;
/// A second in virtual time.
pub const SECOND: Micros = 1_000_000;

/// What the network does to messages between stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weather {
    /// The shortest and the longest time that a message takes.
    pub latency: (Micros, Micros),
    /// Of 100 messages so many are lost.
    pub loss: u32,
    /// Of 100 messages so many come twice.
    pub duplicate: u32,
    /// Of 100 messages so many are overtaken: they take up to `late` longer, and others do not wait for them.
    pub reorder: u32,
    /// See `reorder`. Beyond an election timeout old messages meet new terms.
    pub late: Micros,
}

impl Weather {
    /// A local network on a good day: 0.2 to 2 ms, in order, nothing lost.
    pub const CALM: Weather =
        Weather { latency: (200, 2_000), loss: 0, duplicate: 0, reorder: 0, late: 0 };
    /// Messages are lost, come twice, and seconds late.
    pub const STORM: Weather =
        Weather { latency: (200, 20_000), loss: 10, duplicate: 5, reorder: 10, late: 3 * SECOND };
}

/// How long disks and worker threads take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// A sync inside an input: the store is busy meanwhile.
    pub sync: (Micros, Micros),
    /// From a job for the log writer to its end.
    pub log_write: (Micros, Micros),
    /// From a job for the apply system to its end.
    pub apply: (Micros, Micros),
    /// From a job for the region worker to its end.
    pub region: (Micros, Micros),
}

impl Default for Times {
    fn default() -> Self {
        Times {
            sync: (100, 1_000),
            log_write: (200, 2_000),
            apply: (50, 1_000),
            region: (1_000, 20_000),
        }
    }
}

/// How clients behave: the official clients' rules, in simple form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientRules {
    /// Between a client and a store, one way.
    pub latency: (Micros, Micros),
    /// Of 100 requests, and of 100 responses, so many are lost.
    pub loss: u32,
    /// How long a client waits for an answer before it is indefinite.
    pub timeout: Micros,
    /// The deadline that a request carries, after its arrival: before the client's patience is over, so that a store
    /// that gives up can say so.
    pub deadline: Micros,
    /// How often one operation is tried before the client gives up. A hint costs one, too.
    pub attempts: u32,
    /// The first pause after "not leader, and nobody knows who" or "try again"; it doubles up to the second.
    pub backoff: (Micros, Micros),
    /// Of 100 indefinite operations so many are tried again: as a new attempt, since the first may yet happen.
    pub retry_unknown: u32,
}

impl Default for ClientRules {
    fn default() -> Self {
        ClientRules {
            latency: (100, 1_000),
            loss: 0,
            timeout: 2 * SECOND,
            deadline: 1_500 * MS,
            attempts: 10,
            backoff: (2 * MS, 500 * MS),
            retry_unknown: 50,
        }
    }
}

/// What ends a run that would not end. All are counted, none is wall-clock time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Inputs of all stores together.
    pub inputs: u64,
    /// Messages that one store may send in one virtual second.
    pub messages_per_second: u64,
    /// A request is answered at the latest at the first tick after its deadline; this much later its store is
    /// told that it never answers. `None`: not watched.
    pub answer_grace: Option<Micros>,
    /// After the faults, everything must be well again within this.
    pub recovery: Micros,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            inputs: 3_000_000,
            messages_per_second: 50_000,
            answer_grace: Some(SECOND),
            recovery: 30 * SECOND,
        }
    }
}

/// A world before it begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setup {
    /// The stores, and how each is set up (opaque: between the suite and its subject).
    pub nodes: BTreeMap<NodeId, Vec<u8>>,
    /// To whom clients speak; empty: to every store. (Some of the nodes may be no stores.)
    pub doors: Vec<NodeId>,
    /// How often a store's timers are looked at.
    pub tick: Micros,
    /// The network, when no fault changes it.
    pub weather: Weather,
    /// Disks and threads.
    pub times: Times,
    /// Clients.
    pub clients: ClientRules,
    /// Each store's clock starts this far from zero at most.
    pub skew: Micros,
    /// Each store's clock is wrong by so many millionths at most, fast or slow.
    pub drift_ppm: u32,
    /// What ends a run.
    pub limits: Limits,
}

impl Setup {
    /// Stores 1 to `count`, in calm weather, with a tick of 50 ms; `config` makes each one's configuration.
    pub fn new(count: u64, config: impl Fn(NodeId) -> Vec<u8>) -> Self {
        Setup {
            nodes: (1..=count).map(|node| (node, config(node))).collect(),
            doors: Vec::new(),
            tick: 50 * MS,
            weather: Weather::CALM,
            times: Times::default(),
            clients: ClientRules::default(),
            skew: 1_000 * SECOND,
            drift_ppm: 200,
            limits: Limits::default(),
        }
    }

    /// The ids of the stores.
    pub fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    /// To whom clients speak.
    pub fn doors(&self) -> Vec<NodeId> {
        if self.doors.is_empty() { self.ids() } else { self.doors.clone() }
    }
}
