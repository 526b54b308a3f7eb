//! Credentials in recipes, sources, logs and outputs: found, and kept nowhere.

use std::fs;

use crate::common::{self, NETWORK, SANDBOX, code, needs, plan, rebuilder, run_script, text};
use serde_json::Value;

/// Built at run time, so that nobody finds it here.
const HALF: &str = "x9Kq2LmZ7pRtVb4NwYs8DfGh1JcAe3Tu6Ioi";

#[apply(test)]
fn a_plan_with_one_is_refused_before_anything_is_built() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let script = format!("export TOKEN=ghp_{HALF}\necho built");
    let refused = run_script(&plan("pypi:idna==3.10"), &script, "embedded", folder.path());
    assert_eq!(code(&refused), 3, "{}", text(&refused));
    assert!(
        text(&refused).contains("the step \"test\" contains a credential (github-pat, line 1)"),
        "{}",
        text(&refused)
    );
    assert!(!text(&refused).contains(HALF));
    assert!(!folder.path().join("run").exists());
}

#[apply(test)]
fn logs_and_outputs_are_searched_and_nothing_of_a_secret_is_kept() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    // What a build might really do: print its environment, and pack a file that should have stayed at home.
    let script = format!(
        "half={HALF}\necho \"fetching with token ghp_$half\"\nmkdir /tmp/p && cd /tmp/p\n\
         printf '//registry.npmjs.org/:_authToken=npm_%s\\n' \"$(echo $half | tr A-Z a-z)\" > .npmrc\n\
         python3 -m zipfile -c /out/idna-3.10-py3-none-any.whl .npmrc"
    );
    let output = run_script(&plan("pypi:idna==3.10"), &script, "embedded", folder.path());
    assert_eq!(code(&output), 1, "{}", text(&output));
    let run = folder.path().join("run");
    let record: Value = common::read(&run.join("record.json"));
    let found: Vec<_> = record["credentials"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["place"].as_str().unwrap(), it["rule"].as_str().unwrap()))
        .collect();
    assert!(found.contains(&("log build.log", "github-pat")), "{found:?}");
    assert!(
        found.contains(&("output idna-3.10-py3-none-any.whl!/.npmrc", "npm-access-token")),
        "{found:?}"
    );
    let log = fs::read_to_string(run.join("build.log")).unwrap();
    assert!(
        log.contains("fetching with token [redacted: github-pat]"),
        "{log}"
    );
    assert!(
        text(&output).contains("a credential: log build.log, line"),
        "{}",
        text(&output)
    );
    // The comparison quotes files that differ; neither it nor the page says more than the rule.
    let secret = HALF.to_lowercase();
    for name in ["record.json", "report.html", "build.log"] {
        let content = fs::read_to_string(run.join(name)).unwrap();
        assert!(!content.contains(HALF) || name == "plan.json", "{name}");
        assert!(!content.contains(&secret), "{name}");
    }
    assert!(!text(&output).contains(&secret));
}

/// Real sources carry keys for their tests.
#[apply(test)]
fn sources_are_searched() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let output = rebuilder()
        .args(["rebuild", "pypi:requests==2.32.3", "--json", "--out"])
        .arg(&run)
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    let record = common::json(&output);
    let found = record["credentials"].as_array().unwrap();
    let key = found
        .iter()
        .find(|it| it["rule"] == "private-key")
        .unwrap_or_else(|| panic!("{found:?}"));
    assert!(key["place"].as_str().unwrap().contains("tests/certs/"), "{key}");
    assert_eq!(key["line"], 1);
    // It is a finding about the source, no reason to distrust the bytes.
    assert_eq!(record["verdict"], "reproduced");
    assert!(record["cost"]["run_bytes"].as_u64().unwrap() > 1000);
}
