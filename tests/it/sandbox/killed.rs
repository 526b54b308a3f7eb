//! What is left of a run whose processes were ended.

use std::io::{Read, Seek};

use super::{
    Command, DOCKER, Duration, Instant, NETWORK, Path, SANDBOX, backends, common, fs, needs, part_needs, text,
};

pub(super) fn wait_until(what: &str, holds: impl FnMut() -> bool) {
    wait_at_most(Duration::from_mins(2), what, holds);
}

fn wait_at_most(limit: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < limit, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub(super) fn sleepers(marker: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    processes
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| line.starts_with(format!("sleep\0{marker}").as_bytes()))
        .count()
}

/// How long a build sleeps that no other process of these tests starts.
pub(super) fn marker(number: u32) -> String {
    format!(
        "{}",
        1_000_000 + u64::from(std::process::id()) * 10 + u64::from(number)
    )
}

/// Starts a run that sleeps, and waits until it does.
pub(super) fn start_sleeping(store: &Path, backend: &str, marker: &str) -> std::process::Child {
    let mut command = common::rebuilder_in(store);
    command.args([
        "container",
        "run",
        "bookworm-build",
        "--backend",
        backend,
        "--",
        "sh",
        "-c",
        &format!("sleep {marker} & wait"),
    ]);
    let mut output = tempfile::tempfile().unwrap();
    let mut child = command
        .stdout(output.try_clone().unwrap())
        .stderr(output.try_clone().unwrap())
        .spawn()
        .unwrap();
    // An engine that other tests keep busy takes minutes to import the container's image.
    wait_at_most(Duration::from_mins(10), "the build runs", || {
        if let Some(status) = child.try_wait().unwrap() {
            let mut said = String::new();
            output.rewind().unwrap();
            output.read_to_string(&mut said).unwrap();
            panic!("{backend}: the run ended at once, {status}: {said}");
        }
        sleepers(marker) > 0
    });
    child
}

pub(super) fn scratch_folders(store: &Path) -> usize {
    fs::read_dir(store.join("scratch")).unwrap().count()
}

pub(super) fn mounts_of(store: &Path) -> usize {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    mounts
        .lines()
        .filter(|line| line.contains(store.to_str().unwrap()))
        .count()
}

/// A store of its own, so that other tests' running builds do not count; it borrows the fetched packages.
pub(super) fn own_store(folder: &Path) {
    common::store_without(folder, "");
    let made = common::rebuilder_in(folder)
        .args(["container", "build", "bookworm-build"])
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", text(&made));
}

#[apply(test)]
fn a_killed_worker_leaves_nothing_behind() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().to_owned();
    own_store(&store);

    let mut child = start_sleeping(&store, "embedded", &marker(1));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_until("the killed worker's build has ended", || {
        sleepers(&marker(1)) == 0
    });
    assert!(scratch_folders(&store) > 0, "the killed run had a scratch folder");
    let next = common::rebuilder_in(&store).arg("doctor").output().unwrap();
    assert!(next.status.success(), "{}", text(&next));
    assert_eq!((scratch_folders(&store), mounts_of(&store)), (0, 0));

    if part_needs(&DOCKER) {
        let mut child = start_sleeping(&store, "docker", &marker(2));
        child.kill().unwrap();
        child.wait().unwrap();
        let next = common::rebuilder_in(&store).arg("doctor").output().unwrap();
        assert!(next.status.success(), "{}", text(&next));
        wait_until("the container is gone", || sleepers(&marker(2)) == 0);
        assert_eq!(scratch_folders(&store), 0);
    }
    common::remove_store(&store);
}

#[apply(test)]
fn an_interrupted_run_cleans_up_by_itself() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().to_owned();
    own_store(&store);
    for (backend, marker) in backends().into_iter().zip([marker(3), marker(4)]) {
        // It has a second to clean up, which may be too short on a busy machine; then the next start does it.
        let in_time = (0..3).any(|_| {
            let mut child = start_sleeping(&store, backend, &marker);
            Command::new("kill")
                .args(["-INT", &child.id().to_string()])
                .status()
                .unwrap();
            let status = child.wait().unwrap();
            assert_eq!(status.code(), Some(130), "{backend}");
            wait_until("the interrupted build has ended", || sleepers(&marker) == 0);
            scratch_folders(&store) == 0
        });
        assert!(in_time, "{backend}: each interrupted run left a scratch folder");
    }
    common::remove_store(&store);
}
