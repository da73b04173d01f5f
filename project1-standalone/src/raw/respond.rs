//! Where in a response an error goes.

use proto::errorpb;
use proto::kvrpcpb::{
    KeyError, KvPair, RawBatchDeleteResponse, RawBatchGetResponse, RawBatchPutResponse,
    RawBatchScanResponse, RawCasResponse, RawDeleteRangeResponse, RawDeleteResponse,
    RawGetKeyTtlResponse, RawGetResponse, RawPutResponse, RawScanResponse,
};

use crate::{Error, Result};

/// A response with a place for errors.
pub trait Response: Default {
    /// Says that the request went to the wrong region.
    fn set_region_error(&mut self, error: errorpb::Error);
    /// Says, for people, what is wrong with the request.
    fn set_error(&mut self, text: String);
}

/// The response to send: errors that the client must be told become part of it.
///
/// # Errors
/// What is left is this machine's trouble (or an answer too large to be one), for a gRPC status.
pub fn respond<R: Response>(result: Result<R>) -> Result<R> {
    let mut response = R::default();
    match result {
        Err(Error::Region(error)) => response.set_region_error(*error),
        Err(Error::AnswerTooLarge { limit }) => return Err(Error::AnswerTooLarge { limit }),
        Err(error) if error.is_deterministic() => response.set_error(error.to_string()),
        other => return other,
    }
    Ok(response)
}

macro_rules! text_errors {
    ($($response:ty),+) => {
        $(impl Response for $response {
            fn set_region_error(&mut self, error: errorpb::Error) {
                self.region_error = Some(error);
            }

            fn set_error(&mut self, text: String) {
                self.error = text;
            }
        })+
    };
}

text_errors!(
    RawGetResponse,
    RawPutResponse,
    RawDeleteResponse,
    RawGetKeyTtlResponse,
    RawBatchPutResponse,
    RawBatchDeleteResponse,
    RawDeleteRangeResponse,
    RawCasResponse
);

// These three have no `error` field; as in TiKV, the text stands in a first and only pair.
macro_rules! pair_errors {
    ($($response:ty: $pairs:ident),+) => {
        $(impl Response for $response {
            fn set_region_error(&mut self, error: errorpb::Error) {
                self.region_error = Some(error);
            }

            fn set_error(&mut self, text: String) {
                let error = KeyError { abort: text, ..Default::default() };
                self.$pairs = vec![KvPair { error: Some(error), ..Default::default() }];
            }
        })+
    };
}

pair_errors!(RawBatchGetResponse: pairs, RawScanResponse: kvs, RawBatchScanResponse: kvs);
