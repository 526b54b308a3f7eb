//! What a worker states of a run beside its digests.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use crate::common::{NETWORK, ROOT, SANDBOX, code, needs, text};
use base64::Engine as _;
use serde_json::{Value, json};

use super::{Office, WORKERS, forge, own, runs};

/// Variables that no recipe sets: by each of them, something in a build runs that no step names.
const VARIABLES: &[&str] = &[
    "TAR_OPTIONS",
    "MAKEFLAGS",
    "MAKEFILES",
    "GCC_EXEC_PREFIX",
    "COMPILER_PATH",
    "SHELL",
    "IFS",
    "PS4",
    "RUSTC_WRAPPER",
    "GOFLAGS",
    "GCONV_PATH",
    "npm_config_script_shell",
    "PYTHONHOME",
    "PYTHONUSERBASE",
    "PYTHONWARNINGS",
    "GIT_SSH_COMMAND",
    "DPKG_ROOT",
    "LUA_INIT",
    "RUBYLIB",
    "CC",
    "LD_PRELOAD",
    "GLIBC_TUNABLES",
    "SETUPTOOLS_SCM_PRETEND_VERSION",
];

/// Hands in an honest run with changes to its record and its plan.
fn handed(office: &Office, name: &str, change: &dyn Fn(&mut Value, &mut Value)) -> (PathBuf, Output) {
    let run = office.run(name, &runs()[0], WORKERS[0]);
    forge(&run, |record, plan| {
        record["id"] = json!(name);
        change(record, plan);
    });
    own(&run, WORKERS[0]);
    let output = office.ask(&run, WORKERS[0]);
    (run, output)
}

/// The name of a run, why it is refused, and what is changed in its record and its plan.
const REFUSALS: &[(&str, &str, fn(&mut Value, &mut Value))] = &[
    ("another-path", "to another value than its recipe", |_, plan| {
        plan["build"]["env"]["PATH"] = json!("/inputs/dependencies:/usr/bin");
    }),
    (
        "another-source",
        "which is not the source released with it",
        |_, plan| {
            plan["inputs"][0]["file"]["sha256"] = json!("e".repeat(64));
        },
    ),
    ("two-sources", "as its source", |_, plan| {
        plan["git"] = json!([{"place": "source.tar", "submodules": false, "source": {
            "repository": "https://github.com/mallory/idna", "commit": "f".repeat(40)
        }}]);
    }),
    ("another-driver", "that is not this signer's own", |_, plan| {
        plan["files"][0]["text"] = json!("import os\nos.system('cp /inputs/x /out/')\n");
    }),
    ("an-option-for-setuptools", "that sets the option", |_, plan| {
        let facts = plan["files"][1]["text"].as_str().unwrap();
        let mut facts: Value = serde_json::from_str(facts).unwrap();
        facts["options"] = json!({"distutils_commands": "x"});
        plan["files"][1]["text"] = json!(facts.to_string());
    }),
    (
        "another-archive",
        "uses another archive than its source",
        |_, plan| {
            let facts = plan["files"][1]["text"].as_str().unwrap();
            let mut facts: Value = serde_json::from_str(facts).unwrap();
            facts["archive"] = json!("dependencies/SPOOFED.whl");
            plan["files"][1]["text"] = json!(facts.to_string());
        },
    ),
    ("an-image", "allow it with --image", |_, plan| {
        plan["container"] = json!({"image": {"repository": "docker.io/mallory/x", "digest": "e".repeat(64)}});
    }),
    ("another-lock", "another lock than this signer's", |_, plan| {
        plan["container"]["lock"]["packages"][0]["version"] = json!("6.6.6");
    }),
    (
        "everything-left-out",
        "from the comparison, which no recipe",
        |_, plan| {
            plan["not_compared"] = json!(["*"]);
        },
    ),
    ("another-name", "which was released as", |record, plan| {
        plan["expected"][0]["file"]["name"] = json!("openssl.whl");
        record["outputs"][0]["name"] = json!("openssl.whl");
    }),
    ("before-the-release", "and it was released on", |record, _| {
        record["started"] = json!("2024-09-01T00:00:00Z");
    }),
    ("in-2001", "says that it began on 2001", |record, _| {
        record["started"] = json!("2001-01-01T00:00:00Z");
    }),
];

/// What a worker says of a run beside its digests: it gets none of that signed as the signer's word.
#[apply(test)]
fn what_a_worker_states_is_refused_or_stands_apart() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let office = Office::open(&["--agree", "1"]);
    let mut wrong = Vec::new();
    for name in VARIABLES {
        let (_, refused) = handed(&office, &format!("variable-{name}"), &|_, plan| {
            plan["build"]["env"][*name] = json!("/inputs/x");
        });
        if code(&refused) != 3 || !text(&refused).contains(&format!("sets the variable {name}")) {
            wrong.push(format!("{name}: {}", text(&refused)));
        }
    }
    for (name, reason, change) in REFUSALS {
        let (run, refused) = handed(&office, name, change);
        let signed = run.join("attestation.sigstore.json").exists();
        // What is so old is refused for its age first.
        let old = name.starts_with("before") && text(&refused).contains("within a year");
        if code(&refused) != 3 || signed || !(old || text(&refused).contains(reason)) {
            wrong.push(format!("{name}: {} {}", code(&refused), text(&refused)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[apply(test)]
fn what_a_worker_states_stands_apart() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let office = Office::open(&["--agree", "1"]);
    let (run, output) = handed(&office, "words", &|record, plan| {
        plan["policy"] = json!({"policy": "SPOOFED", "checks": []});
        plan["assumptions"][0]["value"] = json!("SPOOFED");
        plan["inputs"]
            .as_array_mut()
            .unwrap()
            .push(json!({"role": "dependency", "place": "dependencies/SPOOFED.whl", "file": {
                "name": "SPOOFED.whl", "urls": ["https://example.org/SPOOFED"], "sha256": "e".repeat(64), "size": 1
            }}));
        record["backend"] = json!("docker");
        record["rebuilder"] = json!("6.6.6");
        record["attempts"] =
            json!([{"number": 1, "ended": "SPOOFED", "places": 0, "seconds": 0.1, "chosen": true}]);
    });
    assert_eq!(code(&output), 0, "{}", text(&output));
    let bundle: Value =
        serde_json::from_slice(&fs::read(run.join("attestation.sigstore.json")).unwrap()).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    let payload = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
    let mut statement: Value = serde_json::from_slice(&payload).unwrap();
    let definition = &mut statement["predicate"]["buildDefinition"];
    let stated = definition["internalParameters"]["workerStated"].take();
    assert_eq!(stated["backend"], "docker");
    assert_eq!(stated["rebuilder"], "6.6.6");
    assert_eq!(definition["internalParameters"]["policy"]["policy"], "built-in");
    assert_eq!(definition["internalParameters"]["recipe"]["name"], "pypi-wheel");
    let inputs = definition["resolvedDependencies"].as_array_mut().unwrap();
    for input in inputs.iter() {
        let named = input["annotations"]["namedBy"].is_string();
        assert_ne!(named, input["annotations"]["statedBy"] == "worker", "{input}");
        let source = input["annotations"]["role"] == "source";
        assert!(
            !source || input["annotations"]["namedBy"] == "registry",
            "{input}"
        );
    }
    inputs.retain(|input| input["annotations"]["statedBy"] != "worker");
    let rest = statement.to_string();
    for word in ["SPOOFED", "6.6.6", "docker"] {
        assert!(!rest.contains(word), "{word}: {rest}");
    }
}
