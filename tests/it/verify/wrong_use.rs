//! Several artifacts at once, and arguments that cannot be meant.

use super::{NAME, Scene, TWO, code, fs, json, keys, released, same, text, verify};

/// What two of three parties say the same about.
fn said() -> Scene {
    let mut scene = Scene::new(TWO);
    scene.say("alice", &same("alice"));
    scene.say("bob", &same("bob"));
    scene
}

#[apply(test)]
fn artifacts_are_named_by_digest_and_together() {
    let scene = said();
    // By digest alone, and together with a file that nobody vouches for.
    let (said, policy) = (scene.path("said"), scene.path("policy.toml"));
    let by_digest = format!("sha256:{}", released());
    let common = ["--attestation", &said, "--policy", &policy];
    assert_eq!(code(&verify(&[&[by_digest.as_str()], &common[..]].concat())), 0);
    let unknown = scene.path("unknown.bin");
    fs::write(&unknown, b"unknown").unwrap();
    let both = verify(&[&[by_digest.as_str(), &unknown, "--json"], &common[..]].concat());
    assert_eq!(code(&both), 4, "{}", text(&both));
    let found = json(&both);
    assert_eq!(
        (&found[0]["verdict"], &found[1]["verdict"]),
        (&json!("agreed"), &json!("not-enough"))
    );
}

#[apply(test)]
fn arguments_that_lead_nowhere_are_told() {
    let scene = said();
    let artifact = scene.path(NAME);
    for (arguments, expected, what) in [
        (
            vec![artifact.as_str(), "--attestation", "/nowhere"],
            2,
            "cannot read attestations from /nowhere",
        ),
        (vec!["sha256:zz"], 2, "is not a digest"),
        (
            vec!["/nowhere/file"],
            2,
            "cannot read /nowhere/file: no such file",
        ),
        (
            vec![artifact.as_str(), "--policy", "/nowhere.toml"],
            2,
            "cannot read the policy",
        ),
        (
            vec![
                artifact.as_str(),
                "--attestation",
                "https://localhost:1/x.json",
                "--offline",
            ],
            4,
            "offline",
        ),
    ] {
        let output = verify(&arguments);
        assert_eq!(code(&output), expected, "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(what), "{arguments:?}: {}", text(&output));
    }
}

#[apply(test)]
fn a_policy_that_fits_nothing_refuses() {
    let scene = said();
    let policy = scene.path("policy.toml");
    // A policy that is about other subjects refuses.
    let other = fs::read_to_string(&policy)
        .unwrap()
        .replace("subject = \"*\"", "subject = \"pkg:npm/*\"");
    fs::write(&policy, other).unwrap();
    let output = scene.verify(&[]);
    assert_eq!(code(&output), 3, "{}", text(&output));
    assert!(text(&output).contains("no quorum matches"), "{}", text(&output));
    for (quorum, what) in [
        ("threshold = 99\n", "needs a weight of 99"),
        ("threshold = 0\n", "needs a weight of 0"),
        ("roles = { pope = 1 }\n", "needs 1 with the role"),
        ("parties = [\"nobody\"]\n", "names the party"),
        ("agree-on = [\"colour\"]\n", "unknown aspect \"colour\""),
    ] {
        let scene = Scene::new(quorum);
        let output = scene.verify(&[]);
        assert_eq!(code(&output), 2, "{quorum}: {}", text(&output));
        assert!(text(&output).contains(what), "{quorum}: {}", text(&output));
    }
}

#[apply(test)]
fn attestations_come_from_urls_and_count_without_a_policy() {
    let scene = said();
    let (said, policy) = (scene.path("said"), scene.path("policy.toml"));
    let artifact = scene.path(NAME);
    // The example is a policy that can be used.
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quorum.toml");
    let output = verify(&[&artifact, "--attestation", &said, "--policy", example]);
    assert_eq!(code(&output), 4, "{}", text(&output));
    // From a URL, here by way of a mirror.
    let mirror = format!("https://rebuilder.example/=file://{said}/");
    let names: Vec<_> = fs::read_dir(&said)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let urls: Vec<_> = names
        .iter()
        .map(|name| format!("https://rebuilder.example/{name}"))
        .collect();
    let store = scene.path("store");
    let mut arguments = vec![
        artifact.as_str(),
        "--store",
        &store,
        "--mirror",
        &mirror,
        "--policy",
        &policy,
    ];
    arguments.extend(urls.iter().flat_map(|url| ["--attestation", url]));
    let output = verify(&arguments);
    assert_eq!(code(&output), 0, "{}", text(&output));
    // Without a policy: only keys that the user names count, and one rebuild is asked for.
    let alone = verify(&[&artifact, "--attestation", &said]);
    assert_eq!(code(&alone), 4, "{}", text(&alone));
    let public = scene.path("alice.pub");
    fs::write(&public, &keys()["alice"].1).unwrap();
    let alone = verify(&[&artifact, "--attestation", &said, "--trusted-key", &public]);
    assert_eq!(code(&alone), 0, "{}", text(&alone));
}
