//! How a raw value is stored: its bytes, then the second at which it expires.
//!
//! Eight bytes at the end, big-endian, Unix seconds; 0 means never. TiKV's V1TTL format is the same. The
//! end of the value, not its start, so that dropping it is cutting a slice.

use crate::clock::UnixSeconds;
use crate::{Error, Result};

const EXPIRY_LEN: usize = size_of::<u64>();

/// The bytes to store. `expires_at` 0 means never.
pub fn encode(value: &[u8], expires_at: UnixSeconds) -> Vec<u8> {
    let mut stored = Vec::with_capacity(value.len() + EXPIRY_LEN);
    stored.extend_from_slice(value);
    stored.extend_from_slice(&expires_at.to_be_bytes());
    stored
}

/// The value and its expiry.
///
/// # Errors
/// [`Error::Corrupt`] when `stored` is too short to hold an expiry.
pub fn decode(stored: &[u8]) -> Result<(&[u8], UnixSeconds)> {
    let (value, expires_at) = stored.split_last_chunk().ok_or_else(|| Error::Corrupt {
        file: "that was open".into(),
        what: format!("a raw value of {} bytes has no room for its expiry", stored.len()),
    })?;
    Ok((value, u64::from_be_bytes(*expires_at)))
}

/// Whether a value that expires at `expires_at` is still there at `now`.
pub fn is_live(expires_at: UnixSeconds, now: UnixSeconds) -> bool {
    expires_at == 0 || now < expires_at
}
