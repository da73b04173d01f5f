//! The self-test of the sandbox: it finds nothing where the walls hold, and something where they do not.

use std::path::{Path, PathBuf};

use class::place;
use class::sandbox::selftest::{self, Attempt};
use class::sandbox::{Kind, NOBODY, Room, Sandbox, Use};
use tempfile::TempDir;

use crate::support::{Class, can_make_rooms};

/// A sandbox whose helper stands where others may go, and a file that is secret.
fn sandbox(kind: Kind, uid: u32) -> (TempDir, Sandbox, PathBuf) {
    sandbox_in("/var/tmp", kind, uid)
}

fn sandbox_in(place: &str, kind: Kind, uid: u32) -> (TempDir, Sandbox, PathBuf) {
    use std::os::unix::fs::PermissionsExt;
    // A folder of the machine that everybody may pass through; another user has to reach the helper.
    let home = TempDir::new_in(place).unwrap();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let helper = home.path().join("helper");
    std::fs::copy(env!("CARGO_BIN_EXE_grade-class"), &helper).unwrap();
    let secret = home.path().join("secret");
    std::fs::write(&secret, "1 2 3").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let sandbox = Sandbox::find(Some(kind), uid, helper).unwrap();
    (home, sandbox, secret)
}

/// Whoever sweeps up after a user ends everything of that user; other tests have rooms of [`NOBODY`]'s.
const SWEPT: u32 = NOBODY - 1;

fn escaped(attempts: &[Attempt]) -> Vec<&str> {
    attempts.iter().filter(|a| a.escaped.is_some()).map(|a| a.what.as_str()).collect()
}

fn folder() -> Room {
    Room { folder: "/tmp".into(), ..Room::default() }
}

#[test]
fn the_burglar_stays_inside() {
    let Some(_alone) = can_make_rooms() else { return };
    let (home, sandbox, secret) = sandbox(Kind::Bwrap, NOBODY);
    let ours = [
        home.path().to_owned(),
        "/usr".into(),
        "/".into(),
        "/etc".into(),
        "/dev".into(),
        "/dev/shm".into(),
    ];
    let attempts =
        selftest::run(&sandbox, &folder(), &[secret, "/root".into(), "/home".into()], &ours)
            .unwrap();
    assert_eq!(escaped(&attempts), [""; 0]);
    // Nothing was left out: loopback and network, six folders, three secrets, the grader, limits, processes.
    assert_eq!(attempts.len(), 14, "{attempts:?}");
}

#[test]
fn a_hole_in_a_wall_is_found() {
    let Some(_alone) = can_make_rooms() else { return };
    let (home, sandbox, secret) = sandbox(Kind::Bwrap, NOBODY);
    let write = |room: &Room| {
        let attempts =
            selftest::run(&sandbox, room, std::slice::from_ref(&secret), &[home.path().to_owned()])
                .unwrap();
        escaped(&attempts).join("; ")
    };
    let shown = Room { readable: vec![secret.clone()], ..folder() };
    // Root's file, and root is not inside: with the right owner it can be read.
    let path = rustix::process::geteuid().is_root();
    if path {
        std::os::unix::fs::chown(&secret, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    assert_eq!(write(&shown), format!("read {}", secret.display()));
    if path {
        std::os::unix::fs::chown(home.path(), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let open = Room { writable: vec![home.path().to_owned()], ..folder() };
    assert!(write(&open).starts_with(&format!("write into {}", home.path().display())));
    let many = Room { limits: Use { processes: 5000, ..Use::default() }, ..folder() };
    assert_eq!(write(&many), "start 500 processes");
}

/// A room has a `/tmp` of its own, in which it may write. What of the machine's is shown there it may not touch, also if the grader is
/// not root, so that whoever is inside owns the folders on the way (run as root, this sees only that all is in its place).
#[test]
fn a_workshop_below_tmp_is_as_closed_as_any() {
    let Some(_alone) = can_make_rooms() else { return };
    let (home, sandbox, secret) = sandbox_in("/tmp", Kind::Bwrap, NOBODY);
    let (shown, open) = (home.path().join("work/shown"), home.path().join("work/open"));
    for folder in [&shown, &open] {
        std::fs::create_dir_all(folder).unwrap();
    }
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&open, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let room = Room { readable: vec![shown.clone()], writable: vec![open.clone()], ..folder() };
    let ours = [home.path().to_owned(), home.path().join("work"), shown, open.clone()];
    let attempts = selftest::run(&sandbox, &room, &[secret], &ours).unwrap();
    assert_eq!(escaped(&attempts), [format!("write into {}", open.display())]);
}

#[test]
fn another_user_is_a_sandbox_only_without_a_network() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let (home, sandbox, secret) = sandbox(Kind::Uid, SWEPT);
    let ours = [home.path().to_owned(), "/usr".into(), "/".into(), "/etc".into()];
    let attempts = selftest::run(&sandbox, &folder(), &[secret], &ours).unwrap();
    place::sweep_user(SWEPT);
    // Whether there is a network is this machine's business; everything else has to hold.
    let others: Vec<&str> =
        escaped(&attempts).into_iter().filter(|what| *what != selftest::NETWORK).collect();
    assert_eq!(others, [""; 0], "{attempts:?}");
    assert!(attempts.iter().any(|attempt| attempt.what == selftest::NETWORK));
}

#[test]
fn without_walls_nobody_is_graded_unless_somebody_says_so() {
    let class = Class::new();
    class.hand_in("all", &class.reference);
    let path = std::env::var("PATH").unwrap_or_default();
    let without: Vec<&str> =
        path.split(':').filter(|dir| !Path::new(dir).join("bwrap").exists()).collect();
    let (folder, out) = (class.path("in"), class.path("out"));
    let mut command = class.command(&[
        folder.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
        "--sandbox",
        "bwrap",
    ]);
    command.env("PATH", without.join(":"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("bubblewrap does not work here"));
    assert!(!out.exists());
    class.grade(&["--no-sandbox"]).ends(0).says("NO SANDBOX");
    assert_eq!(class.score("all").points, 10.0);
    assert_eq!(class.score("all").conditions.sandbox, "none");
}
