//! Whole runs over small classes: scores, resuming, shards, one student alone.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use class::record::Fate;
use class::sum;

use crate::support::{Class, LIB, can_make_rooms, whole};

/// Six students: everything, nothing, half, does not compile, hangs, no submission.
fn six() -> Class {
    let class = Class::new();
    class.hand_in("all", &class.reference);
    class.hand_in("nothing", &class.starter);
    class.hand_in("half", &class.with_get("return Some(\"9\".into());"));
    class.hand_in("syntax", &class.with_get("let wrong: u8 = \"text\";"));
    class.hand_in("hangs", &class.with_get("loop { std::hint::black_box(0); }"));
    fs::create_dir(class.path("in").join("empty")).unwrap();
    class
}

#[test]
fn everybody_gets_what_is_due() {
    let Some(_alone) = can_make_rooms() else { return };
    let class = six();
    let ran = class.grade(&["--backstop", "3", "--jobs", "2"]);
    // A person has to look at the one that hangs.
    ran.ends(1)
        .says("none came through")
        .says("the reference gets 10.00 of 10")
        .says("tripwires in 2 of 2 stages");

    assert_eq!(class.score("all").points, 10.0);
    assert!(class.score("all").builds.is_empty());
    assert_eq!(class.score("nothing").points, 0.0);
    // One of four weights in stage 1, all of stage 2.
    assert_eq!(class.score("half").points, 5.5);

    let syntax = class.score("syntax");
    assert_eq!(syntax.points, 0.0);
    assert!(
        syntax.builds[0].error.contains("error[E0308]: mismatched types"),
        "{:?}",
        syntax.builds
    );
    // Both stages stand in one file, so both are lost; that is what it cost.
    assert_eq!(syntax.builds[0].mended, ["kv/src/lib.rs is the starter's again (stage 2)"]);

    let hangs = class.score("hangs");
    assert_eq!(hangs.points, 5.5);
    assert_eq!(hangs.flags.len(), 2, "{:?}", hangs.flags);

    assert!(
        matches!(class.score("empty").fate, Fate::Refused { ref why } if why.contains("no source of any project crate"))
    );

    // One student again: the same bytes. Then somebody changes the record by hand.
    let half = class.path("out/submissions/half/score.json");
    class.grade(&["--backstop", "3", "--only", "half"]).says("the same as before, byte for byte");
    fs::write(&half, fs::read_to_string(&half).unwrap().replace("5.5", "9.5")).unwrap();
    class.grade(&["--backstop", "3", "--only", "half"]).ends(1).says("NOT the same as before");
    assert_eq!(class.score("half").points, 5.5);

    // Everything is done, so nothing is done again; a student who hands in once more is.
    class.grade(&["--backstop", "3"]).says("0 of 6 records are new");
    class.hand_in("nothing", &class.reference);
    class.grade(&["--backstop", "3"]).says("1 of 6 records are new");
    assert_eq!(class.score("nothing").points, 10.0);
    class
        .grade(&["--backstop", "3", "--only", "nobody"])
        .ends(2)
        .complains("there is no submission nobody");

    // The workshop keeps what is warm, and nothing of a student.
    let mut left: Vec<String> = fs::read_dir(class.path("course/target/grade/class"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(
        left,
        ["control.json", "helper", "judges", "lock", "warm-ours", "warm-own", "warm.stamp"]
    );
}

#[test]
fn killed_and_resumed_divided_and_merged_it_is_the_same_report() {
    let Some(_alone) = can_make_rooms() else { return };
    let class = Class::new();
    for n in 0..5 {
        class.hand_in(
            &format!("student-{n}"),
            &class.with_get(&format!("if key == \"{n}\" {{ return None; }}")),
        );
    }
    let secret = class.path("secret");
    fs::write(&secret, "nobody knows this").unwrap();
    let secret = ["--secret", secret.to_str().unwrap()];
    class.grade(&secret).ends(0);
    let straight = whole(&class.path("out"));
    assert!(straight.iter().any(|(name, _)| name == "submissions/student-4/index.html"));

    // Killed after the second student.
    fs::rename(class.path("out"), class.path("straight")).unwrap();
    let (folder, out) = (class.path("in"), class.path("out"));
    let mut arguments = vec![folder.to_str().unwrap(), "--out", out.to_str().unwrap()];
    arguments.extend(secret);
    let mut child = class.command(&arguments).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("2/5  student-1")));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!out.join("class.csv").exists());
    class.grade(&secret).ends(0).says("3 of 5 records are new");
    assert_eq!(whole(&out), straight);

    // Two shards, merged.
    for shard in ["1", "2"] {
        let out = class.path(shard);
        let part = format!("{shard}/2");
        let mut arguments =
            vec![folder.to_str().unwrap(), "--out", out.to_str().unwrap(), "--shard", &part];
        arguments.extend(secret);
        class.run(&arguments).ends(0);
    }
    let merged = class.path("merged");
    let (one, two) = (class.path("1"), class.path("2"));
    let [merged_, one_, two_] = [&merged, &one, &two].map(|path| path.to_str().unwrap());
    class.run(&["merge", merged_, one_, two_]).ends(0).says("5 records");
    assert_eq!(whole(&merged), straight);

    // Shards that were graded under other conditions are no whole.
    let other = class.path("other");
    class
        .run(&[folder.to_str().unwrap(), "--out", other.to_str().unwrap(), "--shard", "2/2"])
        .ends(0);
    class
        .run(&["merge", class.path("m").to_str().unwrap(), one_, other.to_str().unwrap()])
        .ends(2)
        .complains("other conditions");
}

#[test]
fn hidden_seeds_weigh_a_tenth() {
    let Some(_alone) = can_make_rooms() else { return };
    let class = Class::new();
    // Right for the public seeds 1, 2, 3, which stand there as text.
    class.hand_in("learnt-by-heart", &class.with_get("let known = self.pairs.get(key)?; return Some(if known.len() > 1 { \"3\".into() } else { known.clone() });"));
    class.hand_in("understood", &class.reference);
    class.grade(&["--hidden-seeds", "123456"]).ends(0);
    let heart = class.score("learnt-by-heart");
    // Stage 1 is worth 6; the test of weight 2 out of 4 keeps nine tenths: 0.9 x 6 x (2 + 1.8) / 4 + 0.1 x 6 x 4 / 4.
    assert_eq!(heart.stages[0].points, 5.73);
    assert_eq!(heart.points, 9.73);
    assert!(
        sum::why(&heart)
            .contains(" 1.8 of   2  stage1::get::the_last_put_wins, not on the hidden seeds"),
        "{}",
        sum::why(&heart)
    );
    assert_eq!(class.score("understood").points, 10.0);
    assert_eq!(class.score("understood").conditions.hidden_seeds, [123_456]);
}

#[test]
fn a_stage_that_does_not_compile_gives_way_to_the_starter() {
    let Some(_alone) = can_make_rooms() else { return };
    // The toy with its second stage in a file of its own.
    let class = Class::new();
    let course = class.path("course");
    let split = |files: &mut grader::tree::Files| {
        let text = String::from_utf8(files[LIB].clone()).unwrap();
        let start = text.find("    /// All keys, in order.").unwrap();
        let end = text.find("    /// How many pairs there are.").unwrap();
        let scan = text[start..end].trim_end();
        let rest = format!("{}{}\nmod scan;\n", &text[..start], &text[end..]);
        files.insert(LIB.into(), rest.into());
        let scan = format!("//! Scans.\n\nuse crate::Store;\n\nimpl Store {{\n{scan}\n}}\n");
        files.insert("kv/src/scan.rs".into(), scan.into());
        let toml = String::from_utf8(files["grader/course.toml"].clone()).unwrap();
        let at = toml.find("id = \"2.scan\"").unwrap();
        let toml = format!("{}{}", &toml[..at], toml[at..].replacen(LIB, "kv/src/scan.rs", 1));
        files.insert("grader/course.toml".into(), toml.into());
    };
    let mut files = class.reference.clone();
    split(&mut files);
    grader::tree::sync(&course, &files).unwrap();
    // As in every starter; here the student began with the reference.
    files.entry(LIB.into()).or_default().extend(b"mod hole;\npub(crate) use hole::hole;\n");
    files.insert("kv/src/scan.rs".into(), b"impl Store { nonsense }".to_vec());
    class.hand_in("late", &files);
    class.grade(&[]).ends(0);
    let late = class.score("late");
    assert_eq!(late.points, 6.0);
    assert_eq!(late.builds[0].mended, ["kv/src/scan.rs is the starter's again (stage 2)"]);
}
