//! What audits remember, in SQLite and in PostgreSQL.

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};

use crate::common::postgres::{POSTGRES, Postgres};
use crate::common::{
    NETWORK, SANDBOX, code, json as document, needs, part_needs, rebuilder, rebuilder_in, text,
};

/// Runs the story with each database; a story has a store and the database's address.
fn with_each(story: fn(&Path, &str)) {
    let store = tempfile::tempdir().unwrap();
    let file = format!("sqlite:{}", store.path().join("of audits.sqlite").display());
    story(store.path(), &file);
    if part_needs(&POSTGRES) {
        let (store, server) = (tempfile::tempdir().unwrap(), Postgres::start());
        story(store.path(), &server.url());
    }
}

fn audit(store: &Path, memory: &str, arguments: &[&str]) -> Output {
    let mut command = rebuilder_in(store);
    command.args(["--offline", "audit"]).args(arguments);
    command.args(["--memory", memory]).output().unwrap()
}

fn line(subject: &str, verdict: &str, day: u8) -> Value {
    json!({
        "subject": subject, "verdict": verdict, "causes": ["timestamp"], "outputs": [1, 1], "attempts": 1,
        "started": format!("2025-03-{day:02}T01:00:00Z"), "finished": format!("2025-03-{day:02}T01:00:09Z"),
        "spent": {"build": 1.0, "setup": 0.0, "resolve": 0.0, "download": 0.0, "own": 0.0, "total": 1.0}
    })
}

fn write(path: &Path, lines: &[Value]) {
    let text: Vec<_> = lines.iter().map(|line| line.to_string() + "\n").collect();
    fs::write(path, text.concat()).unwrap();
}

#[apply(test)]
fn a_folder_of_an_earlier_version_is_taken_up_and_what_got_worse_comes_first() {
    with_each(|store, memory| {
        let list = store.join("list.txt");
        fs::write(&list, "pypi:idna==3.4\npypi:tomli==2.0.1\n").unwrap();
        let out = store.join("out");
        fs::create_dir(&out).unwrap();
        let results = out.join("results.jsonl");
        let run = |more: &[&str]| {
            let out = out.to_str().unwrap();
            let arguments = [&["run", list.to_str().unwrap(), "--out", out], more].concat();
            audit(store, memory, &arguments)
        };
        write(
            &results,
            &[
                line("pypi:idna==3.4", "reproduced", 1),
                line("pypi:tomli==2.0.1", "reproduced", 1),
            ],
        );
        let first = run(&[]);
        assert_eq!(code(&first), 0, "{}", text(&first));
        assert!(text(&first).starts_with("regressed: 0\n"), "{}", text(&first));
        assert!(
            text(&first).contains("not rebuilt: 2 packages have a verdict"),
            "{}",
            text(&first)
        );

        // What another process finished before it was killed.
        write(
            &results,
            &[
                line("pypi:idna==3.4", "mismatch", 2),
                line("pypi:tomli==2.0.1", "reproduced", 1),
            ],
        );
        let second = run(&[]);
        assert_eq!(code(&second), 6, "{}", text(&second));
        let told = text(&second);
        let mut lines = told.lines();
        assert_eq!(lines.next(), Some("regressed: 1"));
        assert_eq!(
            lines.next(),
            Some("  pypi:idna==3.4 (3.4): reproduced in run 1, mismatch in run 3")
        );
        // Nothing is taken up twice.
        let third = run(&[]);
        assert_eq!(code(&third), 6, "{}", text(&third));

        let name = out.canonicalize().unwrap().display().to_string();
        let status = audit(store, memory, &["status", &name, "--json"]);
        assert_eq!(code(&status), 6, "{}", text(&status));
        let status = &document(&status)["audits"][0];
        assert_eq!(status["verdicts"], json!({"mismatch": 1, "reproduced": 1}));
        let rebuilds: Vec<_> = status["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| &run["rebuilds"])
            .collect();
        assert_eq!(rebuilds, [2, 0, 1, 0, 0]);
        let diff = audit(
            store,
            memory,
            &[
                "diff",
                &format!("{name}@1"),
                &format!("{name}@2025-03-02"),
                "--json",
            ],
        );
        assert_eq!(code(&diff), 6, "{}", text(&diff));
        assert_eq!(
            document(&diff)["differences"],
            json!([{"change": "regressed", "subject": "pypi:idna==3.4", "was": "reproduced", "is": "mismatch"}])
        );
        // What is long ago is done again, and fails here without a network: nothing is known of it, and nothing forgotten.
        let old = run(&["--older-than", "30d", "--json"]);
        assert_eq!(code(&old), 6, "{}", text(&old));
        let old = document(&old);
        assert_eq!(
            (&old["rebuilt_now"], &old["verdicts"]),
            (&json!(2), &json!({"inconclusive": 2}))
        );
        assert_eq!(old["regressed"][0]["subject"], "pypi:idna==3.4");
        let diff = audit(store, memory, &["diff", &name, "--json"]);
        let changes = document(&diff)["differences"].clone();
        assert_eq!(changes[0]["change"], "no-longer-known", "{changes}");
    });
}

#[apply(test)]
fn what_the_network_kept_from_being_told_is_tried_again_and_nothing_else() {
    with_each(|store, memory| {
        let list = store.join("nightly.txt");
        fs::write(&list, "pypi:idna==3.4\ncrate:itoa@1.0.11\n").unwrap();
        let run = |more: &[&str]| {
            let arguments = [&["run", list.to_str().unwrap(), "--json"], more].concat();
            let output = audit(store, memory, &arguments);
            assert_eq!(code(&output), 4, "{}", text(&output));
            document(&output)
        };
        let first = run(&[]);
        assert_eq!((&first["run"], &first["rebuilt_now"]), (&json!(1), &json!(2)));
        assert_eq!(first["causes"], json!({"inconclusive: unreachable": 2}));
        // A moment later it is too early; the user may know better.
        let second = run(&[]);
        assert_eq!(
            (&second["rebuilt_now"], &second["not_done"]["later"]),
            (&json!(0), &json!(2))
        );
        assert!(second["not_done"]["next"].is_string());
        assert_eq!(run(&["--again=inconclusive"])["rebuilt_now"], 2);
        assert_eq!(run(&["--again"])["rebuilt_now"], 2);
        // The waits double: after three failures it is 4 minutes.
        let status = document(&audit(store, memory, &["status", "nightly", "--json"]));
        let status = &status["audits"][0];
        assert_eq!(
            (&status["failures"], &status["due"]),
            (&json!({"unreachable": 2}), &json!(0))
        );
        let next: jiff::Timestamp = status["not_due"]["next"].as_str().unwrap().parse().unwrap();
        let wait = next.duration_since(jiff::Timestamp::now()).as_secs();
        assert!((180..=240).contains(&wait), "{wait}");
        // The folder of the audit has each run of each subject.
        let text = fs::read_to_string(store.join("audits/nightly/results.jsonl")).unwrap();
        assert!(text.lines().count() >= 2, "{text}");
    });
}

#[apply(test)]
fn many_processes_may_open_a_new_database_at_the_same_time() {
    with_each(|store, memory| {
        let results: Vec<_> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..6)
                .map(|_| scope.spawn(|| audit(store, memory, &["status", "--json"])))
                .collect();
            all.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for output in results {
            assert_eq!(code(&output), 0, "{}", text(&output));
        }
        let wrong = audit(store, memory, &["status", "nobody"]);
        assert_eq!(code(&wrong), 2, "{}", text(&wrong));
        // An older version refuses what a newer one changed, and can be let in.
        let back = document(&audit(store, memory, &["memory", "back", "--json"]));
        assert!(back["went_back"].as_i64().unwrap() >= 1);
    });
}

#[apply(test)]
fn a_database_that_is_not_there_is_told_without_its_password() {
    let store = tempfile::tempdir().unwrap();
    for (memory, expected) in [
        ("postgres://u:secret@127.0.0.1:1/d", 4),
        ("mysql://u:secret@h/d", 2),
        ("sqlite:/proc/nowhere/a", 4),
    ] {
        let output = audit(store.path(), memory, &["status"]);
        assert_eq!(code(&output), expected, "{}", text(&output));
        assert!(!text(&output).contains("secret"), "{}", text(&output));
    }
}

#[apply(test)]
fn a_scheduled_audit_runs_when_its_time_has_come_and_goes_on_with_what_is_due() {
    with_each(|store, memory| {
        let list = store.join("list.txt");
        fs::write(&list, "pypi:idna==3.4\n").unwrap();
        let list = list.to_str().unwrap();
        let tick = || {
            let output = audit(store, memory, &["tick", "--json"]);
            assert_eq!(code(&output), 0, "{}", text(&output));
            document(&output)["ticked"].as_array().unwrap().clone()
        };
        assert_eq!(tick().len(), 0);
        let wrong = audit(
            store,
            memory,
            &["add", "a", "--list", list, "--schedule", "at night"],
        );
        assert_eq!(code(&wrong), 2, "{}", text(&wrong));
        // Each second: its time has come a moment later.
        let add = [
            "add",
            "often",
            "--list",
            list,
            "--schedule",
            "* * * * * *",
            "--json",
        ];
        assert_eq!(document(&audit(store, memory, &add))["subjects"], 1);
        let add = [
            "add",
            "never",
            "--list",
            list,
            "--schedule",
            "0 0 29 2 *",
            "--json",
        ];
        assert_eq!(document(&audit(store, memory, &add))["scheduled"], "never");
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let ran = tick();
        assert_eq!(ran.len(), 1, "{ran:?}");
        assert_eq!(
            (&ran[0]["audit"], &ran[0]["rebuilt_now"]),
            (&json!("often"), &json!(1))
        );
        let removed = audit(store, memory, &["remove", "often", "--json"]);
        assert_eq!(document(&removed)["removed"], "often");
        assert_eq!(tick().len(), 0);
        assert_eq!(code(&audit(store, memory, &["remove", "often"])), 2);
    });
}

/// The lines of a package that was good in three versions and is not in the fourth.
fn worse() -> Vec<Value> {
    let good = ["3.4", "3.6", "3.7"];
    let mut lines: Vec<_> = (1..)
        .zip(good)
        .map(|(day, version)| line(&format!("pypi:idna=={version}"), "reproduced", day))
        .collect();
    lines.push(line("pypi:idna==3.10", "mismatch", 9));
    lines
}

#[apply(test)]
fn an_alarm_is_withheld_while_nothing_can_be_rebuilt_here() {
    with_each(|store, memory| {
        let (list, out) = (store.join("list.txt"), store.join("out"));
        fs::write(
            &list,
            "pypi:idna==3.4\npypi:idna==3.6\npypi:idna==3.7\npypi:idna==3.10\n",
        )
        .unwrap();
        fs::create_dir(&out).unwrap();
        write(&out.join("results.jsonl"), &worse());
        let (list, out) = (list.to_str().unwrap(), out.to_str().unwrap());
        let run = [
            "run",
            list,
            "--out",
            out,
            "--alarm-command",
            "/bin/false",
            "--json",
        ];
        for _ in 0..2 {
            let output = audit(store, memory, &run);
            assert_eq!(code(&output), 1, "{}", text(&output));
            let summary = document(&output);
            assert_eq!(
                (&summary["alarms"], &summary["not_told"]),
                (&Value::Null, &Value::Null)
            );
        }
    });
}

#[apply(test)]
fn what_was_bad_once_and_comes_out_well_today_is_taken_back() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (list, out, memory) = (
        at("list.txt"),
        at("out"),
        format!("sqlite:{}", at("memory.sqlite")),
    );
    fs::write(
        &list,
        "pypi:idna==3.4\npypi:idna==3.6\npypi:idna==3.7\npypi:idna==3.10\n",
    )
    .unwrap();
    fs::create_dir(&out).unwrap();
    // The mismatch is made up: rebuilt again, the release is reproduced, and so is the version before.
    write(&Path::new(&out).join("results.jsonl"), &worse());
    let run = || {
        let mut command = rebuilder();
        command.args([
            "--json", "audit", "run", &list, "--out", &out, "--memory", &memory,
        ]);
        command.args(["--alarm-command", "/bin/false"]);
        let output = command.output().unwrap();
        assert_eq!(code(&output), 0, "{}", text(&output));
        document(&output)
    };
    let summary = run();
    assert_eq!(
        (&summary["alarms"], &summary["not_told"]),
        (&Value::Null, &Value::Null)
    );
    let taken_back = &summary["taken_back"][0];
    assert_eq!(
        (&taken_back["version"], &taken_back["basis"]),
        (
            &json!("3.10"),
            &json!({"rule": "earlier-versions", "versions": ["3.7", "3.6", "3.4"]})
        )
    );
    let good = |version: &str| json!({"subject": format!("pypi:idna=={version}"), "verdict": "reproduced"});
    assert_eq!(
        taken_back["repeats"],
        json!([good("3.10"), good("3.10"), good("3.10")])
    );
    assert_eq!(taken_back["control"], good("3.7"));
    assert_eq!(summary["verdicts"], json!({"reproduced": 4}));
    // Nothing is left to look into.
    assert_eq!(run()["taken_back"], Value::Null);
}
