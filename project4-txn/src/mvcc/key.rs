//! How a user's key and a timestamp become an engine key.
//!
//! ```text
//! "abc"                     61 62 63 00 00 00 00 00 fa
//! "abcdefgh"                61 62 63 64 65 66 67 68 ff   00 00 00 00 00 00 00 00 f7
//! version 7 of "abc"     x  61 62 63 00 00 00 00 00 fa   ff ff ff ff ff ff ff f8
//! ```
//!
//! Why not simply the key and then the timestamp? Because keys have different lengths. The versions of `a`
//! would lie between those of longer keys that begin with `a`, and a walk over them would meet strangers. The
//! *memcomparable* encoding makes every key a sequence of groups: eight bytes and a marker. The last group is
//! padded with zeros, and its marker says how many bytes of it are real: `f7` for none to `fe` for seven; `ff`
//! means that another group follows. Then
//!
//! - two encodings compare as the two keys do;
//! - no encoding is the beginning of another, so that what stands behind it never mixes two keys.
//!
//! The timestamp follows with every bit inverted, so that a larger one comes *first*: from a key and a
//! timestamp, one step forward is the newest version that a reader at that timestamp may see.
//!
//! `x` is the letter of transactional data (`standalone::keys` says why there is a letter). The encoding is
//! also the key's *position* in the map of regions: boundaries are encodings, and all versions of a key lie in
//! the region of the key.

use standalone::keys::KeyRange;

use crate::{Error, Result, TimeStamp};

/// The engine prefix of transactional data.
pub const TXN_PREFIX: u8 = b'x';

/// Bytes of a group, without its marker.
const GROUP: usize = 8;
/// The marker of a full group: another follows.
const FULL: u8 = 0xff;
/// Bytes of a timestamp behind a key.
const TS_LEN: usize = 8;

/// The memcomparable encoding of a key.
///
/// You will need `chunks`, or an index that goes up by eight. A key whose length is a multiple of eight (the
/// empty one, too) gets a last group that is all padding: without it, there would be no marker that says
/// where it ends.
pub fn encode(key: &[u8]) -> Vec<u8> {
    // BEGIN SOLUTION 4A.key
    let mut encoded = Vec::with_capacity((key.len() / GROUP + 1) * (GROUP + 1) + 1 + TS_LEN);
    let mut groups = key.chunks_exact(GROUP);
    for group in &mut groups {
        encoded.extend_from_slice(group);
        encoded.push(FULL);
    }
    let rest = groups.remainder();
    let padding = GROUP - rest.len();
    encoded.extend_from_slice(rest);
    encoded.resize(encoded.len() + padding, 0);
    encoded.push(FULL - u8::try_from(padding).expect("at most eight"));
    encoded
    // END SOLUTION
}

/// The key of an encoding, and what follows the encoding.
///
/// # Errors
/// Bytes that [`encode`] does not make: a marker below `f7`, padding that is not zero, a group cut short.
pub fn decode(mut bytes: &[u8]) -> Result<(Vec<u8>, &[u8])> {
    let mut key = Vec::new();
    loop {
        let Some((group, rest)) = bytes.split_at_checked(GROUP + 1) else {
            return Err(Error::corrupt("a transactional key is cut short"));
        };
        let Some(padding) = Some(usize::from(FULL - group[GROUP])).filter(|&n| n <= GROUP) else {
            return Err(Error::corrupt("a transactional key has a group without a marker"));
        };
        let (real, zeros) = group[..GROUP].split_at(GROUP - padding);
        if zeros.iter().any(|&byte| byte != 0) {
            return Err(Error::corrupt("a transactional key has padding that is not zero"));
        }
        key.extend_from_slice(real);
        bytes = rest;
        if group[GROUP] != FULL {
            return Ok((key, bytes));
        }
    }
}

/// The engine key of a key's lock: no timestamp, so that there can be one lock only.
pub fn lock_key(key: &[u8]) -> Vec<u8> {
    let mut engine_key = encode(key);
    engine_key.insert(0, TXN_PREFIX);
    engine_key
}

/// The engine key of a key's version: a `Write` at its `commit_ts`, a value at its `start_ts`.
///
/// You will need [`lock_key`] and `to_be_bytes`. Which of two timestamps must come first?
pub fn version_key(key: &[u8], ts: TimeStamp) -> Vec<u8> {
    // BEGIN SOLUTION 4A.key
    let mut engine_key = lock_key(key);
    // Inverted: the newest comes first.
    engine_key.extend_from_slice(&(!ts.get()).to_be_bytes());
    engine_key
    // END SOLUTION
}

/// The user's key of a lock's engine key.
///
/// # Errors
/// Bytes that [`lock_key`] does not make.
pub fn key_of_lock(engine_key: &[u8]) -> Result<Vec<u8>> {
    match decode(engine_key.get(1..).unwrap_or_default())? {
        (key, []) => Ok(key),
        _ => Err(Error::corrupt("something follows the key of a lock")),
    }
}

/// The user's key and the timestamp of a version's engine key.
///
/// # Errors
/// Bytes that [`version_key`] does not make.
pub fn key_of_version(engine_key: &[u8]) -> Result<(Vec<u8>, TimeStamp)> {
    let (key, rest) = decode(engine_key.get(1..).unwrap_or_default())?;
    let inverted: [u8; TS_LEN] =
        rest.try_into().map_err(|_| Error::corrupt("a version has no timestamp"))?;
    Ok((key, TimeStamp::new(!u64::from_be_bytes(inverted))))
}

/// The engine range of the user's range `[start, end)`, the same for locks and for versions; an empty `end`
/// means no bound.
pub fn range(start: &[u8], end: &[u8]) -> KeyRange {
    let end = if end.is_empty() { vec![TXN_PREFIX + 1] } else { lock_key(end) };
    KeyRange { start: lock_key(start), end }
}

/// The engine range of a key's versions from `ts` on, downwards in time.
pub fn versions(key: &[u8], ts: TimeStamp) -> KeyRange {
    KeyRange { start: version_key(key, ts), end: after_versions(key) }
}

/// Behind the oldest version that a key can have, and before everything of the next key.
pub fn after_versions(key: &[u8]) -> Vec<u8> {
    let mut end = version_key(key, TimeStamp::ZERO);
    end.push(0);
    end
}
