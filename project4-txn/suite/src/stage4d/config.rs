//! How a test sets up a world.

use multiraft_suite::stage3b::config::StoreConfig;
use serde::{Deserialize, Serialize};
use sim::cluster::protocol::NodeId;
use sim::cluster::setup::{ClientRules, SECOND, Setup};

/// What a node is, and what it is told at its start.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum NodeConfig {
    /// A store: project 3's configuration, encoded.
    Store(Vec<u8>),
    /// A door.
    Door(DoorConfig),
}

/// How the coordinators of a door behave. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoorConfig {
    /// How long a lock lives.
    pub lock_ttl: u64,
    /// Whether one phase is tried.
    pub one_pc: bool,
    /// How often a piece of work is sent.
    pub tries: u32,
    /// After so long without an answer, none will come.
    pub patience: u64,
}

impl NodeConfig {
    fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).expect("a plain enum has bytes")
    }

    /// What a setup put there.
    ///
    /// # Errors
    /// When it was somebody else.
    pub fn decode(bytes: &[u8]) -> Result<Self, postcard::Error> {
        postcard::from_bytes(bytes)
    }
}

/// A world of stores and doors.
#[derive(Debug, Clone)]
pub struct Town {
    /// The stores.
    pub stores: StoreConfig,
    /// How many doors there are.
    pub doors: u64,
    /// What each is told.
    pub door: DoorConfig,
}

/// The first door's number.
pub const DOOR: NodeId = 11;

/// How long a transaction may take until its user gives it up: garbage is collected only behind it.
pub const PATIENCE: u64 = 4 * SECOND;

impl Town {
    /// Three stores with a replica each, and two doors.
    pub fn small() -> Self {
        let door = DoorConfig { lock_ttl: 1_000, one_pc: false, tries: 12, patience: 700 };
        Town { stores: StoreConfig::new(3, 3), doors: 2, door }
    }

    /// As a setup.
    pub fn setup(&self) -> Setup {
        let mut setup = self.stores.setup();
        for config in setup.nodes.values_mut() {
            *config = NodeConfig::Store(std::mem::take(config)).encode();
        }
        let door = NodeConfig::Door(self.door).encode();
        for id in (DOOR..).take(usize::try_from(self.doors).unwrap_or_default()) {
            setup.nodes.insert(id, door.clone());
            setup.doors.push(id);
        }
        // An element is appended once: nothing that may have happened is tried again.
        setup.clients = ClientRules {
            timeout: PATIENCE + SECOND,
            deadline: PATIENCE,
            retry_unknown: 0,
            ..ClientRules::default()
        };
        setup
    }
}
