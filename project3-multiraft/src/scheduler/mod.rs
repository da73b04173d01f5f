//! 3C: the scheduler. **Not there yet.**
