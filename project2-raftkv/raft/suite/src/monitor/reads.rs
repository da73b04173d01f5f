//! Reads by ReadIndex (section 8, thesis 6.4): a read sees everything that was committed when it was asked
//! for, at whatever node.

use std::collections::BTreeMap;

use sim::failure::{Failure, Outcome, show};

use crate::world::{Taken, When};

/// The reads under way.
#[derive(Debug, Default)]
pub struct Reads {
    // context -> who was asked, and what was committed anywhere then.
    asked: BTreeMap<Vec<u8>, (u64, u64)>,
    /// How many were released.
    pub released: u64,
}

impl Reads {
    /// Node `id` is asked to read; `committed` is the highest index that any node takes for committed.
    pub fn ask(&mut self, id: u64, context: &[u8], committed: u64) {
        self.asked.insert(context.to_vec(), (id, committed));
    }

    pub(super) fn on_ready(&mut self, when: When, id: u64, taken: &Taken) -> Outcome {
        for (index, context) in &taken.reads {
            let Some((asked, floor)) = self.asked.get(context) else {
                return Err(Failure::broke(
                    "a read is released that nobody asked for",
                    format!("{when}n{id} releases a read with context {}", show(context)),
                    "no node was given this context",
                ));
            };
            if index < floor {
                return Err(Failure::broke(
                    "a read would see the past",
                    format!(
                        "n{asked} was asked to read when everything up to {floor} was committed"
                    ),
                    format!("{when}n{id} releases the read at index {index}"),
                ));
            }
            self.released += 1;
        }
        Ok(())
    }
}
