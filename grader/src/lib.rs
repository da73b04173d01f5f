//! cargo grade: builds, runs and explains the suites of the course.
