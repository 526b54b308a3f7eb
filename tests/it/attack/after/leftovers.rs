//! What a run before has left.

use std::fs;
use std::path::PathBuf;

use super::{Duration, Ground, Instant, Stdio, code, json, must, pending, plan, text};

pub(super) fn leftovers(ground: &Ground) -> Result<(), String> {
    // Beside a folder that the user named, and below the store's runs. Other suites use that store as well.
    for wanted in [Some(ground.folder()), None] {
        let mut plan = plan();
        plan["build"]["steps"] = json!([{"name": "test", "run": "sleep 60"}]);
        let file = ground.write("plan.json", plan.to_string());
        let mut command = ground.rebuilder();
        command.args(["rebuild", "--plan"]).arg(&file);
        if let Some(folder) = wanted {
            command.arg("--out").arg(folder.join("run"));
        }
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let mut left = Vec::new();
        while left.is_empty() && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(20));
            left = held(child.id());
        }
        child.kill().unwrap();
        child.wait().unwrap();
        must(!left.is_empty(), "no folder was begun")?;
        // The next run, which fails at once and is about another folder.
        let other = ground.folder().join("elsewhere/run");
        let next = ground
            .rebuilder()
            .args(["rebuild", "--plan", "/nonexistent", "--out"])
            .arg(other)
            .output();
        must(code(&next.unwrap()) == 2, "the next run went on")?;
        left.retain(|folder| folder.symlink_metadata().is_ok());
        must(left.is_empty(), format!("{left:?} stays"))?;
    }
    Ok(())
}

/// The folders of runs that a process fills: it holds a lock on each.
fn held(process: u32) -> Vec<PathBuf> {
    let handles = fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten();
    let targets = handles.filter_map(|handle| fs::read_link(handle.ok()?.path()).ok());
    let is_run = |target: &PathBuf| {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(".rebuilding-") && target.is_dir()
    };
    targets.filter(is_run).collect()
}

pub(super) fn part_of_a_failed_run(ground: &Ground) -> Result<(), String> {
    for script in [
        "ln -s /etc/passwd /out/link; echo x > /out/a".to_owned(),
        "mkfifo /out/pipe; echo x > /out/a".to_owned(),
        "mkdir /out/folder; echo x > /out/a".to_owned(),
    ] {
        let output = ground.rebuild(&plan(), &script);
        must(code(&output) == 4, text(&output))?;
        must(
            !ground.folder().join("run").exists(),
            format!("{script}: a part is in the run's folder"),
        )?;
        must(
            pending(ground.folder()).is_empty(),
            format!("{script}: a part is beside it"),
        )?;
    }
    Ok(())
}
