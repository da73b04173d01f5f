//! A map that remembers.

// BEGIN SOLUTION 1.put
use std::collections::BTreeMap;
// END SOLUTION

/// The map.
#[derive(Default)]
pub struct Store {
    // BEGIN SOLUTION 1.put
    pairs: BTreeMap<String, String>,
    // END SOLUTION
}

impl Store {
    /// Stores a pair. You will need a field.
    pub fn put(&mut self, key: &str, value: &str) {
        // BEGIN SOLUTION 1.put
        self.pairs.insert(key.to_owned(), value.to_owned());
        // END SOLUTION
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<String> {
        // BEGIN SOLUTION 1.get
        let stored_under_this_key = self.pairs.get(key);
        stored_under_this_key.cloned()
        // END SOLUTION
    }

    /// All keys, in order.
    pub fn scan(&self) -> Vec<String> {
        // BEGIN SOLUTION 2.scan
        self.pairs.keys().cloned().collect::<Vec<String>>()
        // END SOLUTION
    }

    /// How many pairs there are.
    pub fn len(&self) -> usize {
        // BEGIN SOLUTION 1.put
        self.pairs.len()
        // END SOLUTION
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
