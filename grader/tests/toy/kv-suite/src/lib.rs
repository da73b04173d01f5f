//! The tests of the toy course.

/// One test.
pub struct Test {
    /// Its name.
    pub name: &'static str,
    /// Its long form.
    pub doc: &'static str,
}

/// All of them.
pub const TESTS: &[Test] = &[
    Test { name: "stage1::put::a_put_is_counted", doc: "Whoever puts a pair finds it counted." },
    Test { name: "stage1::get::an_absent_key_has_no_value", doc: "Nothing was put, so nothing is there." },
    Test {
        name: "stage1::get::the_last_put_wins",
        doc: "A second put of a key replaces the first.\\n\\nHint: what does `insert` return?",
    },
    Test { name: "stage2::scan::keys_come_in_order", doc: "A scan is sorted by key." },
];
