//! What the machine lacks: a whole store, space, user namespaces, an engine.

use super::{NETWORK, ROOT, SANDBOX, check, code, common, fs, needs, rebuilder, rebuilder_in, text};

#[apply(test)]
fn a_corrupted_store_entry_is_set_aside_and_fetched_again() {
    needs(&[NETWORK, SANDBOX]);
    let plan = common::plan("pypi:idna==3.10");
    let digest = plan["inputs"][0]["file"]["sha256"].as_str().unwrap();
    let store = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    common::store_without(store.path(), digest);
    let entry = store.path().join("store/sha256").join(&digest[..2]).join(digest);
    fs::create_dir_all(entry.parent().unwrap()).unwrap();
    fs::write(&entry, "rotten").unwrap();
    let path = store.path().join("plan.json");
    fs::write(&path, plan.to_string()).unwrap();
    let output = rebuilder_in(store.path())
        .args(["rebuild", "--plan"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(fs::read_dir(store.path().join("quarantine")).unwrap().count(), 1);
    assert_ne!(fs::read(&entry).unwrap(), b"rotten");
    let check = rebuilder_in(store.path())
        .args(["--json", "store", "verify"])
        .output()
        .unwrap();
    assert_eq!(code(&check), 0, "{}", text(&check));
    common::remove_store(store.path());
}

#[apply(test)]
fn a_full_disk_leaves_nothing_half_written() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "mount -t tmpfs -o size=6m tmpfs {0} && {1} --store {0}/store --quiet rebuild deb:base-files; \
         code=$?; find {0}/store/tmp {0}/store/scratch -mindepth 1 | head; exit $code",
        folder.path().display(),
        common::BIN
    );
    let output = std::process::Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .output()
        .unwrap();
    check(&output, 4, &["no space in", "--store"]);
}

#[apply(test)]
fn a_kernel_without_user_namespaces_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "echo 0 > /proc/sys/user/max_user_namespaces && exec {} --store {} --quiet container build bookworm-build",
        common::BIN,
        folder.path().display()
    );
    let allowed = std::process::Command::new("unshare")
        .args(["-Ur", "true"])
        .status()
        .unwrap();
    if !allowed.success() {
        common::skip("a user namespace to take namespaces away in");
    }
    let doctor = script.replace("container build bookworm-build", "doctor");
    let doctor = std::process::Command::new("unshare")
        .args(["-Ur", "sh", "-c", &doctor])
        .output()
        .unwrap();
    assert_eq!(code(&doctor), 4, "{}", text(&doctor));
    assert!(text(&doctor).contains("max_user_namespaces"), "{}", text(&doctor));
    assert!(text(&doctor).contains("help:"), "{}", text(&doctor));
    let build = std::process::Command::new("unshare")
        .args(["-Ur", "sh", "-c", &script])
        .output()
        .unwrap();
    check(
        &build,
        4,
        &["the kernel forbids user namespaces", "max_user_namespaces"],
    );
}

#[apply(test)]
fn an_absent_engine_is_named() {
    needs(&[SANDBOX]);
    let mut command = rebuilder();
    command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").args([
        "rebuild",
        "deb:base-files",
        "--backend",
        "docker",
    ]);
    let output = command.output().unwrap();
    check(
        &output,
        4,
        &[
            "the docker backend does not work here",
            "/nowhere/docker.sock",
            "DOCKER_HOST",
        ],
    );
}
