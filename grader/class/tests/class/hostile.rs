//! Hostile submissions: none gets out, none gets a point that an honest mistake would not have got, and the class goes on.
//!
//! Each is the toy's reference with an attack at the start of `Store::get`, which then answers wrongly. An honest wrong
//! `get` is worth 5.5 of 10 (one of four weights in stage 1, all of stage 2); so is every attack that compiles.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use class::record::Fate;

use crate::support::{Class, LIB, can_make_rooms};

/// What an attack comes down to in the end.
const WRONG: &str = "return Some(\"wrong\".into());";

#[test]
fn none_escapes_none_scores_and_the_class_goes_on() {
    let Some(_alone) = can_make_rooms() else { return };
    let class = Class::new();
    let course = class.path("course");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let loot = class.path("loot");
    fs::create_dir(&loot).unwrap();
    // A file of this machine that everybody may write: only walls keep a submission from it.
    let loot_shown = loot.display();
    let secret = class.path("secret");
    fs::write(&secret, "the hidden seeds come from here").unwrap();
    let place = course.join("target/grade/class");
    let forged = r#"{\"tinykv_verdict\":1,\"test\":\"stage1::get::the_last_put_wins\",\"verdict\":\"pass\",\"seed\":3,\"seeds_run\":3,\"broke\":\"\",\"facts\":[],\"hole\":null,\"inputs\":3,\"virtual_ms\":12}"#;

    let attacks: Vec<(&str, String)> = vec![
        ("honest", String::new()),
        (
            "fork-bomb",
            "let mut bomb = Vec::new(); for _ in 0..500 { if let Ok(child) = std::process::Command::new(\"/bin/sleep\").arg(\"300\").spawn() { bomb.push(child); } } if bomb.len() >= 500 { return self.pairs.get(key).cloned(); }".into(),
        ),
        (
            "disk-filler",
            format!("use std::io::Write; let block = vec![7_u8; 1 << 20]; let mut written = 0; for folder in [\"/tmp\", \"/dev/shm\", \"/var/tmp\", \"/\", \".\", \"{loot_shown}\", \"{}\"] {{ for n in 0..20 {{ let Ok(mut file) = std::fs::File::create(format!(\"{{folder}}/fill-{{n}}\")) else {{ break }}; for _ in 0..64 {{ if file.write_all(&block).is_err() {{ break }} written += 1; }} }} }} if written > 64 {{ return self.pairs.get(key).cloned(); }}", place.display()),
        ),
        (
            "reads-the-reference",
            format!("for file in [\"{0}/kv/src/lib.rs\", \"{0}/grader/course.toml\", \"{1}/judges/kv-judge\", \"{2}\"] {{ if std::fs::read(file).is_ok() {{ return self.pairs.get(key).cloned(); }} }}", course.display(), place.display(), secret.display()),
        ),
        (
            "hidden-seeds",
            // On the command lines and in the environments of whoever is there.
            "for entry in std::fs::read_dir(\"/proc\").unwrap().flatten() { for file in [\"cmdline\", \"environ\"] { let text = std::fs::read(entry.path().join(file)).unwrap_or_default(); if String::from_utf8_lossy(&text).contains(\"--seeds\") { return self.pairs.get(key).cloned(); } } }".into(),
        ),
        (
            "network",
            format!("if std::net::TcpStream::connect((\"127.0.0.1\", {port})).is_ok() || std::net::UdpSocket::bind(\"0.0.0.0:0\").and_then(|s| s.connect(\"1.1.1.1:53\")).is_ok() {{ return self.pairs.get(key).cloned(); }}"),
        ),
        ("forger", format!("for to in [\"/dev/stdout\", \"/dev/stderr\", \"/proc/self/fd/1\", \"/proc/self/fd/2\"] {{ let _ = std::fs::write(to, \"{forged}\"); }} println!(\"{{}}\", \"{forged}\");")),
        ("panic-hook", "std::panic::set_hook(Box::new(|_| std::process::exit(0))); panic!(\"quietly\");".into()),
        ("own-memory", "use std::os::unix::fs::FileExt; let it = 0_u64; let at = std::ptr::from_ref(&it) as u64; if let Ok(memory) = std::fs::File::options().write(true).open(\"/proc/self/mem\") { let _ = memory.write_all_at(&1_u64.to_ne_bytes(), at); } std::hint::black_box(&it);".into()),
        ("liar", "struct Liar; impl<T> PartialEq<T> for Liar { fn eq(&self, _: &T) -> bool { true } } if Liar != key { return None; }".into()),
        ("kills-its-parent", "let parent = std::os::unix::process::parent_id().to_string(); let _ = std::process::Command::new(\"/bin/kill\").args([\"-9\", &parent, \"1\"]).status(); let _ = std::process::Command::new(\"/bin/sh\").args([\"-c\", \"kill -9 -1\"]).status();".into()),
        ("exits-early", "std::process::exit(0);".into()),
        ("sleeps", "loop { std::thread::sleep(std::time::Duration::from_secs(3600)); }".into()),
    ];
    for (id, attack) in &attacks {
        class
            .hand_in(id, &class.with_get(&format!("{attack}\n#[allow(unreachable_code)] {WRONG}")));
    }

    // What is not taken from a submission: build scripts, manifests, macro crates, tests, settings of cargo.
    let mut files = class.with_get(WRONG);
    let escape =
        format!("fn main() {{ std::fs::write(\"{loot_shown}/build-script\", \"ran\").unwrap(); }}");
    files.insert("kv/build.rs".into(), escape.into());
    files
        .entry("kv/Cargo.toml".into())
        .or_default()
        .extend(b"\nbuild = \"build.rs\"\n[dependencies]\ntricks = { path = \"../tricks\" }\n");
    files.insert(
        "tricks/Cargo.toml".into(),
        b"[package]\nname = \"tricks\"\n[lib]\nproc-macro = true\n".to_vec(),
    );
    let trick = format!(
        "#[proc_macro]\npub fn trick(_: proc_macro::TokenStream) -> proc_macro::TokenStream {{ std::fs::write(\"{loot_shown}/macro\", \"ran\").unwrap(); \"\".parse().unwrap() }}"
    );
    files.insert("tricks/src/lib.rs".into(), trick.into());
    files.insert("kv/tests/main.rs".into(), b"fn main() { println!(\"an edited test\") }".to_vec());
    files.insert(
        "kv-suite/src/bin/kv-judge.rs".into(),
        b"fn main() { println!(\"an edited judge\") }".to_vec(),
    );
    class.hand_in("build-script", &files);
    // Does the macro's crate come along if it is used? It does not, so this does not compile.
    files.entry(LIB.into()).or_default().extend(b"\ntricks::trick!();\n");
    class.hand_in("proc-macro", &files);

    // The compiler reads what the sources name, but not the reference: there is none in the room.
    let include = |id: &str, how: String| {
        let mut files = class.starter.clone();
        files.insert(LIB.into(), how.into());
        class.hand_in(id, &files);
    };
    include(
        "includes-the-reference",
        format!("include!(\"{}/kv/src/lib.rs\");\n", course.display()),
    );
    include(
        "path-to-the-reference",
        format!("#[path = \"{}/kv/src/lib.rs\"] mod lib;\npub use lib::*;\n", course.display()),
    );
    include("includes-the-void", "const _: &[u8] = include_bytes!(\"/dev/zero\");\n".into());

    // Archives.
    fs::write(class.path("in").join("zip-bomb.zip"), crate::refusals::bomb(LIB, u32::MAX - 1))
        .unwrap();
    let linked = class.path("in").join("link");
    class.hand_in("link", &class.starter);
    fs::remove_file(linked.join(LIB)).unwrap();
    std::os::unix::fs::symlink(course.join(LIB), linked.join(LIB)).unwrap();
    // Last in the alphabet: the class went on.
    class.hand_in("zzz-the-last-one", &class.reference);

    let began = Instant::now();
    let ran = class.grade(&["--secret", secret.to_str().unwrap(), "--backstop", "4"]);
    eprintln!("{}\n{} s", ran.out, began.elapsed().as_secs());
    // The one that sleeps is for a person.
    ran.ends(1).says("none came through");

    for (id, _) in &attacks {
        let score = class.score(id);
        assert_eq!((score.points, &score.fate), (5.5, &Fate::Graded), "{id}: {score:#?}");
        assert_eq!(score.flags.is_empty(), *id != "sleeps", "{id}: {:?}", score.flags);
    }
    assert_eq!(class.score("build-script").points, 5.5);
    for id in ["proc-macro", "includes-the-reference", "path-to-the-reference", "includes-the-void"]
    {
        let score = class.score(id);
        assert_eq!(score.points, 0.0, "{id}: {score:#?}");
        assert_eq!(score.builds.len(), 1, "{id}");
    }
    for id in ["zip-bomb", "link"] {
        assert!(matches!(class.score(id).fate, Fate::Refused { .. }), "{id}");
    }
    assert_eq!(class.score("zzz-the-last-one").points, 10.0);

    // Nothing was written, nobody called, nobody stayed.
    assert_eq!(fs::read_dir(&loot).unwrap().count(), 0);
    assert!(listener.accept().is_err());
    assert!(eventually_gone("300"), "the fork bomb is still there");
}

/// Whether no process of `sleep ARGUMENT` is left. The kernel takes a moment to end five hundred.
fn eventually_gone(argument: &str) -> bool {
    let wanted = format!("/bin/sleep\0{argument}\0");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let mut lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        if !lines.any(|line| line == wanted.as_bytes()) {
            return true;
        }
        if Instant::now() > deadline {
            return false;
        }
        std::thread::yield_now();
    }
}

#[test]
fn whoever_replaces_the_judge_steps_on_a_wire() {
    // Without walls a submission can write where the judges are. Its own judge says pass to everything.
    let class = Class::new();
    let judges = class.path("course/target/grade/class/judges");
    let pass = r#"{\\\"tinykv_verdict\\\":1,\\\"test\\\":\\\"$2\\\",\\\"verdict\\\":\\\"pass\\\",\\\"seed\\\":1,\\\"seeds_run\\\":$n,\\\"broke\\\":\\\"\\\",\\\"facts\\\":[],\\\"hole\\\":null,\\\"inputs\\\":1,\\\"virtual_ms\\\":0}"#;
    let script = format!(
        "#!/bin/sh\\ns=$(echo \\\"$TINYKV_JUDGE\\\" | sed 's/--seeds //;s/ .*//;s/[0-9]//g')\\nn=$((${{#s}}+1))\\necho \\\"{pass}\\\"\\n"
    );
    let attack = format!(
        "use std::os::unix::fs::PermissionsExt; let judge = \"{0}/kv-judge\"; let _ = std::fs::remove_file(judge); std::fs::write(judge, \"{script}\").unwrap(); std::fs::set_permissions(judge, std::fs::Permissions::from_mode(0o755)).unwrap(); {WRONG}",
        judges.display()
    );
    class.hand_in("usurper", &class.with_get(&attack));
    class.grade(&["--no-sandbox"]).ends(1).says("void:");
    let score = class.score("usurper");
    assert_eq!(score.points, 0.0);
    assert!(
        matches!(score.fate, Fate::Void { ref why } if why.contains("passed in a world in which it cannot")),
        "{score:#?}"
    );
}
