//! The graded tests of project 1, and the judge that runs them against another process.
