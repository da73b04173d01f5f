//! 3A: a Raft node whose members change and whose leader can hand over. **Not there yet.**
