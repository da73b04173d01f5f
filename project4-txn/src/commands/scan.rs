//! Reading a range at a timestamp.

use proto::kvrpcpb::{KvPair, ScanRequest, ScanResponse};
use standalone::engine::Direction;
use standalone::raw::MAX_ANSWER_LEN;

use super::errors;
use crate::Result;
use crate::mvcc::{Found, MvccReader, Reading, Scanner, key};

/// The keys of a range that have a value, at most `limit` of them, in order. A locked key is a pair with an
/// error, and counts.
///
/// In reverse, `start_key` is the *upper* bound (excluded; empty: none), and `end_key` the lower (included).
///
/// # Errors
/// Those of the storage, and an answer over 64 MiB.
pub fn scan(reader: MvccReader, request: &ScanRequest, reading: Reading) -> Result<ScanResponse> {
    let (range, direction) = if request.reverse {
        (key::range(&request.end_key, &request.start_key), Direction::Reverse)
    } else {
        (key::range(&request.start_key, &request.end_key), Direction::Forward)
    };
    let mut scanner = Scanner::new(reader, reading, range, direction)?;
    let (mut response, mut bytes, mut met) = (ScanResponse::default(), 0, 0);
    while response.pairs.len() < request.limit as usize {
        let Some((key, found)) = scanner.step()? else { break };
        met += 1;
        if request.sample_step > 0 && (met - 1) % request.sample_step != 0 {
            continue;
        }
        let mut pair = KvPair { key: key.clone().into(), ..Default::default() };
        match found {
            Found::Locked(lock) => pair.error = Some(errors::locked(&key, &lock)),
            Found::Value(_) if request.key_only => {}
            Found::Value(write) => pair.value = scanner.load_value(&key, write)?.into(),
        }
        bytes += pair.key.len() + pair.value.len();
        if bytes > MAX_ANSWER_LEN {
            return Err(standalone::Error::AnswerTooLarge { limit: MAX_ANSWER_LEN }.into());
        }
        response.pairs.push(pair);
    }
    Ok(response)
}
