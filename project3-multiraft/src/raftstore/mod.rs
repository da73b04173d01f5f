//! 3B: a store of many peers. **Not there yet.**
