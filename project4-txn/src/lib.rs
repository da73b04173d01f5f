//! Transactions. **Not there yet:** this crate opens with stage 4A.
//!
//! It will keep many versions of a key (MVCC), run Percolator's two-phase commit on top of the
//! replicated regions, and hold the complete server `tinykv` that official TiKV clients use.
