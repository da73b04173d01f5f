//! What can go wrong, sorted by who must act.
//!
//! | who acts | variants |
//! |---|---|
//! | the client, elsewhere | [`Error::Region`] |
//! | the client, with another request | [`Error::UnknownCf`], [`Error::KeyTooLarge`], [`Error::ValueTooLarge`], [`Error::AnswerTooLarge`], [`Error::Refused`] |
//! | the operator | [`Error::NotADirectory`], [`Error::Unusable`], [`Error::InUse`], [`Error::CannotListen`], [`Error::Corrupt`], [`Error::Io`] |
//!
//! Two questions matter to a caller more than the text: did it surely not happen
//! ([`Error::is_definite`]), and would every replica fail alike ([`Error::is_deterministic`])? The
//! error contract of the book (`docs/src/errors.md`) has a row for each case.

use std::path::PathBuf;

use proto::errorpb;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in project 1, and in whatever stands behind a [`Storage`](crate::Storage).
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The request went to the wrong place; the answer's `region_error` says where to go. The client
    /// refreshes its region cache and tries again.
    #[error("region error: {}", .0.message)]
    Region(Box<errorpb::Error>),

    /// There are three column families: `default` (also the empty name), `lock` and `write`.
    #[error("unknown column family {0:?}: there are \"default\", \"lock\" and \"write\"")]
    UnknownCf(String),

    /// The key is longer than we accept.
    #[error("the key has {len} bytes, the limit is {limit}: use a shorter key")]
    KeyTooLarge {
        /// Length of the key in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },

    /// The value is longer than we accept.
    #[error("the value has {len} bytes, the limit is {limit}: split it over several keys")]
    ValueTooLarge {
        /// Length of the value in bytes.
        len: usize,
        /// The limit in bytes.
        limit: usize,
    },

    /// The answer would not fit; nothing was returned.
    #[error("the answer is over {limit} bytes: ask for fewer keys at a time")]
    AnswerTooLarge {
        /// The limit in bytes.
        limit: usize,
    },

    /// The request is wrong in some other way, which the text names.
    #[error("{0}")]
    Refused(String),

    /// The data directory is something else, a file for instance.
    #[error("{} is not a directory: give --data a directory, it is created if missing", .0.display())]
    NotADirectory(PathBuf),

    /// The data directory, or the database in it, cannot be opened, created or written.
    #[error("{} cannot be used ({what}): make it writable, or give --data another directory", .path.display())]
    Unusable {
        /// The directory or the file.
        path: PathBuf,
        /// What the system said.
        what: String,
    },

    /// Another process has the database open.
    #[error("{} is in use by another process: stop it, or give --data another directory", .0.display())]
    InUse(PathBuf),

    /// The server cannot listen where it was told to.
    #[error(
        "cannot listen on {addr} ({why}): give {flag} an address of this machine with a free port, or port 0 to have one picked"
    )]
    CannotListen {
        /// The option that the address came from.
        flag: &'static str,
        /// The address, as it was given.
        addr: String,
        /// What the system said.
        why: String,
    },

    /// The database's bytes are not what redb wrote.
    #[error(
        "the database {file} is corrupt ({what}): restore it from a copy, or move it away and start empty"
    )]
    Corrupt {
        /// The file, or `in memory`.
        file: String,
        /// What redb found.
        what: String,
    },

    /// The disk failed, or something like it. A write that ends so may still have happened.
    #[error("input/output error while trying to {doing}: {what}")]
    Io {
        /// What we were doing.
        doing: &'static str,
        /// What the system said.
        what: String,
    },
}

impl Error {
    /// True when the operation surely did not happen, so that it may be tried again without a second
    /// thought. A failed commit is *indefinite*: the bytes may have reached the disk.
    pub fn is_definite(&self) -> bool {
        !matches!(self, Error::Io { .. } | Error::Corrupt { .. })
    }

    /// True when the same request fails in the same way on every replica: the request is at fault,
    /// not this machine.
    pub fn is_deterministic(&self) -> bool {
        matches!(
            self,
            Error::UnknownCf(_)
                | Error::KeyTooLarge { .. }
                | Error::ValueTooLarge { .. }
                | Error::AnswerTooLarge { .. }
                | Error::Refused(_)
        )
    }
}
