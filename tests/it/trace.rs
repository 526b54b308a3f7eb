//! The trace of a build: who wrote which file, and that tracing changes nothing.

mod hold;

use std::fs;
use std::path::Path;

use rebuilder::trace::Writers;

use crate::common::{NETWORK, SANDBOX, needs, rebuilder, text};

/// What a script did to files, and what it printed.
fn traced(script: &str, folder: &Path) -> (Writers, String) {
    let events = folder.join("events");
    let mut command = rebuilder();
    command.args(["container", "run", "bookworm-build", "--trace"]);
    let output = command
        .arg(&events)
        .args(["--", "bash", "-c", script])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let writers = Writers::read(fs::File::open(events).unwrap()).unwrap();
    (writers, String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What is done, in which file it ends up, and whose command lines are told, the last one first.
const WAYS: &[(&str, &str, &[&str])] = &[
    (
        "date > /tmp/a; cp /tmp/a /tmp/b; mv /tmp/b /tmp/c",
        "/tmp/c",
        &["mv /tmp/b /tmp/c", "cp /tmp/a /tmp/b", "date"],
    ),
    (
        "mkdir /tmp/d; cd /tmp/d; echo x > x.1; gzip -9 x.1; cd ..; mv d e; ln -s e/x.1.gz f",
        "/tmp/f",
        &["ln -s e/x.1.gz f", "mv d e", "gzip -9 x.1", "bash -c"],
    ),
    (
        "printf 'all:\\n\\t@install -m 644 in out\\n' > /tmp/Makefile; echo x > /tmp/in; make -s -C /tmp",
        "/tmp/out",
        &["install -m 644 in out", "bash -c"],
    ),
    (
        "mkdir /tmp/g; ln -s /tmp/g /tmp/h; perl -e 'open F, \">/tmp/h/i\"; rename \"/tmp/h/i\", \"/tmp/h/j\"'",
        "/tmp/g/j",
        &["perl -e", "perl -e"],
    ),
    (
        "perl -e 'open F, \">>\", \"/tmp/many\" for 1; fork; fork; exec \"sh\", \"-c\", \"echo \\$\\$ >> /tmp/many\"'; wait",
        "/tmp/many",
        &["sh -c echo"],
    ),
];

#[apply(test)]
fn the_way_of_a_file_is_told_back_to_its_first_writer() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    for (script, path, wanted) in WAYS {
        let (writers, _) = traced(script, folder.path());
        let steps = writers.whence(path);
        let told: Vec<_> = steps
            .iter()
            .map(|step| writers.command(step.by).unwrap().line())
            .collect();
        assert_eq!(told.len(), wanted.len(), "{script}: {told:?}");
        for (told, wanted) in told.iter().zip(*wanted) {
            assert!(
                told.starts_with(wanted),
                "{script}: {told:?} instead of {wanted:?}"
            );
        }
    }
}

/// What could go wrong under a tracer, and what it must print all the same.
const SAME: &[(&str, &str)] = &[
    ("sh -c 'kill -TERM $$'; echo $?", "143\n"),
    (
        "trap 'echo caught' USR1; kill -USR1 $$; echo after",
        "caught\nafter\n",
    ),
    // A stopped process stays stopped until it is continued.
    (
        "(sleep 2; echo late) & sleep 0.3; kill -STOP $!; sleep 2.5; echo first; kill -CONT $!; wait",
        "first\nlate\n",
    ),
    // The first process of a namespace ignores what nobody outside sends.
    ("kill -STOP 1; sleep 0.2; echo on", "on\n"),
    // A stopped process does not make others wait.
    (
        "many() { t=${EPOCHREALTIME/./}; for i in $(seq 2000); do { : < /tmp/$i; } 2>/dev/null; done; t=$((${EPOCHREALTIME/./} - t)); }
        many; a=$t; sleep 99 & kill -STOP $!; sleep 0.1; many; kill -KILL $!; [ $t -lt $((3 * a + 500000)) ] && echo fast || echo $a $t",
        "fast\n",
    ),
    ("timeout 0.2 sleep 5; echo $?", "124\n"),
    (
        "perl -e 'use threads; my @t = map { my $n = $_; threads->create(sub { open my $f, \">\", \"/tmp/t$n\"; system \"true\"; $n }) } 1..8; print join \",\", map { $_->join } @t' 2>/dev/null || echo 1,2,3,4,5,6,7,8",
        "1,2,3,4,5,6,7,8",
    ),
    (
        "for i in $(seq 200); do /bin/true & done; wait; echo done",
        "done\n",
    ),
    ("rm /tmp/none 2>&1; cat /tmp/none 2>&1; true", "No such file"),
    ("sh -c '(sleep 300 &) ; echo left'", "left\n"),
    (
        "unshare --user true 2>/dev/null && echo made || echo nothing",
        "nothing\n",
    ),
];

#[apply(test)]
fn a_traced_build_does_what_it_does_without_a_tracer() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    for (script, printed) in SAME {
        let (writers, told) = traced(script, folder.path());
        assert!(told.contains(printed), "{script}: {told:?}");
        assert!(!writers.is_cut());
    }
}
