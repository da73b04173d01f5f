//! The map of regions: on one store they never overlap, nor anywhere in one version; at rest they cover every key exactly
//! once.

use std::collections::BTreeMap;

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

/// The map of the newest regions that were ever seen. A split replaces a region by its parts, all of one, higher version; so
/// of two regions that lie over each other one is the other's ancestor, and older.
#[derive(Debug, Default)]
pub(super) struct Newest {
    /// By start key.
    regions: BTreeMap<Vec<u8>, Known>,
    changed: bool,
}

#[derive(Debug, Clone)]
struct Known {
    end: Vec<u8>,
    region: u64,
    version: u64,
    node: NodeId,
}

impl Newest {
    /// A node shows a region.
    pub fn observe(&mut self, node: NodeId, view: &RegionView) -> Outcome {
        let Some((start, end)) = &view.range else { return Ok(()) };
        let (start, end, version) = (start.to_vec(), end.to_vec(), view.epoch.1);
        if self.regions.get(&start).is_some_and(|known| {
            known.region == view.region && known.version == version && known.end == end
        }) {
            return Ok(());
        }
        let before = |a: &[u8], b: &[u8]| b.is_empty() || a < b;
        let over = self
            .regions
            .iter()
            .filter(|(at, known)| before(at, &end) && before(&start, &known.end))
            .map(|(at, known)| (at.clone(), known.clone()));
        let over: Vec<(Vec<u8>, Known)> = over.collect();
        if over.iter().any(|(_, known)| known.version > version) {
            return Ok(()); // it has not heard of a split
        }
        let same = over.iter().find(|(_, known)| known.version == version);
        if let Some((at, known)) = same {
            return broke(
                "two regions overlap in one version of the map",
                format!(
                    "n{} shows region {} as [{}, {}) in version {version}",
                    known.node,
                    known.region,
                    plain(at),
                    plain(&known.end)
                ),
                format!("n{node} shows region {} as {}", view.region, range(view)),
            );
        }
        for (at, _) in over {
            self.regions.remove(&at);
        }
        self.regions.insert(start, Known { end, region: view.region, version, node });
        self.changed = true;
        Ok(())
    }

    /// All keys belong to somebody. (A store shows all parts of a split at once.)
    pub fn has_no_gap(&mut self) -> Outcome {
        if !std::mem::take(&mut self.changed) {
            return Ok(());
        }
        let (mut reached, mut last): (Option<&[u8]>, _) = (None, 0);
        for (start, known) in &self.regions {
            // The first one begins where it begins: a world may not have all keys.
            if let Some(reached) = reached
                && reached != &start[..]
            {
                return broke(
                    "the regions leave a gap: some keys belong to nobody",
                    format!("region {last} ends at {}", plain(reached)),
                    format!("the next one, region {}, begins at {}", known.region, plain(start)),
                );
            }
            (reached, last) = (Some(&known.end[..]), known.region);
        }
        Ok(())
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
