//! What is in a bundle, read with public tools and by hand.

use super::{BTreeMap, Command, Path, Scene, Value, common, fs, text};

/// What is in a bundle, checked with public tools.
pub(super) fn by_hand(scene: &Scene, inside: &Path) {
    let sums = Command::new("sha256sum")
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(inside)
        .output()
        .unwrap();
    assert!(sums.status.success(), "{}", text(&sums));
    for mut verifier in common::verifiers() {
        for name in ["manifest.sigstore.json", "attestations/rebuild.sigstore.json"] {
            let public = scene.path("own.pem.pub");
            let program = verifier.get_program().to_owned();
            let args: Vec<_> = verifier.get_args().map(ToOwned::to_owned).collect();
            let mut again = Command::new(&program);
            again.args(&args).envs(
                verifier
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            );
            let output = again.arg(inside.join(name)).arg(&public).output().unwrap();
            assert!(output.status.success(), "{name}: {}", text(&output));
        }
        verifier.arg("--version");
    }
    if let Some(python) = common::third_party_python() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/third-party/validate_sbom.py");
        let files =
            ["sbom/build.cdx.json", "cdxa.json", "sbom/build.spdx.json"].map(|name| inside.join(name));
        let output = Command::new(python).arg(script).args(files).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
}

/// What the bundle declares is about the released file, and names every input of the plan.
pub(super) fn declared(inside: &Path) {
    let read = |name: &str| serde_json::from_slice::<Value>(&fs::read(inside.join(name)).unwrap()).unwrap();
    let cdxa = read("cdxa.json");
    let declared = &cdxa["declarations"];
    assert_eq!(declared["claims"][0]["predicate"], "VERIFIED_REPRODUCIBLE_BUILD");
    assert_eq!(declared["assessors"][0]["thirdParty"], true);
    assert_eq!(
        declared["assessors"][0]["organization"]["name"],
        "Example Verifiers"
    );
    let plan = read("plan.json");
    assert_eq!(
        declared["targets"]["components"][0]["hashes"][0]["content"],
        plan["expected"][0]["file"]["sha256"]
    );
    // Every input of the plan is in the bill of materials, the container's packages too.
    let parts = read("sbom/build.cdx.json");
    let digests: Vec<_> = parts["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["hashes"][0]["content"].clone())
        .collect();
    for package in plan["container"]["lock"]["packages"].as_array().unwrap() {
        assert!(digests.contains(&package["sha256"]), "{}", package["name"]);
    }
}

/// The map says where there is evidence, and where there is none.
pub(super) fn mapped(inside: &Path) {
    let read = |name: &str| serde_json::from_slice::<Value>(&fs::read(inside.join(name)).unwrap()).unwrap();
    let controls = read("controls.json");
    let status: BTreeMap<String, String> = controls
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            (
                it["control"].as_str().unwrap().to_owned(),
                it["status"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    for (control, expected) in [
        ("ID.AM-02", "evidence"),
        ("NHI8", "evidence"),
        ("NHI9", "evidence"),
        ("NHI10", "no evidence"),
        ("Build L3", "no evidence"),
        ("Build L2", "no evidence"),
        ("Annex VII (8)", "evidence"),
        ("MANAGE 3.1", "evidence"),
    ] {
        assert_eq!(status[control], expected, "{control}");
    }
    let page = fs::read_to_string(inside.join("controls.md")).unwrap();
    assert!(page.contains("**no evidence**; missing: "), "{page}");
}
