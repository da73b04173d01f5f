//! Makes a failing plan shorter: fewer faults, fewer operations, as long as it still fails in the same way.
//!
//! Delta debugging (Zeller, Hildebrandt 2002): leave out halves, then quarters, down to single items, and keep
//! each cut after which it still fails. The same way means the same broken rule, whichever store or key it
//! struck. The number of runs is bounded: a plan that is short enough to read is worth more than the shortest.

/// Removes items from `items` while `fails` says that the rest still fails; `None` from it says that enough was
/// asked.
pub fn minimise<T: Clone>(items: Vec<T>, mut fails: impl FnMut(&[T]) -> Option<bool>) -> Vec<T> {
    let mut items = items;
    // First all at once: often one of the two lists does not matter.
    let mut size = items.len();
    while size > 0 && !items.is_empty() {
        let mut removed = false;
        let mut at = 0;
        while at < items.len() {
            let mut rest = items.clone();
            rest.drain(at..(at + size).min(items.len()));
            match fails(&rest) {
                None => return items,
                Some(true) => (items, removed) = (rest, true),
                Some(false) => at += size,
            }
        }
        if size == 1 && !removed {
            break;
        }
        size = if size == 1 { 1 } else { size.div_ceil(2) };
    }
    items
}

/// What a failure is called, without the numbers that differ from run to run.
pub fn class(what: &str) -> String {
    let plain: String = what.chars().filter(|c| !c.is_ascii_digit()).collect();
    // Which key or region it was does not matter either.
    plain.split(" about ").next().unwrap_or_default().to_owned()
}
