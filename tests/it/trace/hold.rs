//! What a build could do to get away from its tracer, or to learn what the tracer hides.

use std::fs;
use std::path::Path;

use crate::common::{NETWORK, SANDBOX, code, needs, rebuilder, text};

const TRACEE: &str = include_str!("tracee.c");

/// Compiles the tracee in the container, and has it do these things under the recorder.
fn recorded(what: &str, folder: &Path) -> String {
    fs::write(folder.join("tracee.c"), TRACEE).unwrap();
    let mut command = rebuilder();
    command.args(["container", "run", "bookworm-build", "--trace"]);
    let output = command
        .arg(folder.join("events"))
        .arg("--input")
        .arg(folder.join("tracee.c"))
        .args(["--", "sh", "-c"])
        .arg(format!(
            "gcc -w -pthread -o /tmp/tracee /inputs/tracee.c; /tmp/tracee {what}"
        ))
        .output()
        .unwrap();
    text(&output)
}

#[apply(test)]
fn signals_and_children_are_as_they_are_without_a_tracer() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    for what in ["cancel", "ids", "realtime", "early"] {
        let said = recorded(what, folder.path());
        assert!(said.contains("done"), "{what}: {said}");
    }
}

#[apply(test)]
fn nothing_gets_away_from_the_tracer() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let said = recorded("untraced tracer listener", folder.path());
    assert!(said.contains("done"), "{said}");
}

#[apply(test)]
fn nothing_tells_another_time_than_the_clock_that_is_shown() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tracee.c"), TRACEE).unwrap();
    fs::write(
        folder.path().join("Makefile"),
        "out.txt:\n\tgcc -w -pthread -o .tracee tracee.c\n\t./.tracee clocks waits untraced tracer listener >$@ || { cat $@; exit 1; }\n\trm .tracee\n",
    )
    .unwrap();
    let mut command = rebuilder();
    command.args(["prove", "--vary", "clock,listing-order", "--patches", "0"]);
    let output = command.arg(folder.path()).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
}

#[apply(test)]
fn a_folder_whose_path_is_too_long_hides_nothing() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let script =
        "n=$(printf %0200d 0); cd /tmp; for i in $(seq 25); do mkdir $n; cd -P $n 2>/dev/null || cd $n; done
echo secret > f; mv f /tmp/x; cd /; rm -r /tmp/0*";
    let mut command = rebuilder();
    command.args(["container", "run", "bookworm-build", "--trace"]);
    let output = command
        .arg(folder.path().join("events"))
        .args(["--", "bash", "-c", script])
        .output()
        .unwrap();
    let events = fs::read_to_string(folder.path().join("events")).unwrap();
    let told = |what: &str| events.lines().any(|line| line.contains(what));
    assert!(told(r#""path":"?""#), "{}", text(&output));
    assert!(told(r#""from":"?","to":"/tmp/x""#), "{}", text(&output));
}
