//! A run that was changed after it was attested.

use std::fs;

use crate::attack::ground::{Ground, must};
use crate::common::text;
use rebuilder::artifact::Sha256;
use rebuilder::run::{Record, RunFolder};
use serde_json::json;

use super::{Scene, claim_success, code, pack, relist, write_run};

pub(super) fn changed_record(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, false);
    // The list is signed by nobody, so that nothing but the attestation speaks against it.
    let mut files = scene.export(false);
    claim_success(&scene, &mut files);
    let output = scene.verify(&pack(&files, &[]));
    let found = text(&output);
    must(code(&output) == 3, format!("exit {}: {found}", code(&output)))?;
    must(
        found.contains("refused") && found.contains("mismatch"),
        format!("it is not said what was attested: {found}"),
    )?;
    // The same without any key: what the attestation says is compared all the same.
    let output = ground
        .rebuilder()
        .args(["--offline", "evidence", "verify"])
        .arg(ground.folder().join("attacked.tar.gz"))
        .output()
        .unwrap();
    must(
        code(&output) == 3,
        format!("without a key, exit {}", code(&output)),
    )
}

/// What is changed in a record, and how.
type Change = (&'static str, fn(&mut Record));

pub(super) fn changed_facts(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, true);
    let files = scene.export(false);
    let changes: [Change; 8] = [
        ("backend", |record| record.backend = "docker".into()),
        ("run", |record| record.id = "run-2".into()),
        ("beginning", |record| {
            record.started = "2020-01-01T00:00:00Z".parse().unwrap();
        }),
        ("end", |record| {
            record.finished = "2027-01-01T00:00:00Z".parse().unwrap();
        }),
        ("limits", |record| record.not_enforced = vec!["memory".into()]),
        ("evidence", |record| {
            record.evidence = rebuilder::run::Evidence::TakenFromPlan;
        }),
        ("log", |record| record.log = Sha256::of("nothing\n")),
        ("report", |record| record.not_compared = vec!["*".into()]),
    ];
    for (what, change) in changes {
        let mut files = files.clone();
        let mut record = scene.record(true);
        change(&mut record);
        let place = ground.folder().join(format!("changed-{what}"));
        fs::create_dir_all(&place).unwrap();
        write_run(&record, &scene.plan, &RunFolder::new(&place));
        for name in ["record.json", "report.html"] {
            files.insert(name.into(), fs::read(place.join(name)).unwrap());
        }
        if what == "log" {
            files.insert("build.log".into(), b"nothing\n".to_vec());
        }
        relist(&mut files, |manifest| {
            manifest["run"] = json!(record.id);
            manifest["created"] = json!(record.finished);
        });
        let output = scene.verify(&pack(&files, &[]));
        let said = text(&output);
        must(
            code(&output) == 3 && said.contains("! the attestation is about this run"),
            format!("the {what} could be changed, exit {}: {said}", code(&output)),
        )?;
    }
    Ok(())
}

pub(super) fn changed_conclusions(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, true);
    let files = scene.export(false);
    let edit = |name: &str, from: &str, to: &str| {
        let mut files = files.clone();
        let found = String::from_utf8(files[name].clone()).unwrap();
        assert!(found.contains(from), "{name} has no {from}: {found}");
        files.insert(name.into(), found.replacen(from, to, 1).into_bytes());
        relist(&mut files, |_| ());
        (name.to_owned(), files)
    };
    let mut sums = files.clone();
    sums.insert("SHA256SUMS".into(), b"nothing\n".to_vec());
    let mut twice = files.clone();
    relist(&mut twice, |manifest| {
        let first = manifest["files"][0].clone();
        manifest["files"].as_array_mut().unwrap().push(first);
    });
    for (what, files) in [
        edit(
            "cdxa.json",
            "VERIFIED_REPRODUCIBLE_BUILD",
            "VERIFIED_SECURE_BUILD",
        ),
        edit(
            "sbom/build.cdx.json",
            "https://example.org/a",
            "https://example.org/b",
        ),
        edit(
            "sbom/build.spdx.json",
            "https://example.org/a",
            "https://example.org/b",
        ),
        edit("claims.json", "[]", "[{\"claim\": \"signed by the author\"}]"),
        edit("controls.json", "\"no evidence\"", "\"evidence\""),
        edit("controls.md", "**no evidence**", "good"),
        edit("cost.json", "0.25", "0.125"),
        edit(
            "record.json",
            "\"embedded\"",
            "\"embedded\", \"Verdict\": \"reproduced\"",
        ),
        edit("plan.json", "\"hostname\"", "\"umask\":18,\"hostname\""),
        ("SHA256SUMS".to_owned(), sums),
        ("a file listed twice".to_owned(), twice),
    ] {
        let output = scene.verify(&pack(&files, &[]));
        must(
            code(&output) == 3,
            format!("{what}: exit {}: {}", code(&output), text(&output)),
        )?;
    }
    Ok(())
}

pub(super) fn no_attestation(ground: &Ground) -> Result<(), String> {
    let scene = Scene::new(ground, false);
    let mut files = scene.export(true);
    claim_success(&scene, &mut files);
    let failed = files.remove("attestations/rebuild.sigstore.json").unwrap();
    files.remove("manifest.sigstore.json");
    let mut elsewhere = files.clone();
    relist(&mut files, |manifest| {
        manifest["files"]
            .as_array_mut()
            .unwrap()
            .retain(|file| file["path"] != "attestations/rebuild.sigstore.json");
    });
    let output = scene.verify(&pack(&files, &[]));
    must(code(&output) != 0, format!("exit 0: {}", text(&output)))?;
    // The same, put where others' attestations are.
    elsewhere.insert("attestations/others/000-a.json".into(), failed);
    relist(&mut elsewhere, |manifest| {
        for file in manifest["files"].as_array_mut().unwrap() {
            if file["path"] == "attestations/rebuild.sigstore.json" {
                file["path"] = json!("attestations/others/000-a.json");
            }
        }
    });
    let output = scene.verify(&pack(&elsewhere, &[]));
    must(
        code(&output) == 3 && text(&output).contains("no party that you trust says otherwise"),
        format!("as another's, exit {}: {}", code(&output), text(&output)),
    )
}
