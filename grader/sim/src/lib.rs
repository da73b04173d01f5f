//! The simulator: disks, executor, the seam between judge and subject, the test harness.
