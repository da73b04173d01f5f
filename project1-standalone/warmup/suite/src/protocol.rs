//! What a judge says to a notice board, and what the board says to others.

use serde::{Deserialize, Serialize};
use sim::seam::Protocol;

/// The vocabulary of stage 0.
pub struct NoticeBoard;

impl Protocol for NoticeBoard {
    type Input = Input;
    type Effect = Letter;
}

/// What the judge says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Input {
    /// `Board::join`
    Join(u64),
    /// `Board::step` with `Request::Pin`
    Pin {
        /// Who asks.
        from: u64,
        /// The notice's name.
        name: String,
        /// What it says.
        text: String,
        /// When it is over, in seconds.
        until: u64,
    },
    /// `Board::step` with `Request::Read`
    Read {
        /// Who asks.
        from: u64,
        /// The notice's name.
        name: String,
    },
    /// `Board::step` with `Request::Remove`
    Remove {
        /// Who asks.
        from: u64,
        /// The notice's name.
        name: String,
    },
    /// `Board::tick`, at this second
    Tick(u64),
    /// `Board::take_outbox`; only this one answers
    TakeOutbox,
}

/// A letter that left the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// To whom.
    pub to: u64,
    /// What it says.
    pub said: Said,
}

/// What a letter says: `warmup::Reply`, as a plain value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// To who has joined.
    Welcome,
    /// A notice is there.
    Pinned {
        /// It took the place of another one.
        replaced: bool,
    },
    /// What a notice says.
    Text(Option<String>),
    /// What the notice said that was taken down.
    Removed(Option<String>),
    /// A notice's time was over.
    Expired {
        /// Its name.
        name: String,
    },
}
