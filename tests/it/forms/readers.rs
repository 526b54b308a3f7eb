//! The forms of a reproduced run, as those read them whom they are for.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{self, code, json, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{Place, WHEEL, payload};

/// Both of in-toto's own libraries take the link, with the key in the form that each knows, and neither takes another.
pub(super) fn links_count(place: &Place) {
    use in_toto::crypto::{PublicKey, SignatureScheme};
    use in_toto::models::Metablock;
    let path = place.path(&format!("run/links/{WHEEL}.link"));
    let key = place.text("key.pem");
    let pem = place.good(&["key", "public", "--in-toto", "--key", &key]).stdout;
    let public = PublicKey::from_pem_spki(std::str::from_utf8(&pem).unwrap(), SignatureScheme::Ed25519);
    let public = public.unwrap();
    let block: Metablock = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert!(block.verify(1, [&public]).is_ok());
    let link = place.read(&format!("run/links/{WHEEL}.link"));
    assert_eq!(link["signed"]["name"], format!("rebuild {WHEEL}"));
    let record = place.read("run/record.json");
    assert_eq!(
        link["signed"]["products"][WHEEL]["sha256"],
        record["outputs"][0]["rebuilt"]
    );
    assert_eq!(link["signed"]["materials"]["plan.json"]["sha256"], record["plan"]);
    let mut changed = link.clone();
    changed["signed"]["products"][WHEEL]["sha256"] = json!("0".repeat(64));
    let other = place.path("changed.link");
    fs::write(&other, changed.to_string()).unwrap();
    let block: Metablock = serde_json::from_value(changed).unwrap();
    assert!(block.verify(1, [&public]).is_err());
    let Some(python) = common::third_party_python() else {
        return;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/third-party/link.py");
    let verify = |file: &Path| {
        let mut command = Command::new(&python);
        command.arg(&script).arg(file).arg(place.path("key.pem.pub"));
        command.output().unwrap()
    };
    let taken = verify(&path);
    assert_eq!(code(&taken), 0, "{}", text(&taken));
    let taken: Value = serde_json::from_slice(&taken.stdout).unwrap();
    assert_eq!(taken["products"], link["signed"]["products"]);
    assert_ne!(code(&verify(&other)), 0);
}

/// The file as `oss-rebuild get` reads it (cmd/oss-rebuild/main.go, pkg/attestation/types.go), and its place in a bucket.
pub(super) fn oss_rebuild_reads(place: &Place) {
    let (run, to) = (place.text("run"), place.text("bucket"));
    let export = ["export", "oss-rebuild", &to, "--run", &run];
    let laid_out = json(&place.good(&[&export[..], &["--json"]].concat()));
    let path = format!("bucket/pypi/idna/3.10/{WHEEL}/rebuild.intoto.jsonl");
    assert_eq!(laid_out["files"], json!([place.text(&path)]));
    let lines = fs::read_to_string(place.path(&path)).unwrap();
    let statements: Vec<Value> = lines
        .lines()
        .map(|line| payload(&serde_json::from_str(line).unwrap()))
        .collect();
    let of = |kind: &str| {
        let wanted = format!("https://docs.oss-rebuild.dev/builds/{kind}@v0.1");
        let all = statements.iter().map(|it| &it["predicate"]);
        let mut found = all.filter(|it| it["buildDefinition"]["buildType"] == wanted);
        let only = found.next().unwrap();
        assert!(found.next().is_none(), "its reader wants one {kind}");
        only
    };
    fits(of("Rebuild"), of("ArtifactEquivalence"));
    // The same again changes nothing; other content is refused.
    place.good(&export);
    fs::write(place.path(&path), "{}\n").unwrap();
    let refused = place.run(&export);
    assert_eq!(code(&refused), 3, "{}", text(&refused));
    of_the_store(place, &lines);
}

/// What a reader of OSS Rebuild asks of its two statements.
fn fits(rebuild: &Value, equivalence: &Value) {
    let finished = rebuild["runDetails"]["metadata"]["finishedOn"].as_str().unwrap();
    finished.parse::<jiff::Timestamp>().unwrap();
    let byproducts = rebuild["runDetails"]["byproducts"].as_array().unwrap();
    let names: Vec<_> = byproducts.iter().map(|it| it["name"].clone()).collect();
    assert_eq!(names, ["build.json", "Dockerfile", "steps.json"]);
    for byproduct in byproducts {
        let content = STANDARD.decode(byproduct["content"].as_str().unwrap()).unwrap();
        let is_json = byproduct["name"] != "Dockerfile";
        assert!(!is_json || serde_json::from_slice::<Value>(&content).is_ok());
    }
    let external = &rebuild["buildDefinition"]["externalParameters"];
    assert_eq!(
        *external,
        json!({"ecosystem": "pypi", "package": "idna", "version": "3.10", "artifact": WHEEL})
    );
    let resolved = equivalence["buildDefinition"]["resolvedDependencies"]
        .as_array()
        .unwrap();
    assert_eq!(resolved.len(), 2);
    assert!(resolved[0]["name"].as_str().unwrap().starts_with("rebuild/"));
    assert!(
        resolved[1]["name"]
            .as_str()
            .unwrap()
            .starts_with("https://files.pythonhosted.org/")
    );
    assert_eq!(resolved[0]["digest"], resolved[1]["digest"]);
    assert_eq!(
        equivalence["runDetails"]["byproducts"].as_array().unwrap().len(),
        1
    );
}

/// Of the store, those runs are taken that have such statements.
fn of_the_store(place: &Place, lines: &str) {
    let (store, bucket) = (place.path("store"), place.text("all"));
    let export = [
        "export",
        "oss-rebuild",
        &bucket,
        "--store",
        store.to_str().unwrap(),
    ];
    let none = place.run(&export);
    assert_eq!(code(&none), 2, "{}", text(&none));
    assert!(
        text(&none).contains("no statements in OSS Rebuild's form"),
        "{}",
        text(&none)
    );
    fs::create_dir_all(store.join("runs")).unwrap();
    std::os::unix::fs::symlink(place.path("run"), store.join("runs/20260101T000000000Z-0")).unwrap();
    fs::create_dir(store.join("runs/20260101T000000000Z-1")).unwrap();
    place.good(&export);
    let there = fs::read_to_string(place.path(&format!("all/pypi/idna/3.10/{WHEEL}/rebuild.intoto.jsonl")));
    assert_eq!(there.unwrap(), lines);
}
