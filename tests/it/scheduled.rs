//! Audits that run by themselves, of what an index or a lock file has at that time.

use std::fs;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::common::http::Server;
use crate::common::releases::{Plant, Releases, Tonight};
use crate::common::{NETWORK, Need, SANDBOX, code, json as document, needs, rebuilder, store, text};

const PYTHON: Need = Need {
    what: "python3",
    there: || Command::new("python3").arg("--version").output().is_ok(),
};

const NAME: &str = "rbscheduled";

#[apply(test)]
fn new_releases_are_found_when_the_time_comes() {
    needs(&[NETWORK, SANDBOX, PYTHON]);
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let released = |versions: u8| {
        let all: Vec<_> = (0..versions)
            .map(|version| (NAME, version, Plant::Nothing))
            .collect();
        Releases::new(&all, folder.path())
    };
    let releases = Arc::new(Mutex::new(released(1)));
    let answers = releases.clone();
    let index = Server::new(move |path| answers.lock().unwrap().answer(path));
    let audit = |arguments: &[&str]| -> Output {
        let mut command = rebuilder();
        for host in ["https://pypi.org", "https://files.pythonhosted.org"] {
            command.arg("--mirror").arg(format!("{host}={}", index.url()));
        }
        command.args(["--json", "audit"]).args(arguments);
        command.args(["--memory", &format!("sqlite:{}", at("memory.sqlite"))]);
        command.output().unwrap()
    };
    // Names are unlike those of other tests that run at this time: the folder is in the shared store.
    let (newest, locked) = (
        format!("newest-{}", std::process::id()),
        format!("locked-{}", std::process::id()),
    );
    fs::write(at("names"), format!("# projects\n{NAME}\n")).unwrap();
    fs::write(at("requirements.txt"), format!("{NAME}==1.0\n")).unwrap();
    for (name, how, file) in [
        (&newest, "--pypi-top", at("names")),
        (&locked, "--lock", at("requirements.txt")),
    ] {
        let added = audit(&["add", name, how, &file, "--schedule", "* * * * * *"]);
        assert_eq!(code(&added), 0, "{}", text(&added));
        assert_eq!(document(&added)["subjects"], 1);
    }
    let tick = || -> Vec<(String, Value)> {
        // The next second has come.
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let ticked = audit(&["tick", "--unsigned", "--attempts", "1"]);
        let ticked = document(&ticked)["ticked"].as_array().unwrap().clone();
        let mut all: Vec<_> = ticked
            .iter()
            .map(|summary| {
                let subjects = summary["results"].as_array().unwrap().iter();
                let subjects: Vec<_> = subjects.map(|line| line["subject"].clone()).collect();
                (
                    summary["audit"].as_str().unwrap().to_owned(),
                    json!([subjects, summary["verdicts"]]),
                )
            })
            .collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all
    };
    let found = |version: &str| json!([[format!("pkg:pypi/{NAME}@{version}")], {"reproduced": 1}]);
    assert_eq!(
        tick(),
        [(locked.clone(), found("1.0")), (newest.clone(), found("1.0"))]
    );
    *releases.lock().unwrap() = released(2);
    assert_eq!(
        tick(),
        [(locked.clone(), found("1.0")), (newest.clone(), found("1.1"))]
    );
    // An index that does not answer is not taken for an empty one.
    releases.lock().unwrap().tonight = Tonight::Down;
    assert_eq!(
        tick(),
        [(locked.clone(), found("1.0")), (newest.clone(), found("1.1"))]
    );
    let listed = audit(&["remove", &newest]);
    assert_eq!(code(&listed), 0, "{}", text(&listed));
    for name in [newest, locked] {
        fs::remove_dir_all(store().join("audits").join(name)).unwrap();
    }
}
