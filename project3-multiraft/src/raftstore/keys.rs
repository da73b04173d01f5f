//! Where a region may be cut.
//!
//! Official raw clients route by the bare key, transactional ones by its memcomparable encoding, and both read one map.
//! That works if every boundary is itself an encoding; the price is that raw keys which share their first eight bytes
//! cannot be cut apart.

use standalone::keys::RAW_PREFIX;

const GROUP: usize = 8;

/// The memcomparable encoding: groups of eight bytes, each followed by `ff`; the last one padded with zeros and followed
/// by `ff` less the number of these. Order is kept.
pub fn encode(key: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity((key.len() / GROUP + 1) * (GROUP + 1));
    for at in 0..=key.len() / GROUP {
        let group = &key[at * GROUP..key.len().min((at + 1) * GROUP)];
        let padding = GROUP - group.len();
        encoded.extend_from_slice(group);
        encoded.extend(std::iter::repeat_n(0, padding));
        encoded.push(0xff - u8::try_from(padding).unwrap_or(0));
    }
    encoded
}

/// The encoding that these bytes begin with.
fn encoding_in(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = 0;
    loop {
        let group = bytes.get(at..=at + GROUP)?;
        at += GROUP + 1;
        let padding = usize::from(0xff - group[GROUP]);
        if padding > GROUP || group[GROUP - padding..GROUP].iter().any(|&byte| byte != 0) {
            return None;
        }
        if padding > 0 {
            return Some(&bytes[..at]);
        }
    }
}

/// Whether a region may begin here.
pub fn is_boundary(position: &[u8]) -> bool {
    encoding_in(position).is_some_and(|encoding| encoding.len() == position.len())
}

/// The boundary that belongs to an engine key: of a raw one its encoding, of a transactional one the encoding that it
/// begins with (a timestamp may follow).
pub fn boundary_of(engine_key: &[u8]) -> Option<Vec<u8>> {
    let (letter, position) = engine_key.split_first()?;
    if *letter == RAW_PREFIX {
        return Some(encode(position));
    }
    encoding_in(position).map(<[u8]>::to_vec)
}
