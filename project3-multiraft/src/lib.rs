//! Many regions. **Not there yet:** this crate opens with stage 3A.
//!
//! It will cut the key space into regions that split, move between stores and change their
//! members while clients keep writing, and the scheduler (TiKV's PD) that tells them to.
