//! Keys in PKCS#11 tokens.

use super::{Command, NETWORK, Path, Place, SANDBOX, code, common, fs, json, needs, text};

pub(super) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// A token of SoftHSM with keys of several kinds.
pub(super) fn make_token(place: &Place) {
    fs::create_dir(place.path("tokens")).unwrap();
    fs::write(
        place.path("softhsm.conf"),
        format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            place.text("tokens")
        ),
    )
    .unwrap();
    fs::write(place.path("pin"), "1234\n").unwrap();
    let tool = |program: &str, arguments: &[&str]| {
        let output = Command::new(program)
            .env("SOFTHSM2_CONF", place.path("softhsm.conf"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            text(&output)
        );
    };
    tool(
        "softhsm2-util",
        &[
            "--init-token",
            "--free",
            "--label",
            "re builder",
            "--pin",
            "1234",
            "--so-pin",
            "5678",
        ],
    );
    for (label, kind, id) in [
        ("p256", "EC:prime256v1", "01"),
        ("ed", "EC:edwards25519", "02"),
        ("twice", "EC:prime256v1", "03"),
        ("twice", "EC:prime256v1", "04"),
        ("p384", "EC:secp384r1", "05"),
    ] {
        tool(
            "pkcs11-tool",
            &[
                "--module",
                MODULE,
                "--token-label",
                "re builder",
                "--login",
                "--pin",
                "1234",
                "--keypairgen",
                "--key-type",
                kind,
                "--label",
                label,
                "--id",
                id,
            ],
        );
    }
}

#[apply(test)]
fn tokens_sign_and_their_keys_never_leave_them() {
    needs(&[NETWORK, SANDBOX]);
    let there = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if !Path::new(MODULE).exists() || !there("softhsm2-util") || !there("pkcs11-tool") {
        common::skip("softhsm2 and opensc");
    }
    let place = Place::new();
    make_token(&place);
    let uri = |object: &str| {
        format!(
            "pkcs11:token=re%20builder;{object}?module-path={MODULE}&pin-source=file:{}",
            place.text("pin")
        )
    };
    place.signs(&uri("object=p256"), &[]);
    place.signs(&uri("object=ed"), &[]);
    place.signs(&uri("object=twice;id=%04"), &[]);
    // The audit log and the inventory know it as any other key.
    place.good(&["key", "add", "--key", &uri("object=p256")]);
    let keys = json(&place.good(&["--json", "key", "list"]));
    assert_eq!(keys["keys"][0]["uses"]["count"], 1, "{keys}");
    assert_eq!(keys["keys"][0]["findings"], serde_json::json!([]));
    refused_tokens(&place, uri);
}

/// References that lead to no key, and why.
pub(super) fn refused_tokens(place: &Place, uri: impl Fn(&str) -> String) {
    let run = place.rebuild();
    let wrong_pin = place.text("wrong");
    fs::write(&wrong_pin, "9999").unwrap();
    for (key, what) in [
        (uri("object=nothing"), "no object with this name"),
        (uri("object=twice"), "several have this name"),
        (uri("object=p384"), "only Ed25519 and ECDSA over P-256"),
        (
            uri("object=p256").replace("re%20builder", "other"),
            "no token has this name",
        ),
        (
            uri("object=p256").replace(&place.text("pin"), &wrong_pin),
            "logging in",
        ),
        (
            uri("object=p256").replace(MODULE, "/nowhere/module.so"),
            "loading the module",
        ),
    ] {
        let output = place.run(&["attest", &run, "--key", &key]);
        assert_eq!(code(&output), 2, "{key}: {}", text(&output));
        assert!(text(&output).contains(what), "{key}: {}", text(&output));
    }
}
