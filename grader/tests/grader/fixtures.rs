//! Wrong and hostile submissions of the real stage 1 before the judge.
