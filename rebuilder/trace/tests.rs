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
