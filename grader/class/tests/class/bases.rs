//! Two bases: a project that is right stands on one that is wrong. On ours it gets its points, on its own it does not.

use std::fs;

use class::{place, sum};
use grader::tree::{self, Files};

use crate::support::{Class, LIB, can_make_rooms, inject};

/// The toy with a second project on top of its first.
fn two_projects() -> Class {
    let mut class = Class::new();
    let mut files = class.reference.clone();
    let text = |files: &Files, path: &str| tree::text(files, path).unwrap().to_owned();
    let put = |files: &mut Files, path: &str, text: String| {
        files.insert(path.to_owned(), text.into());
    };
    let replaced = |files: &mut Files, path: &str, from: &str, to: &str| {
        let before = text(files, path);
        assert!(before.contains(from), "{path} has no {from}");
        put(files, path, before.replace(from, to));
    };
    replaced(&mut files, "Cargo.toml", "\"kv\",", "\"kv\", \"top\",");
    put(
        &mut files,
        "top/Cargo.toml",
        "[package]\nname = \"top\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[dependencies]\nkv = { path = \"../kv\" }\n\n[dev-dependencies]\nkv-suite = { path = \"../kv-suite\" }\n\n[[test]]\nname = \"main\"\nharness = false\n".into(),
    );
    put(
        &mut files,
        "top/src/lib.rs",
        "//! On top.\n\n/// Twice as many as there are.\npub fn twice(store: &kv::Store) -> usize {\n    // BEGIN SOLUTION 3.twice\n    let all_that_there_are = store.len();\n    all_that_there_are * 2\n    // END SOLUTION\n}\n".into(),
    );
    let program = text(&files, "kv/tests/main.rs");
    put(
        &mut files,
        "top/tests/main.rs",
        program.replace(
            "[\"len\"] =>",
            "[\"twice\"] => top::twice(&store).to_string(),\n            [\"len\"] =>",
        ),
    );
    replaced(
        &mut files,
        "kv-suite/src/bin/kv-judge.rs",
        "        other => panic!",
        "        \"stage3::twice::two_for_each\" => {\n            subject.ask(\"put a x\")?;\n            subject.expect(\"twice\", \"2\")\n        }\n        other => panic!",
    );
    let course = text(&files, "grader/course.toml");
    put(
        &mut files,
        "grader/course.toml",
        course
            + "\n[[stage]]\nid = \"3\"\ntitle = \"On top\"\npackage = \"top\"\nsuite = \"kv-suite\"\njudge = \"kv-judge\"\npoints = 10\nchapter = \"chapter-2.md\"\n\n[[stage.hole]]\nid = \"3.twice\"\nfile = \"top/src/lib.rs\"\nminutes = 5\nhints = [\"a\", \"b\", \"c\"]\n\n[[stage.test]]\nname = \"stage3::twice::two_for_each\"\nafter = \"3.twice\"\nweight = 1\nrule = \"Two for each.\"\n",
    );
    tree::sync(&class.path("course"), &files).unwrap();
    class.reference = files;
    class
}

#[test]
fn a_mistake_below_costs_its_own_stage_and_a_tenth_above() {
    let Some(_alone) = can_make_rooms() else { return };
    let class = two_projects();
    class.hand_in("right", &class.reference);
    let mut files = class.reference.clone();
    let wrong =
        inject(tree::text(&files, LIB).unwrap(), "Store::len", "return self.pairs.len() + 1;");
    files.insert(LIB.into(), wrong.into());
    class.hand_in("wrong-below", &files);
    // Above, something is used that only the student's own project below has.
    let mut files = class.reference.clone();
    files.entry(LIB.into()).or_default().extend(b"/// One more.\npub fn one() -> usize { 1 }\n");
    let text = tree::text(&files, "top/src/lib.rs").unwrap().replace("* 2", "* (kv::one() + 1)");
    files.insert("top/src/lib.rs".into(), text.into());
    class.hand_in("more-below", &files);
    let mut only = class.reference.clone();
    only.retain(|path, _| path.starts_with("kv/"));
    class.hand_in("only-below", &only);
    class.grade(&[]).ends(0).says("the reference gets 20.00 of 20");

    assert_eq!(class.score("right").points, 20.0);

    let wrong = class.score("wrong-below");
    let stage = &wrong.stages[2];
    assert_eq!((sum::on_ours(stage), sum::on_own(stage), stage.points), (1.0, 0.0, 9.0));
    // One of four weights of stage 1 is lost there, and nowhere else.
    assert_eq!(wrong.points, 4.5 + 4.0 + 9.0);
    class
        .run(&["why", class.path("out").to_str().unwrap(), "wrong-below"])
        .ends(0)
        .says("stage 3: 10 x (0.9 x 1.0000 + 0.1 x 0.0000) = 9.00")
        .says("stage3::twice::two_for_each, not on their own");

    let more = class.score("more-below");
    assert_eq!(more.points, 20.0, "{more:#?}");
    assert!(more.builds[0].error.contains("cannot find function `one`"), "{:?}", more.builds);
    assert_eq!(more.builds[0].mended, ["graded on their own earlier packages, where it compiles"]);

    let only = class.score("only-below");
    assert_eq!(only.points, 10.0);
    assert_eq!(only.notes, ["nothing was handed in below top/src/; top is the starter's"]);
    assert_eq!(only.stages[2].tests[0].ours.hole.as_deref(), Some("3.twice"));

    // The same for one student alone, without a report folder.
    let one = class.path("in").join("wrong-below");
    let ran = class.run(&["one", one.to_str().unwrap(), "--why-points"]);
    ran.ends(1)
        .says("3    100% on our base,   0% on their own    9.00 of 10")
        .says("total: 17.50 of 20");
    assert!(!class.path("course/target/grade/class/one").exists());
    assert!(fs::read_dir(class.path("in")).unwrap().count() == 4);
}

/// Cargo looks at times. A build script that asks for a folder runs again when the folder is newer than what it made, and all
/// that stands on its crate is compiled again, for each student.
#[test]
fn what_nobody_changed_is_as_old_as_ever() {
    let home = tempfile::tempdir().unwrap();
    let file = |path: &str, text: &str| (path.to_owned(), text.as_bytes().to_vec());
    let base = Files::from([
        file("given/words/one.proto", "1"),
        file("given/words/deep/two.proto", "2"),
        file("theirs/src/lib.rs", "3"),
        file("theirs/src/more.rs", "4"),
    ]);
    let age = |path: &str| fs::metadata(home.path().join(path)).unwrap().modified().unwrap();
    let lay = |files: &Files| {
        place::remove(&home.path().join("given")).unwrap();
        place::lay(home.path(), files, &base).unwrap();
    };
    lay(&base);
    let old = age("given/words/one.proto");
    let changed = |files: &Files| -> Vec<&str> {
        lay(files);
        let all = [
            "given",
            "given/words",
            "given/words/deep",
            "given/words/deep/two.proto",
            "theirs/src",
            "theirs/src/lib.rs",
        ];
        all.into_iter().filter(|path| age(path) != old).collect()
    };
    assert_eq!(changed(&base), [""; 0]);
    // Another text is a matter of its file.
    let mut files = base.clone();
    files.extend([file("theirs/src/lib.rs", "mine")]);
    assert_eq!(changed(&files), ["theirs/src/lib.rs"]);
    // A name that comes or goes is its folders' matter, too.
    files = base.clone();
    files.extend([file("given/words/deep/new.proto", "5")]);
    assert_eq!(changed(&files), ["given", "given/words", "given/words/deep"]);
    files = base.clone();
    files.remove("theirs/src/more.rs");
    assert_eq!(changed(&files), ["theirs/src"]);
}
