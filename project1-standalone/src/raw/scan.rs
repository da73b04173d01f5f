//! Ranges of keys, read: scan, and several scans at once.

use proto::kvrpcpb::{
    KvPair, RawBatchScanRequest, RawBatchScanResponse, RawScanRequest, RawScanResponse,
};

use super::{MAX_ANSWER_LEN, RawApi, context, value};
use crate::engine::{CfName, Direction, parse_cf};
use crate::keys::{self, KeyRange};
use crate::storage::StorageReader;
use crate::{Error, Result, Storage};

/// What a scan asks for, with its bounds put in order.
struct Scan {
    cf: CfName,
    range: KeyRange,
    direction: Direction,
    limit: u32,
    key_only: bool,
}

/// The engine range of a scan's bounds. Forward, `start` is the lower bound and `end` the upper. In
/// reverse, `start` is the *upper* bound (exclusive; empty: none), and `end` the lower (inclusive).
fn bounds(start: &[u8], end: &[u8], reverse: bool) -> (KeyRange, Direction) {
    if reverse {
        (keys::raw_range(end, start), Direction::Reverse)
    } else {
        (keys::raw_range(start, end), Direction::Forward)
    }
}

impl<S: Storage> RawApi<S> {
    /// The pairs of a range in the order of travel, at most `limit`.
    ///
    /// # Errors
    /// An unknown column family: the `error` of a first and only pair, as this answer has no other
    /// place; a wrong region: `region_error`; an answer over 64 MiB: a gRPC status.
    pub async fn raw_scan(&self, request: RawScanRequest) -> Result<RawScanResponse> {
        let (range, direction) = bounds(&request.start_key, &request.end_key, request.reverse);
        let cf = parse_cf(&request.cf)?;
        let scan = Scan { cf, range, direction, limit: request.limit, key_only: request.key_only };
        let reader = self.storage.reader(&context(request.context.as_ref())).await?;
        Ok(RawScanResponse { kvs: self.scan(&reader, scan)?, ..Default::default() })
    }

    /// Several scans through one reader, their pairs one after the other, each with its own limit.
    ///
    /// # Errors
    /// As [`RawApi::raw_scan`].
    pub async fn raw_batch_scan(
        &self,
        request: RawBatchScanRequest,
    ) -> Result<RawBatchScanResponse> {
        let cf = parse_cf(&request.cf)?;
        let reader = self.storage.reader(&context(request.context.as_ref())).await?;
        let mut response = RawBatchScanResponse::default();
        for wanted in &request.ranges {
            let (range, direction) = bounds(&wanted.start_key, &wanted.end_key, request.reverse);
            let (limit, key_only) = (request.each_limit, request.key_only);
            response
                .kvs
                .extend(self.scan(&reader, Scan { cf, range, direction, limit, key_only })?);
            check_answer(response.kvs.iter().map(pair_len).sum())?;
        }
        Ok(response)
    }

    /// The live pairs of one scan.
    ///
    /// You will need `iter_cf`, `value::decode` and `value::is_live` (an expired value is absent, and
    /// does not count towards the limit), `keys::user_key` for the way back, and `check_answer` with
    /// the bytes so far (`pair_len`) after each pair. A limit of 0 asks for nothing.
    fn scan(&self, reader: &S::Reader, scan: Scan) -> Result<Vec<KvPair>> {
        // BEGIN SOLUTION 1.raw_scan
        let now = self.clock.now();
        let mut cursor = reader.iter_cf(scan.cf, scan.range, scan.direction)?;
        let (mut pairs, mut bytes) = (Vec::new(), 0);
        while pairs.len() < scan.limit as usize && cursor.advance()? {
            let (value, expires_at) = value::decode(cursor.value())?;
            if !value::is_live(expires_at, now) {
                continue;
            }
            let pair = KvPair {
                key: keys::user_key(cursor.key()).to_vec().into(),
                value: if scan.key_only { Vec::new() } else { value.to_vec() }.into(),
                ..Default::default()
            };
            bytes += pair_len(&pair);
            check_answer(bytes)?;
            pairs.push(pair);
        }
        Ok(pairs)
        // END SOLUTION
    }
}

/// What a pair adds to an answer, in bytes; the constant stands for its framing.
pub(super) fn pair_len(pair: &KvPair) -> usize {
    pair.key.len() + pair.value.len() + 16
}

/// Refuses an answer that has grown over the limit.
pub(super) fn check_answer(bytes: usize) -> Result<()> {
    if bytes > MAX_ANSWER_LEN {
        return Err(Error::AnswerTooLarge { limit: MAX_ANSWER_LEN });
    }
    Ok(())
}
