#![allow(clippy::unwrap_used)]

use super::{How, Writers};

fn writers(events: &str) -> Writers {
    Writers::read(events.as_bytes()).unwrap()
}

const PAGE: &str = r#"{"start":{"p":0}}
{"exec":{"p":0,"argv":["/bin/sh","-eu","-c","make"],"cwd":"/build"}}
{"start":{"p":1,"by":0}}
{"exec":{"p":1,"argv":["make"],"cwd":"/build"}}
{"start":{"p":2,"by":1}}
{"exec":{"p":2,"argv":["cp","x.1","tmp/x.1"],"cwd":"/build"}}
{"read":{"p":2,"path":"/build/x.1"}}
{"open":{"p":2,"path":"/build/tmp/x.1"}}
{"end":{"p":2}}
{"start":{"p":3,"by":1}}
{"exec":{"p":3,"argv":["/bin/gzip","-9","tmp/x.1"],"cwd":"/build"}}
{"read":{"p":3,"path":"/build/tmp/x.1"}}
{"open":{"p":3,"path":"/build/tmp/x.1.gz"}}
{"remove":{"p":3,"path":"/build/tmp/x.1"}}
{"end":{"p":3}}
{"start":{"p":4,"by":1}}
{"exec":{"p":4,"argv":["mv","tmp","out"],"cwd":"/build"}}
{"move":{"p":4,"from":"/build/tmp","to":"/build/out"}}
"#;

#[test]
fn a_file_is_followed_through_renamed_folders_compressors_and_copies() {
    let writers = writers(PAGE);
    let steps = writers.whence("/build/out/x.1.gz");
    let told: Vec<_> = steps
        .iter()
        .map(|step| {
            (
                writers.command(step.by).unwrap().program(),
                step.path.as_str(),
                step.how,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("mv", "/build/out/x.1.gz", How::Moved),
            ("gzip", "/build/tmp/x.1.gz", How::Written),
            ("cp", "/build/tmp/x.1", How::Written),
        ]
    );
    assert_eq!(steps.last().unwrap().from.as_deref(), Some("/build/x.1"));
    let chain = writers.chain(steps[1].by);
    let chain: Vec<_> = chain.iter().map(|(_, command)| command.line()).collect();
    assert_eq!(chain, ["/bin/gzip -9 tmp/x.1", "make", "/bin/sh -eu -c make"]);
    assert_eq!(writers.slice("/build/out/x.1.gz").sources, ["/build/x.1"]);
    let both = writers.slice_of(["/build/tmp/x.1", "/build/none", "/build/out/x.1.gz"]);
    let both: Vec<_> = both.processes.iter().map(|hand| hand.process).collect();
    assert_eq!(both, [2, 3]);
}

const PIPE: &str = r#"{"start":{"p":0}}
{"exec":{"p":0,"argv":["sh","-c","tar c d | gzip > x.tar.gz"],"cwd":"/b"}}
{"start":{"p":1,"by":0}}
{"start":{"p":2,"by":0}}
{"open":{"p":2,"path":"/b/x.tar.gz"}}
{"exec":{"p":2,"argv":["gzip"],"cwd":"/b","out":"/b/x.tar.gz"}}
{"exec":{"p":1,"argv":["tar","c","d"],"cwd":"/b"}}
{"read":{"p":1,"path":"/b/d/one"}}
{"end":{"p":1}}
{"end":{"p":2}}
{"start":{"p":3,"by":0}}
{"exec":{"p":3,"argv":["true"],"cwd":"/b"}}
{"end":{"p":3}}
"#;

#[test]
fn a_pipeline_is_one_maker_and_what_ran_later_has_no_part() {
    let writers = writers(PIPE);
    let makers = writers.makers("/b/x.tar.gz");
    let programs: Vec<_> = makers
        .iter()
        .map(|hand| writers.command(*hand).unwrap().program())
        .collect();
    assert_eq!(programs, ["gzip", "tar"]);
    assert_eq!(writers.member("/b/x.tar.gz", "./d/one").unwrap(), "/b/d/one");
    assert_eq!(writers.member("/b/x.tar.gz", "./ne"), None);
}

#[test]
fn lines_that_are_no_events_are_refused_and_numbers_cost_nothing() {
    assert!(Writers::read(&b"{\"what\":1}\n"[..]).is_err());
    let far = writers("{\"start\":{\"p\":4294967295,\"by\":7}}\n{\"end\":{\"p\":9}}\n");
    assert!(far.count() < 100);
}

#[test]
fn a_number_that_no_process_can_have_takes_no_room() {
    for number in [5_000, 4_194_303, u32::MAX] {
        let writers = writers(&format!("{{\"start\":{{\"p\":{number}}}}}\n"));
        assert!(writers.count() <= 1025, "{number}: {}", writers.count());
    }
}

/// A build can write any number into the record, and must not put the blame for a file on another process.
#[test]
fn what_a_number_that_no_process_can_have_did_is_nobodys() {
    let events = r#"{"start":{"p":0}}
{"exec":{"p":0,"argv":["make"],"cwd":"/b"}}
{"exec":{"p":5000,"argv":["cp","a","b"],"cwd":"/b"}}
{"read":{"p":5000,"path":"/b/a"}}
{"open":{"p":5000,"path":"/b/b"}}
{"mode":{"p":5000,"path":"/b/b"}}
{"move":{"p":5000,"from":"/b/b","to":"/b/c"}}
{"end":{"p":5000}}
"#;
    let writers = writers(events);
    let steps = writers.whence("/b/c");
    let told: Vec<_> = steps.iter().map(|step| (step.path.as_str(), step.how)).collect();
    assert_eq!(told, [("/b/c", How::Moved), ("/b/b", How::Written)]);
    let hands = steps.iter().map(|step| step.by).chain(writers.attributes("/b/b"));
    for hand in hands {
        assert_eq!(writers.command(hand), None, "{hand:?}");
    }
    assert_eq!(writers.reads(0).count(), 0);
    assert_eq!(writers.that_ran(&["cp"]).count(), 0);
    assert!(writers.slice("/b/c").sources.is_empty());
}

/// Many events of one kind, the last file of which is `/b/last`.
type Many = fn(u32, &mut dyn FnMut(String));

fn start(p: u32, by: u32, words: &str) -> String {
    let argv: Vec<_> = words.split(' ').collect();
    let exec = serde_json::json!({"exec": {"p": p, "argv": argv, "cwd": "/b"}});
    format!("{{\"start\":{{\"p\":{p},\"by\":{by}}}}}\n{exec}\n")
}

fn read(p: u32, path: &str) -> String {
    format!("{{\"read\":{{\"p\":{p},\"path\":\"{path}\"}}}}\n")
}

fn open(p: u32, path: &str) -> String {
    format!("{{\"open\":{{\"p\":{p},\"path\":\"{path}\"}}}}\n")
}

/// Builds of 100,000 events, and how many processes and sources the last file depends on.
const LARGE: &[(&str, Many, usize, usize)] = &[
    (
        "a shell that runs one program after the other, each on what the one before left",
        |count, add| {
            for p in 1..=count / 5 {
                add(start(p, 0, "sed s/a/b/"));
                add(read(p, &format!("/b/{}", p - 1)));
                add(open(
                    p,
                    &if p == count / 5 {
                        "/b/last".to_owned()
                    } else {
                        format!("/b/{p}")
                    },
                ));
                add(format!("{{\"end\":{{\"p\":{p}}}}}\n"));
            }
        },
        4097,
        0,
    ),
    (
        "the same beside a program that never ends",
        |count, add| {
            add(start(1, 0, "server"));
            for p in 2..=count / 5 {
                add(start(p, 0, "cc"));
                add(read(p, "/b/one.c"));
                add(open(p, "/b/last"));
                add(format!("{{\"end\":{{\"p\":{p}}}}}\n"));
            }
        },
        34,
        1,
    ),
    (
        "a shell that starts everything at once",
        |count, add| {
            for p in 1..=count / 4 {
                add(start(p, 0, "cc"));
                add(read(p, &format!("/b/{p}.c")));
                add(open(
                    p,
                    &if p == 7 {
                        "/b/last".to_owned()
                    } else {
                        format!("/b/{p}.o")
                    },
                ));
            }
        },
        25_000,
        25_000,
    ),
    (
        "a program that copies many files of one name",
        |count, add| {
            add(start(1, 0, "cp -r from to"));
            for n in 0..count / 3 {
                add(read(1, &format!("/b/from/{n}/index")));
                add(open(1, &format!("/b/to/{n}/index")));
            }
            add(start(2, 0, "tar c to"));
            for n in 0..count / 3 {
                add(read(2, &format!("/b/to/{n}/index")));
            }
            add(open(2, "/b/last"));
        },
        2,
        33_333,
    ),
    (
        "one that renames many files, and many that are read and were never renamed",
        |count, add| {
            add(start(1, 0, "install"));
            for n in 0..count / 2 {
                add(format!(
                    "{{\"move\":{{\"p\":1,\"from\":\"/b/{n}.new\",\"to\":\"/b/{n}\"}}}}\n"
                ));
                add(read(1, &format!("/b/src/{n}.c")));
            }
            add(open(1, "/b/last"));
        },
        1,
        50_000,
    ),
    (
        "one that opens a file again and again",
        |count, add| {
            add(start(1, 0, "logger"));
            (0..count / 2).for_each(|_| add(open(1, "/b/log")));
            for p in 2..=count / 8 {
                add(start(p, 0, "cat"));
                add(read(p, "/b/log"));
                add(open(p, "/b/last"));
            }
        },
        12_500,
        0,
    ),
];

#[test]
fn a_build_of_many_events_is_looked_through_in_about_as_many_steps() {
    for (what, many, processes, sources) in LARGE {
        let mut events = PAGE
            .lines()
            .take(2)
            .fold(String::new(), |all, line| all + line + "\n");
        many(100_000, &mut |event| events.push_str(&event));
        assert!(events.lines().count() > 90_000, "{what}");
        let writers = writers(&events);
        let begun = std::time::Instant::now();
        let slice = writers.slice("/b/last");
        let took = begun.elapsed();
        assert_eq!(
            (slice.processes.len(), slice.sources.len()),
            (*processes, *sources),
            "{what}"
        );
        // It takes seconds without optimisation on a busy machine; a look at everything for each event takes minutes.
        assert!(took.as_secs() < 60, "{what}: {took:?}");
    }
}
