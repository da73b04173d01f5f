//! The graded tests of project 4: stages 4A, 4B and 4C. They link no code of the student's.
