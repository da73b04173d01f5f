//! The board itself.

use std::collections::BTreeMap;

/// Who asks.
pub type ClientId = u64;

/// What somebody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Pin a text under a name. It replaces a notice that is there.
    Pin {
        /// The notice's name.
        name: String,
        /// What it says.
        text: String,
        /// The second at which it is over.
        until: u64,
    },
    /// Read the notice of this name.
    Read {
        /// The notice's name.
        name: String,
    },
    /// Take the notice of this name down.
    Remove {
        /// The notice's name.
        name: String,
    },
}

/// What the board says to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// To who has just joined.
    Welcome,
    /// The notice is there.
    Pinned {
        /// Whether it took the place of another one.
        replaced: bool,
    },
    /// What a notice says; `None` if there is none of that name.
    Text(Option<String>),
    /// What the notice said that was taken down; `None` if there was none.
    Removed(Option<String>),
    /// To who pinned it: the time of this notice was over.
    Expired {
        /// The notice's name.
        name: String,
    },
}

/// A reply with its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// To whom.
    pub to: ClientId,
    /// What.
    pub reply: Reply,
}

#[derive(Debug)]
struct Notice {
    text: String,
    until: u64,
    pinned_by: ClientId,
}

/// The board. What it says lies in its outbox until somebody takes it.
#[derive(Debug, Default)]
pub struct Board {
    notices: BTreeMap<String, Notice>,
    outbox: Vec<Letter>,
}

impl Board {
    /// Somebody joins, and is welcomed.
    pub fn join(&mut self, client: ClientId) {
        self.send(client, Reply::Welcome);
    }

    /// Puts a letter into the outbox, behind those that are there.
    fn send(&mut self, to: ClientId, reply: Reply) {
        self.outbox.push(Letter { to, reply });
    }

    /// Hands over all letters, in the order in which they were sent, and keeps none.
    ///
    /// You will need a way to take a value out of `self` and leave an empty one in its place: `self` is only borrowed
    /// here.
    pub fn take_outbox(&mut self) -> Vec<Letter> {
        // BEGIN SOLUTION 0.outbox
        std::mem::take(&mut self.outbox)
        // END SOLUTION
    }

    /// Does what was asked, and sends exactly one reply to who asked.
    ///
    /// - `Pin` puts the notice there, in the place of one that has the name, and answers [`Reply::Pinned`].
    /// - `Read` answers [`Reply::Text`], and changes nothing.
    /// - `Remove` takes the notice down and answers [`Reply::Removed`].
    ///
    /// You will need `match`, and `insert`, `get` and `remove` of a map. Time is not looked at here.
    pub fn step(&mut self, from: ClientId, request: Request) {
        // BEGIN SOLUTION 0.match
        let reply = match request {
            Request::Pin { name, text, until } => {
                let old = self.notices.insert(name, Notice { text, until, pinned_by: from });
                Reply::Pinned { replaced: old.is_some() }
            }
            Request::Read { name } => {
                Reply::Text(self.notices.get(&name).map(|notice| notice.text.clone()))
            }
            Request::Remove { name } => {
                Reply::Removed(self.notices.remove(&name).map(|notice| notice.text))
            }
        };
        self.send(from, reply);
        // END SOLUTION
    }

    /// It is this second now: takes down every notice whose time is over (`until` is not after `now`), and tells
    /// each one's author by [`Reply::Expired`], in the order of the names.
    ///
    /// You will need two steps: first find out which, then change the map. A loop over a map holds it borrowed.
    pub fn tick(&mut self, now: u64) {
        // BEGIN SOLUTION 0.borrow
        let over: Vec<(String, ClientId)> = self
            .notices
            .iter()
            .filter(|(_, notice)| notice.until <= now)
            .map(|(name, notice)| (name.clone(), notice.pinned_by))
            .collect();
        for (name, author) in over {
            self.notices.remove(&name);
            self.send(author, Reply::Expired { name });
        }
        // END SOLUTION
    }
}
