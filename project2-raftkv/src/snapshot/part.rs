//! One part of a snapshot, as bytes: some pairs of one column family.
//!
//! ```text
//!   number u32 | of u32 | crc32 u32 | body:  cf u8 | (key length u32 | key | value length u32 | value)*
//! ```
//!
//! The checksum is of the body. Bytes from the network are believed only after it agrees, and then still read with
//! care: a sender may be wrong, too.

use bytes::Bytes;
use standalone::engine::{CfName, DATA_CFS};

const HEADER: usize = 12;

/// A part that arrived whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its place, from 0.
    pub number: u32,
    /// How many parts there are.
    pub of: u32,
    /// The checksum of `body`.
    pub crc: u32,
    /// The column family's place in [`DATA_CFS`], then the pairs.
    pub body: Bytes,
}

impl Part {
    /// A part with this body.
    pub fn new(number: u32, of: u32, body: Vec<u8>) -> Self {
        Part { number, of, crc: crc32fast::hash(&body), body: body.into() }
    }

    /// The bytes to send.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.body.len());
        for number in [self.number, self.of, self.crc] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend_from_slice(&self.body);
        bytes
    }

    /// The part in these bytes; `None` if they are damaged.
    pub fn decode(bytes: &Bytes) -> Option<Part> {
        let word = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let (number, of, crc) = (word(0)?, word(4)?, word(8)?);
        let body = bytes.slice(HEADER..);
        (number < of && crc32fast::hash(&body) == crc).then_some(Part { number, of, crc, body })
    }
}

/// The column family of a part's body.
pub fn cf(body: &[u8]) -> Option<CfName> {
    DATA_CFS.get(usize::from(*body.first()?)).copied()
}

/// A body without pairs.
pub fn begin(cf: usize) -> Vec<u8> {
    vec![u8::try_from(cf).unwrap_or(u8::MAX)]
}

/// Adds a pair to a body.
pub fn push(body: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    for bytes in [key, value] {
        body.extend(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend_from_slice(bytes);
    }
}

/// The pairs of a body; `None` if it is malformed.
pub fn pairs(body: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut rest = body.get(1..)?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (key, after) = field(rest)?;
        let (value, after) = field(after)?;
        found.push((key, value));
        rest = after;
    }
    Some(found)
}

fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*len) as usize)
}
