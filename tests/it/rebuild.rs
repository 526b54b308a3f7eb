//! `rebuilder rebuild` on real packages: what comes out, what is said, what is left on disk.

use std::fs;

use crate::common::{self, NETWORK, SANDBOX, backends, code, json, needs, rebuilder, text};

/// Subject, exit code, outputs that differ.
const DEBIAN: &[(&str, i32, &[&str])] = &[
    ("deb:base-files", 0, &[]),
    ("deb:cjson", 0, &[]),
    ("deb:jq=1.6-2.1+deb12u2", 0, &[]),
    ("deb:bioawk", 1, &["bioawk_1.0-4+deb12u1_amd64.deb"]),
];
const PYPI: &[(&str, i32, &[&str])] = &[
    ("pypi:idna==3.10", 0, &[]),
    ("pypi:packaging==23.2", 0, &[]),
    ("pypi:attrs==23.1.0", 0, &[]),
    ("pypi:six==1.16.0", 0, &[]),
    (
        "pkg:pypi/jinja2@3.1.2?file_name=Jinja2-3.1.2-py3-none-any.whl",
        0,
        &[],
    ),
    // Its commands bear the version of another Python.
    ("pypi:pip==21.3.1", 0, &[]),
    // Its backend needs a project that never had a wheel.
    ("pypi:tomlkit==0.5.8", 0, &[]),
    // Its setup has extensions.
    (
        "pkg:pypi/websockets@12.0?file_name=websockets-12.0-py3-none-any.whl",
        0,
        &[],
    ),
];

#[apply(test)]
fn packages_end_as_they_are_known_to() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    for (index, (subject, expected, differing)) in DEBIAN.iter().chain(PYPI).enumerate() {
        let run = folder.path().join(index.to_string());
        let output = rebuilder()
            .args(["--json", "rebuild", subject, "--out"])
            .arg(&run)
            .output()
            .unwrap();
        assert_eq!(code(&output), *expected, "{subject}: {}", text(&output));
        let document = json(&output);
        assert_eq!(
            document["verdict"],
            if *expected == 0 {
                "reproduced"
            } else {
                "not-reproduced"
            },
            "{subject}"
        );
        let outputs = document["outputs"].as_array().unwrap();
        let differ: Vec<_> = outputs
            .iter()
            .filter(|o| o["released"] != o["rebuilt"])
            .map(|o| o["name"].as_str().unwrap())
            .collect();
        assert_eq!(differ, *differing, "{subject}");
        for output in outputs
            .iter()
            .filter(|output| output["released"] != output["rebuilt"])
        {
            let cause = &output["differs"]["causes"][0];
            assert!(cause["cause"].is_string(), "{subject}: no cause is named");
            assert!(
                cause["example"]["path"].is_string(),
                "{subject}: no differing member is named"
            );
        }
        for file in ["plan.json", "record.json", "build.log", "report.html"] {
            assert!(run.join(file).is_file(), "{subject}: {file} is missing");
        }
        let page = fs::read_to_string(run.join("report.html")).unwrap();
        assert!(page.contains(document["verdict"].as_str().unwrap()), "{subject}");
        assert!(page.contains("Assumptions of the rebuild"), "{subject}");
    }
}

#[apply(test)]
fn both_backends_give_the_same_bytes_for_the_same_plan() {
    needs(&[NETWORK, SANDBOX]);
    let subjects = [
        "deb:base-files",
        "deb:cjson",
        "deb:jq=1.6-2.1+deb12u2",
        "pypi:idna==3.10",
        "pypi:attrs==23.1.0",
        "pypi:six==1.16.0",
    ];
    let folder = tempfile::tempdir().unwrap();
    for (index, subject) in subjects.iter().enumerate() {
        let plan = folder.path().join(format!("{index}.json"));
        let made = rebuilder()
            .args(["plan", subject, "--fetch", "--out"])
            .arg(&plan)
            .output()
            .unwrap();
        assert!(made.status.success(), "{subject}: {}", text(&made));
        let mut digests = Vec::new();
        for backend in backends() {
            // Offline: everything that the plan names is in the store by now.
            let output = rebuilder()
                .args(["--json", "--offline", "rebuild", "--backend", backend, "--plan"])
                .arg(&plan)
                .output()
                .unwrap();
            assert_eq!(code(&output), 0, "{subject} on {backend}: {}", text(&output));
            let document = json(&output);
            assert_eq!(document["backend"], backend);
            assert_eq!(document["evidence"], "taken-from-plan");
            let rebuilt: Vec<_> = document["outputs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|o| o["rebuilt"].clone())
                .collect();
            digests.push(rebuilt);
        }
        assert!(
            digests.windows(2).all(|pair| pair[0] == pair[1]),
            "{subject}: {digests:?}"
        );
    }
}

#[apply(test)]
fn a_local_file_is_checked_before_anything_is_built() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let purl = "pkg:pypi/idna@3.10?file_name=idna-3.10-py3-none-any.whl";
    let first = rebuilder()
        .args(["--json", "rebuild", purl, "--out"])
        .arg(folder.path().join("run"))
        .output()
        .unwrap();
    assert_eq!(code(&first), 0, "{}", text(&first));
    let wheel = folder.path().join("run/rebuilt/idna-3.10-py3-none-any.whl");

    let same = rebuilder()
        .arg("rebuild")
        .arg(&wheel)
        .args(["--purl", purl])
        .output()
        .unwrap();
    assert_eq!(code(&same), 0, "{}", text(&same));

    let mut bytes = fs::read(&wheel).unwrap();
    bytes[100] ^= 1;
    let changed = folder.path().join("changed.whl");
    fs::write(&changed, bytes).unwrap();
    let other = rebuilder()
        .arg("rebuild")
        .arg(&changed)
        .args(["--purl", purl])
        .output()
        .unwrap();
    assert_eq!(code(&other), 3, "{}", text(&other));
    assert!(
        text(&other).contains("is not the file that was released"),
        "{}",
        text(&other)
    );
}

#[apply(test)]
fn only_the_named_package_counts_where_that_is_asked_for() {
    needs(&[NETWORK, SANDBOX]);
    let output = rebuilder()
        .args(["--json", "rebuild", "deb:libcjson1", "--only"])
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    let document = json(&output);
    let outputs = document["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 1, "{outputs:?}");
    assert!(
        outputs[0]["name"].as_str().unwrap().starts_with("libcjson1_"),
        "{outputs:?}"
    );
    let others = document["not_compared"].as_array().unwrap();
    assert!(
        others
            .iter()
            .any(|name| name.as_str().unwrap().starts_with("libcjson-dev_")),
        "{others:?}"
    );
}

#[apply(test)]
fn a_failed_build_is_inconclusive_and_never_signed() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let plan = common::plan("deb:base-files");
    for (index, (script, seconds, reason)) in [
        ("exit 3", 60, "exited with status 3"),
        ("sleep 60", 2, "longer than its time limit"),
    ]
    .iter()
    .enumerate()
    {
        let mut plan = plan.clone();
        plan["limits"]["seconds"] = serde_json::json!(seconds);
        for backend in backends() {
            let place = folder.path().join(format!("{index}-{backend}"));
            let output = common::run_script(&plan, script, backend, &place);
            assert_eq!(code(&output), 4, "{}", text(&output));
            assert!(text(&output).contains(reason), "{}", text(&output));
            assert!(!place.join("run/attestation.sigstore.json").exists());
            assert!(place.join("run/build.log").exists());
        }
    }
}
