//! Rules about what set a build off.

use serde_json::Value;

use super::{Authority, COMMIT, REPOSITORY, Scene, Sha256, Signer, code, fs, json, provenance, text};

/// A scene with provenance of a build that a person started on `main`, and what it says.
pub(super) fn dispatched() -> (Scene, Authority, Value) {
    let scene = Scene::new();
    let authority = Authority::new();
    fs::write(scene.path("root.json"), authority.trusted_root().to_string()).unwrap();
    let mut statement = provenance("tool", &Sha256::of("released").to_hex(), REPOSITORY, COMMIT);
    let definition = &mut statement["predicate"]["buildDefinition"];
    definition["externalParameters"]["workflow"]["ref"] = "refs/heads/main".into();
    definition["externalParameters"]["inputs"] = serde_json::json!({"level": "1", "dry": false});
    definition["internalParameters"]["github"]["event_name"] = "workflow_dispatch".into();
    definition["resolvedDependencies"][0]["uri"] = format!("git+{REPOSITORY}@refs/heads/main").into();
    let signer = Signer {
        reference: "refs/heads/main".into(),
        ..Signer::workflow(REPOSITORY, COMMIT)
    };
    let bundle = authority.sign(&statement, &signer);
    fs::write(scene.path("provenance.json"), bundle.to_string()).unwrap();
    (scene, authority, statement)
}

#[apply(test)]
fn rules_about_what_set_the_build_off_ask_the_provenance() {
    let (scene, ..) = dispatched();
    for (rule, expected, words) in [
        ("source-branches = [\"main\"]", 0, "the branch main"),
        ("source-branches = [\"rel*\", \"m*\"]", 0, ""),
        ("source-branches = [\"dev\"]", 3, "the branch main"),
        ("source-tags = [\"*\"]", 3, "from the branch main, and no tag"),
        (
            "source-versioned-tags = [\"v1\"]",
            3,
            "from the branch main, and no tag",
        ),
        ("workflow-inputs = { level = \"1\" }", 0, ""),
        ("workflow-inputs = { level = \"1\", dry = \"false\" }", 0, ""),
        ("workflow-inputs = { level = \"2\" }", 3, "level = \\\"1\\\", not"),
        ("workflow-inputs = { other = \"1\" }", 3, "without the input"),
    ] {
        let output = scene.with(&format!("version = 1\n[[rules]]\nsubject = \"tool\"\n{rule}\n"));
        assert_eq!(code(&output), expected, "{rule}: {}", text(&output));
        let checks = &json(&output)["policy"]["checks"];
        assert!(checks.to_string().contains(words), "{rule}: {checks}");
    }
}

/// What the authority read off the workflow's token is worth more than what the workflow wrote.
#[apply(test)]
fn the_certificate_is_asked_what_set_the_build_off() {
    let (scene, authority, statement) = dispatched();
    let branch = "version = 1\n[[rules]]\nsubject = \"tool\"\nsource-branches = [\"main\"]\n";
    let inputs = "version = 1\n[[rules]]\nsubject = \"tool\"\nworkflow-inputs = { level = \"1\" }\n";
    let free = "version = 1\n[[rules]]\nsubject = \"tool\"\nrequire = [\"provenance\"]\n";
    let other = "https://github.com/example/other";
    let at = |reference: &str| Signer {
        reference: reference.into(),
        ..Signer::workflow(REPOSITORY, COMMIT)
    };
    for (signer, rule, expected, words) in [
        (at("refs/heads/main"), branch, 0, "the branch main"),
        (at(""), branch, 0, "the branch main"),
        (at("refs/heads/dev"), branch, 3, "ran at refs/heads/dev"),
        (at("refs/tags/main"), branch, 3, "ran at refs/tags/main"),
        (at("refs/heads/dev"), inputs, 3, "ran at refs/heads/dev"),
        (at("refs/heads/dev"), free, 0, ""),
        (
            Signer::workflow(other, COMMIT),
            branch,
            3,
            "a workflow of https://github.com/example/other",
        ),
        (
            Signer::workflow(REPOSITORY, &"1".repeat(40)),
            branch,
            3,
            "ran at 1111",
        ),
    ] {
        let bundle = authority.sign(&statement, &signer);
        fs::write(scene.path("provenance.json"), bundle.to_string()).unwrap();
        let output = scene.with(rule);
        assert_eq!(code(&output), expected, "{rule}{words}: {}", text(&output));
        let checks = &json(&output)["policy"]["checks"];
        assert!(checks.to_string().contains(words), "{rule}{words}: {checks}");
    }
}

#[apply(test)]
fn unsigned_provenance_does_not_say_what_set_the_build_off() {
    let (scene, _, statement) = dispatched();
    fs::write(scene.path("provenance.json"), statement.to_string()).unwrap();
    let output = scene.with("version = 1\n[[rules]]\nsubject = \"tool\"\nsource-branches = [\"main\"]\n");
    assert_eq!(code(&output), 3, "{}", text(&output));
    assert!(
        text(&output).contains("no verified provenance by a builder"),
        "{}",
        text(&output)
    );
    for version in ["1.2", "v1.2.3.4", "latest"] {
        let output = scene.with(&format!(
            "version = 1\n[[rules]]\nsubject = \"tool\"\nsource-versioned-tags = [\"{version}\"]\n"
        ));
        assert_eq!(code(&output), 2, "{version}: {}", text(&output));
    }
}
