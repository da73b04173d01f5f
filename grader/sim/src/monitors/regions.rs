//! The map of regions: on one store they never overlap; at rest they cover every key exactly once.

use super::broke;
use crate::cluster::protocol::{NodeId, RegionView};
use crate::failure::Outcome;
use crate::history::plain;

/// The initialised regions of one store have disjoint ranges, whatever their epochs.
pub(super) fn disjoint<'a>(node: NodeId, views: impl Iterator<Item = &'a RegionView>) -> Outcome {
    let mut ranges = sorted(views);
    ranges.dedup_by_key(|(_, _, view)| view.region);
    for pair in ranges.windows(2) {
        let [(_, end, left), (start, _, right)] = pair else { continue };
        if end.is_empty() || end > start {
            return broke(
                format!("two regions of n{node} overlap"),
                format!("region {} is {}", left.region, range(left)),
                format!("region {} is {}", right.region, range(right)),
            );
        }
    }
    Ok(())
}

/// The leaders' regions cover all keys: no gap, no overlap.
pub(super) fn cover(leaders: &[(NodeId, &RegionView)]) -> Outcome {
    let ranges = sorted(leaders.iter().map(|(_, view)| *view));
    let mut reached: Option<&[u8]> = Some(&[]);
    for (start, end, view) in &ranges {
        match reached {
            Some(key) if key == *start => reached = (!end.is_empty()).then_some(end),
            Some(key) if key < *start => {
                return broke(
                    "the regions leave a gap: some keys belong to nobody",
                    format!("all keys before {} have a leader", plain(key)),
                    format!("the next region is {} with {}", view.region, range(view)),
                );
            }
            _ => {
                return broke(
                    "two regions with a leader cover the same keys",
                    "one region reaches beyond the start of the next".to_string(),
                    format!("region {} is {}", view.region, range(view)),
                );
            }
        }
    }
    match reached {
        None => Ok(()),
        Some(key) => broke(
            "the regions leave a gap: some keys belong to nobody",
            format!("all keys before {} have a leader", plain(key)),
            "no region begins there",
        ),
    }
}

type Range<'a> = (&'a [u8], &'a [u8], &'a RegionView);

fn sorted<'a>(views: impl Iterator<Item = &'a RegionView>) -> Vec<Range<'a>> {
    let mut ranges: Vec<Range> = views
        .filter_map(|view| view.range.as_ref().map(|(start, end)| (&start[..], &end[..], view)))
        .collect();
    ranges.sort_by_key(|(start, _, view)| (*start, view.region));
    ranges
}

fn range(view: &RegionView) -> String {
    let (start, end) = view.range.as_ref().map_or((&[][..], &[][..]), |(s, e)| (&s[..], &e[..]));
    format!("[{}, {}) at epoch {}:{}", plain(start), plain(end), view.epoch.0, view.epoch.1)
}
