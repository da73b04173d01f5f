//! The graded tests of project 3: stages 3A, 3B and 3C. They link no code of the student's.
