//! Where in a response an error goes.

use proto::errorpb;
use proto::kvrpcpb::{
    BatchGetResponse, BatchRollbackResponse, CheckSecondaryLocksResponse, CheckTxnStatusResponse,
    CleanupResponse, CommitResponse, DeleteRangeResponse, GcResponse, GetResponse, KeyError,
    MvccGetByKeyResponse, PessimisticLockResponse, PessimisticRollbackResponse, PrewriteResponse,
    ResolveLockResponse, ScanLockResponse, ScanResponse, TxnHeartBeatResponse,
    UnsafeDestroyRangeResponse,
};

use crate::{Error, Result};

/// A response with a place for errors.
pub trait Response: Default {
    /// Says that the request went to the wrong region.
    fn set_region_error(&mut self, error: errorpb::Error);
    /// Says what state of a key stands in the way.
    fn set_key_error(&mut self, error: KeyError);
}

/// The response to send: errors that the client must be told become part of it. A bad request is an `abort`, with
/// its text: a gRPC status would be tried ten times.
///
/// # Errors
/// What is left is this machine's trouble (or an answer too large to be one), for a gRPC status.
pub fn respond<R: Response>(result: Result<R>) -> standalone::Result<R> {
    let mut response = R::default();
    match result {
        Ok(response) => return Ok(response),
        Err(Error::Key(error)) => response.set_key_error(*error),
        Err(Error::Storage(standalone::Error::Region(error))) => response.set_region_error(*error),
        Err(Error::Storage(error @ standalone::Error::AnswerTooLarge { .. })) => return Err(error),
        Err(Error::Storage(error)) if error.is_deterministic() => {
            response.set_key_error(KeyError { abort: error.to_string(), ..Default::default() });
        }
        Err(Error::Storage(error)) => return Err(error),
    }
    Ok(response)
}

macro_rules! responses {
    ($($response:ty: $this:ident, $error:ident => $set:expr;)+) => {
        $(impl Response for $response {
            fn set_region_error(&mut self, error: errorpb::Error) {
                self.region_error = Some(error);
            }

            fn set_key_error(&mut $this, $error: KeyError) {
                $set;
            }
        })+
    };
}

responses! {
    GetResponse: self, error => self.error = Some(error);
    BatchGetResponse: self, error => self.error = Some(error);
    ScanResponse: self, error => self.error = Some(error);
    PrewriteResponse: self, error => self.errors.push(error);
    CommitResponse: self, error => self.error = Some(error);
    BatchRollbackResponse: self, error => self.error = Some(error);
    CleanupResponse: self, error => self.error = Some(error);
    PessimisticLockResponse: self, error => self.errors.push(error);
    PessimisticRollbackResponse: self, error => self.errors.push(error);
    TxnHeartBeatResponse: self, error => self.error = Some(error);
    CheckTxnStatusResponse: self, error => self.error = Some(error);
    CheckSecondaryLocksResponse: self, error => self.error = Some(error);
    ResolveLockResponse: self, error => self.error = Some(error);
    ScanLockResponse: self, error => self.error = Some(error);
    GcResponse: self, error => self.error = Some(error);
    DeleteRangeResponse: self, error => self.error = error.abort;
    UnsafeDestroyRangeResponse: self, error => self.error = error.abort;
    MvccGetByKeyResponse: self, error => self.error = error.abort;
}
