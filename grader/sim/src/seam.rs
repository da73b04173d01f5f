//! The seam: a subject takes one input and returns its effects, and both are plain values.
//!
//! A suite names its vocabulary once, as a [`Protocol`]: an enum of inputs and an enum of effects.
//! Whoever can answer inputs with effects is a [`Subject`] and can be judged: the student's crates,
//! the reference, another language's implementation behind a pipe.
//!
//! On a pipe each value is a *frame*: four bytes of length (little-endian), then that many bytes of
//! postcard. A frame over [`MAX_FRAME`] is refused before it is read: a subject must not be able to
//! make the judge allocate what it likes.

use std::fmt::Debug;
use std::io::{self, Read, Write};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The vocabulary of one suite: what the world tells a node, and what a node does in return.
pub trait Protocol: 'static {
    /// What the world tells the subject. Serialises, so that it can cross a pipe.
    type Input: Serialize + DeserializeOwned + Debug + Send + 'static;
    /// What the subject did. Order matters: a disk sync before a reply is a promise kept.
    type Effect: Serialize + DeserializeOwned + Debug + Send + 'static;
}

/// A thing under test: takes an input, changes itself, returns what it did.
///
/// It has no other way out: no socket, no clock, no file. A subject is created anew for each start
/// of the node; dropping it is the end of that process's life, a crash included.
pub trait Subject<P: Protocol> {
    /// Handles one input to its end and returns the effects in the order in which they happened.
    fn handle(&mut self, input: P::Input) -> Vec<P::Effect>;
}

/// What a subject's process sends back for one input.
#[derive(Debug, Serialize, serde::Deserialize)]
pub enum Answer<E> {
    /// The effects, in order.
    Effects(Vec<E>),
    /// The subject's code panicked; it will answer nothing more.
    Panicked {
        /// The panic's message.
        message: String,
        /// `file:line` of the panic, or empty.
        at: String,
    },
}

/// The largest frame that either side accepts, in bytes (64 MiB).
pub const MAX_FRAME: usize = 64 << 20;

/// Writes one frame and flushes it.
///
/// # Errors
/// When the pipe is closed, or when `value` is larger than [`MAX_FRAME`].
pub fn write_frame<T: Serialize>(out: &mut impl Write, value: &T) -> io::Result<()> {
    let bytes = postcard::to_stdvec(value).map_err(io::Error::other)?;
    if bytes.len() > MAX_FRAME {
        return Err(io::Error::other(format!(
            "a frame of {} bytes is over the limit of {MAX_FRAME}",
            bytes.len()
        )));
    }
    let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(&bytes)?;
    out.flush()
}

/// Reads one frame; `None` at a clean end of file (between two frames).
///
/// # Errors
/// When the pipe breaks inside a frame, the frame is over [`MAX_FRAME`], or its bytes do not decode.
pub fn read_frame<T: DeserializeOwned>(input: &mut impl Read) -> io::Result<Option<T>> {
    let mut len = [0; 4];
    match input.read(&mut len)? {
        0 => return Ok(None),
        n => input.read_exact(&mut len[n..])?,
    }
    let len = u32::from_le_bytes(len) as usize;
    if len > MAX_FRAME {
        return Err(io::Error::other(format!(
            "a frame of {len} bytes is over the limit of {MAX_FRAME}"
        )));
    }
    let mut bytes = vec![0; len];
    input.read_exact(&mut bytes)?;
    postcard::from_bytes(&bytes).map(Some).map_err(io::Error::other)
}
