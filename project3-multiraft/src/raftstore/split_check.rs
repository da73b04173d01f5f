//! Is this region too large, and where is its middle?

use proto::metapb::Region;
use raftkv::Result;
use raftkv::region::data_spans;
use standalone::engine::{DATA_CFS, Direction, Engine};
use standalone::keys::KeyRange;

use super::keys::boundary_of;

/// What a scan has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    /// Bytes of keys and values.
    pub size: u64,
    /// Where to cut; `None` if it is small enough, or if there is no boundary in it.
    pub middle: Option<Vec<u8>>,
}

/// Measures a region, and looks for the middle of it if it is at least `split_bytes` large.
///
/// # Errors
/// The disk's.
pub fn measure(kv: &Engine, region: &Region, split_bytes: u64) -> Result<Measured> {
    let mut size = 0;
    for cf in DATA_CFS {
        for span in data_spans(region) {
            size += weigh(kv, cf, &span, |_, _| true)?;
        }
    }
    let middle = if size >= split_bytes { middle(kv, region)? } else { None };
    Ok(Measured { size, middle })
}

/// Where to cut a region.
///
/// You will need `weigh` for each span of each column family (`data_spans`), and `boundary_of`. Where several column
/// families hold data, the middle of the heaviest is good enough. Walk it once more, to the first boundary behind half of
/// its weight that is truly inside the region: one at its very start would cut off nothing.
fn middle(kv: &Engine, region: &Region) -> Result<Option<Vec<u8>>> {
    // BEGIN SOLUTION 3B.split_size
    let mut heaviest = (0, None);
    for cf in DATA_CFS {
        for span in data_spans(region) {
            let weight = weigh(kv, cf, &span, |_, _| true)?;
            if weight > heaviest.0 {
                heaviest = (weight, Some((cf, span)));
            }
        }
    }
    let (weight, Some((cf, span))) = heaviest else { return Ok(None) };
    let inside = |key: &[u8]| {
        key > &region.start_key[..] && (region.end_key.is_empty() || key < &region.end_key[..])
    };
    let mut middle = None;
    weigh(kv, cf, &span, |key, passed| {
        // The last one before the middle will do if there is none behind it.
        let boundary = boundary_of(key).filter(|boundary| inside(boundary));
        if boundary.is_some() {
            middle = boundary;
        }
        passed * 2 < weight || middle.is_none()
    })?;
    Ok(middle)
    // END SOLUTION
}

/// Walks a span as long as `go_on` says so, which is told each key and the weight up to and with it. Returns the weight
/// of what was walked over.
fn weigh(
    kv: &Engine,
    cf: &'static str,
    span: &KeyRange,
    mut go_on: impl FnMut(&[u8], u64) -> bool,
) -> Result<u64> {
    let view = kv.snapshot()?;
    let mut cursor = view.cursor(cf, span.clone(), Direction::Forward)?;
    let mut weight = 0;
    while cursor.advance()? {
        weight += (cursor.key().len() + cursor.value().len()) as u64;
        if !go_on(cursor.key(), weight) {
            break;
        }
    }
    Ok(weight)
}
