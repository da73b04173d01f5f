//! Similarity and the viva: what is copied is found under other names, what is forced is not, and a question's answer is
//! what happens.

use grader::similar::tokens::{names, tokens};
use grader::similar::winnow::{RUN, WINDOW, prints};

use crate::support::Course;

const LIB: &str = "kv/src/lib.rs";

/// A long function that nobody is forced to write.
fn audit(names: [&str; 3], tail: &str) -> String {
    let [total, key, value] = names;
    format!(
        "\nimpl Store {{ fn audit(&self) -> usize {{ let mut {total} = 0; for ({key}, {value}) in self.pairs.iter() {{ if {key}.len() > {value}.len() {{ {total} += {key}.len() * 3; }} else if {value}.is_empty() {{ {total} += 7; }} else {{ {total} -= {value}.len().min(5); }} }} {tail} {total} }} }}\n"
    )
}

/// One of a class below the course's folder.
fn submit(course: &Course, name: &str, own: &str) {
    course.write(&format!("class/{name}/{LIB}"), &format!("//! Mine.\npub struct Store;\n{own}"));
}

#[test]
fn a_copy_is_found_under_other_names_and_what_all_have_is_not() {
    let course = Course::toy("similar");
    submit(&course, "ada", &audit(["total", "key", "value"], ""));
    submit(&course, "bob", &audit(["x", "left", "right"], "// mine, all mine\n"));
    submit(
        &course,
        "cyd",
        "\nfn other(n: u64) -> u64 { (1..n).filter(|k| n % k == 0).map(|k| k * k + 1).sum::<u64>().wrapping_mul(31) }\n",
    );
    let ran = course.grade(&["similar", "class", "--out", "page.html", "--json", "out.json"]);
    ran.ends(0).says("ada bob kv/src/lib.rs").says("It does not say which of them came first");
    assert!(!ran.out.contains("cyd"), "{}", ran.out);
    let page = course.read("page.html");
    assert!(page.contains("ada and bob") && page.contains("let mut total"), "{page}");
    assert!(course.read("out.json").contains(r#""with": "bob""#));
}

#[test]
fn the_reference_other_years_and_the_zoo_are_compared_too() {
    let course = Course::toy("similar-reference");
    let solution = audit(["total", "key", "value"], "");
    course.append(LIB, &format!("\n// BEGIN SOLUTION 2.scan{solution}// END SOLUTION\n"));
    submit(&course, "ada", &audit(["sum", "k", "v"], ""));
    course.write(
        "grader/zoo/1-01-x.patch",
        &format!("id: 1-01\nstage: 1\nmistake: It is empty when it has one.\nusers: They lose.\nsource: own\n\n--- a/{LIB}\n+++ b/{LIB}\n@@ -1 +1 @@\n-        self.len() == 0\n+        self.len().checked_sub(1).map(|n| n.min(7)).filter(|n| *n > 3).is_none()\n"),
    );
    let mistaken = course.read(LIB).replace(
        "self.len() == 0",
        "self.len().checked_sub(1).map(|n| n.min(7)).filter(|n| *n > 3).is_none()",
    );
    course.write(&format!("class/eve/{LIB}"), &mistaken);
    course.write(&format!("last-year/mia/{LIB}"), &course.read(LIB));
    course
        .grade(&["similar", "class", "--against", "last-year"])
        .ends(0)
        .says("ada reference")
        .says("ada last-year/mia")
        .says("eve has what only bug 1-01 of the zoo has");
}

#[test]
fn what_cannot_be_read_is_said() {
    let course = Course::toy("similar-unread");
    submit(&course, "ada", "\nfn f() { (((\n");
    course.grade(&["similar", "class"]).ends(0).says("not read of ada: kv/src/lib.rs");
    course.grade(&["similar", "docs"]).ends(2).complains("docs holds no submission");
    // Nobody is left out without a word.
    course.write("class/bob.zip", "PK");
    course.write("class/cyd/their-course/kv/src/lib.rs", "");
    let left = "2 of 3: bob.zip, cyd";
    let ran = course.grade(&["similar", "class", "--out", "page.html", "--json", "out.json"]);
    ran.ends(0).says("unpack archives first").says(left);
    assert!(course.read("page.html").contains(left));
    assert!(course.read("out.json").contains("bob.zip"));
    course.write("zips/bob.zip", "PK");
    course.grade(&["similar", "zips"]).ends(2).complains("archives have to be unpacked first");
}

/// If what the starter has cannot be told from what people wrote, there is no answer: not that nobody has copied.
#[test]
fn without_a_starter_nothing_is_compared() {
    let course = Course::toy("similar-leak");
    submit(&course, "ada", "");
    course.append(LIB, "\n// BEGIN SOLUTION 2.scan\nfn never_ends() {}\n");
    course
        .grade(&["similar", "class"])
        .ends(2)
        .complains("what the starter has cannot be taken out");
}

#[test]
fn winnowing_keeps_its_promise() {
    // Every common stretch of RUN + WINDOW - 1 tokens shares a fingerprint, wherever it stands.
    let word = |n: usize| format!("f{n}() + ");
    let common: String = (0..RUN + WINDOW).map(|n| word(1000 + n)).collect();
    for before in [0, 1, 5, 13] {
        let text = |salt: usize| {
            let noise: String = (0..before + 40).map(|n| word(n * 7 + salt)).collect();
            format!("fn g() {{ {noise} {common} {noise} 0 }}")
        };
        let (one, two) = (text(1), text(3));
        let given = names(&one).union(&names(&two)).cloned().collect();
        let of = |text: &str| prints(&tokens(text, &given).unwrap(), &Default::default());
        let theirs: Vec<u64> = of(&two).iter().map(|p| p.hash).collect();
        assert!(of(&one).iter().any(|p| theirs.contains(&p.hash)), "nothing shared at {before}");
    }
}

#[test]
fn a_viva_asks_about_their_own_code_and_answers_by_trying() {
    let course = Course::toy("viva");
    course.write(
        "grader/zoo/1-01-x.patch",
        &format!("id: 1-01\nstage: 1\nmistake: Get forgets.\nusers: What was put is gone.\nsource: own\n\n--- a/{LIB}\n+++ b/{LIB}\n@@ -1 +1 @@\n-        stored_under_this_key.cloned()\n+        stored_under_this_key.and(None)\n"),
    );
    let own = course.read(LIB).replace(
        "stored_under_this_key.cloned()",
        "if stored_under_this_key.is_some() { stored_under_this_key.cloned() } else { None }",
    );
    course.write(&format!("ada/{LIB}"), &own);
    course
        .grade(&["viva", "ada"])
        .ends(0)
        .says("Questions for ada")
        .says("asks `stored_under_this_key.is_some()`")
        .says("stage1::get::the_last_put_wins")
        .says("\"Get forgets.\"")
        .says("What was put is gone.")
        .says("One question could not be made");
    assert_eq!(own, course.read(&format!("ada/{LIB}")), "a submission is never written to");
    course.grade(&["viva", "docs"]).ends(2).complains("is no submission");
}
