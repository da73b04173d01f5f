//! The official Python wheel `tikv-client`, unmodified, against a real cluster in one process.
//!
//! It is an older client than the Rust one: it resolves locks by KvCleanup, and works through the regions of a scan in another way. The
//! script, `grader/interop/python/wheel.py`, checks what it reads. Without the wheel this test is skipped, and says so:
//!
//! ```text
//! python3 -m venv venv && venv/bin/pip install tikv-client==0.0.4
//! PYTHON=venv/bin/python cargo test -p interop --test main -- python --nocapture
//! ```

use std::path::Path;
use std::process::Command;

use crate::process::Server;

#[test]
fn the_wheel_does_raw_and_transactional_work() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let wheel = Command::new(&python).args(["-c", "import tikv_client"]).output();
    if !wheel.is_ok_and(|output| output.status.success()) {
        println!("skipped: {python} has no module tikv_client (pip install tikv-client==0.0.4)");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/wheel.py");
    for server in [Server::playground(None), Server::cluster()] {
        let output = Command::new(&python).arg(&script).arg(&server.pd_addr).output();
        let output = output.expect("it has just run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert!(output.stdout.starts_with(b"well"), "it ended early: {said}");
    }
}
