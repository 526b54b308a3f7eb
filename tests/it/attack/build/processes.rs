//! Processes that try to outlive their build.

use super::{Duration, Ground, Instant, Stdio, common, fs, must, run};

pub(super) fn marker() -> String {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let next = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    format!(
        "{}",
        700_000 + u64::from(std::process::id()) * 1000 + u64::from(next)
    )
}

pub(super) fn sleepers(marker: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| String::from_utf8_lossy(line).contains(marker))
        .count()
}

pub(super) fn gone(marker: &str) -> Result<(), String> {
    let begun = Instant::now();
    while sleepers(marker) > 0 {
        must(
            begun.elapsed() < Duration::from_secs(5),
            format!("{} processes of the build still run", sleepers(marker)),
        )?;
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A child that makes the build's first process forget whose death it should follow, by tracing it.
pub(super) const CLEARING: &str = "cat > /tmp/c.py <<'P'
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
print('attach', libc.ptrace(16, 1, 0, 0))
P
python3 /tmp/c.py; python3 -c 'import ctypes; ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)'; sleep MARKER";

pub(super) fn outlives(ground: &Ground, script: &str) -> Result<(), String> {
    let marker = marker();
    let said = run(ground, &[], &script.replace("MARKER", &marker), 3);
    must(said.contains("time limit"), format!("it was not stopped: {said}"))?;
    gone(&marker)
}

pub(super) fn killed(ground: &Ground) -> Result<(), String> {
    let marker = marker();
    let script = format!("trap '' HUP TERM INT; setsid sh -c 'sleep {marker}' & sleep {marker}");
    let mut command = ground.rebuilder();
    command
        .args([
            "container",
            "run",
            "bookworm-build",
            "--backend",
            ground.backend,
            "--",
            "sh",
            "-c",
            &script,
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while sleepers(&format!("sleep\0{marker}")) < 2 && begun.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // An engine's containers end with the next command on the same store.
    let swept = ground.rebuilder().arg("doctor").output().unwrap();
    must(swept.status.success(), common::text(&swept))?;
    gone(&marker)
}
