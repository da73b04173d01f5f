//! What can go wrong, sorted by who must act.

use proto::kvrpcpb::KeyError;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong in a transactional call.
///
/// A key error is definite (nothing was written) and no fault of anybody: another transaction was here. It
/// goes into the response, and the client's library decides. The rest is the storage's, see there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The state of a key stands in the way. Goes into the response's `error` or `errors`.
    #[error("key error: {0:?}")]
    Key(Box<KeyError>),

    /// The storage's: a wrong region, a failed disk, damaged data.
    #[error(transparent)]
    Storage(#[from] standalone::Error),
}

impl From<KeyError> for Error {
    fn from(error: KeyError) -> Self {
        Error::Key(Box::new(error))
    }
}

impl Error {
    /// Bytes in the database that this crate has not written.
    pub(crate) fn corrupt(what: impl Into<String>) -> Self {
        let file = "of this store".into();
        Error::Storage(standalone::Error::Corrupt { file, what: what.into() })
    }
}
