//! A notice board: twenty minutes of Rust before the course begins.
//!
//! People ask the board to pin a text, to read one, to take one down. Some time after, notices expire. That is all;
//! nothing is stored, nothing is sent, and no line of it is needed later. What *is* needed later is its shape, which
//! every part of the course has:
//!
//! - [`Board`] decides, and waits for nothing: a request comes in, the board changes itself, and what it has to say to
//!   others lies in its *outbox* until somebody comes for it.
//! - Time is a number that comes in ([`Board::tick`]), not a clock that is asked. So a test can let years pass.
//! - Everything is in a `BTreeMap`, which has one order. A `HashMap` has another one in each process.
//!
//! There are three holes, one for each thing that people stumble over who know other languages: an outbox (moving
//! out of what is only borrowed), a match over an enum (each case, with its parts), and a loop that wants to change
//! what it walks over (the borrow checker). The chapter is `docs/src/chapter-0.md`. Who writes Rust every day can
//! leave this out.

#![deny(missing_docs)]

mod board;

pub use board::{Board, ClientId, Letter, Reply, Request};
