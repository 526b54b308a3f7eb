//! Signed statements: what they say, that strangers' verifiers accept them, and that no changed run is signed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::{self, NETWORK, SANDBOX, code, needs, rebuilder, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

fn generate(folder: &Path, algorithm: &str) -> PathBuf {
    let key = folder.join(format!("{algorithm}.pem"));
    let output = rebuilder()
        .args(["key", "generate", "--algorithm", algorithm, "--to"])
        .arg(&key)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    key
}

fn run(subject: &str, key: &Path, place: &Path) -> Output {
    rebuilder()
        .args(["rebuild", subject, "--key"])
        .arg(key)
        .arg("--out")
        .arg(place)
        .output()
        .unwrap()
}

fn bundle(run: &Path) -> Value {
    serde_json::from_slice(&fs::read(run.join("attestation.sigstore.json")).unwrap()).unwrap()
}

fn statement(bundle: &Value) -> Value {
    let payload = STANDARD
        .decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap())
        .unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[apply(test)]
fn statements_say_what_happened_and_strangers_accept_them() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
    const TEST: &str = "https://in-toto.io/attestation/test-result/v0.1";
    for (number, (algorithm, subject, result, predicate)) in [
        ("ed25519", "pypi:idna==3.10", None, PROVENANCE),
        ("p256", "pypi:idna==3.10", None, PROVENANCE),
        // The wheel has other code than the source that was published with it, whatever builds it.
        (
            "p256",
            "pypi:gunicorn==20.1.0",
            Some(("FAILED", "failedTests")),
            TEST,
        ),
        // Nobody says which packages were installed, and these may be others.
        ("p256", "deb:bioawk", Some(("WARNED", "warnedTests")), TEST),
    ]
    .into_iter()
    .enumerate()
    {
        let expected = i32::from(result.is_some());
        let place = folder.path().join(number.to_string());
        let keys = folder.path().join(format!("keys-{number}"));
        let key = generate(&keys, algorithm);
        let output = run(subject, &key, &place);
        assert_eq!(code(&output), expected, "{}", text(&output));
        if result.is_some_and(|(result, _)| result == "WARNED") {
            assert!(
                !place.join("attestation.sigstore.json").exists(),
                "it accuses nobody unasked"
            );
            signs_only_if_asked(&place, &key);
        }
        let bundle = bundle(&place);
        let statement = statement(&bundle);
        assert_eq!(statement["predicateType"], predicate);
        assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
        let record: Value = common::read(&place.join("record.json"));
        assert_eq!(
            statement["subject"][0]["digest"]["sha256"],
            record["outputs"][0]["released"]
        );
        match result {
            None => check_provenance(&statement, &place),
            Some((result, tests)) => {
                assert_eq!(statement["predicate"]["result"], result);
                assert_eq!(statement["predicate"][tests][0], record["outputs"][0]["name"]);
            }
        }

        strangers_accept(&place, &key, &bundle, &statement);
    }
}

/// What accuses nobody for sure is signed when that is asked for, and not before.
fn signs_only_if_asked(place: &Path, key: &Path) {
    let sign = |options: &[&str]| {
        let mut command = rebuilder();
        command
            .arg("attest")
            .arg(place)
            .arg("--key")
            .arg(key)
            .args(options);
        command.output().unwrap()
    };
    let refused = sign(&[]);
    assert_eq!(code(&refused), 2, "{}", text(&refused));
    assert!(text(&refused).contains("--attest-negative"), "{}", text(&refused));
    let signed = sign(&["--attest-negative"]);
    assert_eq!(code(&signed), 0, "{}", text(&signed));
}

/// Verifiers of others take the bundle, and refuse it with another payload.
fn strangers_accept(place: &Path, key: &Path, bundle: &Value, statement: &Value) {
    let public = PathBuf::from(format!("{}.pub", key.display()));
    let mut changed = bundle.clone();
    let mut payload = STANDARD
        .decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap())
        .unwrap();
    payload[20] ^= 1;
    changed["dsseEnvelope"]["payload"] = Value::String(STANDARD.encode(payload));
    let changed_path = place.join("changed.json");
    fs::write(&changed_path, changed.to_string()).unwrap();
    for mut verifier in common::verifiers() {
        let program = verifier.get_program().display().to_string();
        let again = verifier
            .arg(place.join("attestation.sigstore.json"))
            .arg(&public)
            .output()
            .unwrap();
        assert!(again.status.success(), "{program}: {}", text(&again));
        assert_eq!(
            serde_json::from_slice::<Value>(&again.stdout).unwrap(),
            *statement,
            "{program}"
        );
    }
    for mut verifier in common::verifiers() {
        let program = verifier.get_program().display().to_string();
        let refused = verifier.arg(&changed_path).arg(&public).output().unwrap();
        assert!(!refused.status.success(), "{program} took a changed payload");
    }
}

/// Every input of the plan is in the provenance, by digest.
fn check_provenance(statement: &Value, run: &Path) {
    let plan: Value = common::read(&run.join("plan.json"));
    let definition = &statement["predicate"]["buildDefinition"];
    let resolved: Vec<_> = definition["resolvedDependencies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["digest"]["sha256"].clone())
        .collect();
    for input in plan["inputs"].as_array().unwrap() {
        assert!(
            resolved.contains(&input["file"]["sha256"]),
            "{} is missing",
            input["place"]
        );
    }
    for package in plan["container"]["lock"]["packages"].as_array().unwrap() {
        assert!(
            resolved.contains(&package["sha256"]),
            "{} is missing",
            package["name"]
        );
    }
    let assumptions = definition["internalParameters"]["assumptions"]
        .as_array()
        .unwrap();
    assert!(
        assumptions
            .iter()
            .any(|a| a["what"] == "clock" && a["origin"]["inferred"].is_string()),
        "{assumptions:?}"
    );
    let id = statement["predicate"]["runDetails"]["builder"]["id"]
        .as_str()
        .unwrap();
    assert!(id.starts_with("urn:rebuilder:"), "{id}");
}

#[apply(test)]
fn the_signer_checks_the_run_itself() {
    needs(&[NETWORK, SANDBOX]);
    let folder = tempfile::tempdir().unwrap();
    let key = generate(folder.path(), "ed25519");
    let sign = |place: &Path| {
        rebuilder()
            .arg("attest")
            .arg(place)
            .arg("--key")
            .arg(&key)
            .output()
            .unwrap()
    };
    let fresh = |name: &str| {
        let place = folder.path().join(name);
        let output = run("pypi:idna==3.10", &key, &place);
        assert_eq!(code(&output), 0, "{}", text(&output));
        fs::remove_file(place.join("attestation.sigstore.json")).unwrap();
        place
    };
    let good = fresh("good");
    assert_eq!(code(&sign(&good)), 0);

    let flip = |path: PathBuf| {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
    };
    for file in [
        "rebuilt/idna-3.10-py3-none-any.whl",
        "build.log",
        "report.html",
        "plan.json",
    ] {
        let place = fresh(&file.replace('/', "-"));
        flip(place.join(file));
        let refused = sign(&place);
        assert!([2, 3].contains(&code(&refused)), "{file}: {}", text(&refused));
        assert!(!place.join("attestation.sigstore.json").exists(), "{file}");
    }

    // A mismatch that calls itself reproduced.
    let place = folder.path().join("mismatch");
    assert_eq!(code(&run("pypi:gunicorn==20.1.0", &key, &place)), 1);
    fs::remove_file(place.join("attestation.sigstore.json")).unwrap();
    let path = place.join("record.json");
    let record = fs::read_to_string(&path)
        .unwrap()
        .replace("\"mismatch\"", "\"reproduced\"");
    fs::write(&path, record).unwrap();
    let refused = sign(&place);
    assert_eq!(code(&refused), 3, "{}", text(&refused));
    assert!(
        text(&refused).contains("expected mismatch, found reproduced"),
        "{}",
        text(&refused)
    );
}

#[apply(test)]
fn keys_are_kept_with_care() {
    let folder = tempfile::tempdir().unwrap();
    let key = generate(folder.path(), "ed25519");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);

    let again = rebuilder()
        .args(["key", "generate", "--to"])
        .arg(&key)
        .output()
        .unwrap();
    assert_eq!(code(&again), 2);
    assert!(text(&again).contains("never overwritten"), "{}", text(&again));

    let public = rebuilder()
        .args(["key", "public", "--key"])
        .arg(&key)
        .output()
        .unwrap();
    assert_eq!(public.stdout, fs::read(format!("{}.pub", key.display())).unwrap());

    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let exposed = rebuilder()
        .args(["key", "public", "--key"])
        .arg(&key)
        .output()
        .unwrap();
    assert_eq!(code(&exposed), 2);
    assert!(text(&exposed).contains("chmod 600"), "{}", text(&exposed));

    let missing = rebuilder()
        .args(["rebuild", "deb:base-files", "--key", "/nowhere/key.pem"])
        .output()
        .unwrap();
    assert_eq!(code(&missing), 2, "{}", text(&missing));
}
