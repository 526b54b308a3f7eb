//! Patches, as `patch` reads them.

use super::super::Patch;

#[test]
fn a_patch_is_a_unified_diff() {
    let mut patch = Patch::default();
    let old = "a\nb\nc\nd\ne\n";
    patch.set("d/Makefile", old, old.replace("c\n", "C\n"));
    assert_eq!(
        patch.diff(),
        "--- a/d/Makefile\n+++ b/d/Makefile\n@@ -1,5 +1,5 @@\n a\n b\n-c\n+C\n d\n e\n"
    );
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x"), "one\ntwo").unwrap();
    let mut patch = Patch::default();
    patch.set("x", "one\ntwo", "one\nTWO".to_owned());
    let mut command = std::process::Command::new("patch");
    command
        .args(["-p1", "-s", "-d"])
        .arg(folder.path())
        .stdin(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), patch.diff().as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(
        std::fs::read_to_string(folder.path().join("x")).unwrap(),
        "one\nTWO"
    );
}

/// `patch` says where it had to look for a hunk that is not where its numbers say.
#[test]
fn hunks_are_where_their_numbers_say() {
    let lines: Vec<_> = (1..=20).map(|number| format!("line {number}\n")).collect();
    let old = lines.concat();
    let folder = tempfile::tempdir().unwrap();
    let changes = (0..20).flat_map(|one| [(one, one), (one, (one * 7 + 3) % 20), (one, (one + 7) % 20)]);
    for (one, other) in changes {
        let mut new = lines.clone();
        new[one] = "changed\nand more\n".to_owned();
        new[other].clear();
        let (new, path) = (new.concat(), folder.path().join("x"));
        std::fs::write(&path, &old).unwrap();
        let mut patch = Patch::default();
        patch.set("x", &old, new.clone());
        let diff = folder.path().join("diff");
        std::fs::write(&diff, patch.diff()).unwrap();
        let mut command = std::process::Command::new("patch");
        command
            .args(["-p1", "-F0", "-d"])
            .arg(folder.path())
            .arg("-i")
            .arg(&diff);
        let said = command.output().unwrap();
        assert_eq!(
            String::from_utf8_lossy(&said.stdout),
            "patching file x\n",
            "{}",
            patch.diff()
        );
        assert_eq!(std::fs::read_to_string(&path).unwrap(), new);
    }
}

#[test]
fn a_patch_on_top_of_another_tells_only_what_is_new() {
    let old = "a\nb\nc\n";
    let mut base = Patch::default();
    base.set("x", old, "A\nb\nc\n".to_owned());
    let mut both = base.clone();
    both.set("x", old, "A\nb and d\nc\n".to_owned());
    assert_eq!(
        both.diff_from(&base),
        "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n A\n-b\n+b and d\n c\n"
    );
    assert_eq!(
        both.diff(),
        "--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n-a\n-b\n+A\n+b and d\n c\n"
    );
}
