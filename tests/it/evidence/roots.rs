//! What a trusted root can check, and what is said of that which it cannot.

use std::fs;

use crate::common::authority::{Authority, Signer};
use crate::common::{code, json, text};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{COMMIT, REPOSITORY, Scene, base64};

/// A root without some of its parts.
fn without(root: &Value, part: &str) -> Value {
    let mut root = root.clone();
    root[part] = json!([]);
    root
}

/// A root with a part of another one in place of its own.
fn with(root: &Value, part: &str, other: &Value) -> Value {
    let mut root = root.clone();
    root[part] = other[part].clone();
    root
}

// Long, as it is one table.
#[apply(test)]
fn what_the_root_does_not_have_is_unchecked_and_what_does_not_hold_is_refuted() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let good = scene.authority.sign(&scene.statement(), &signer);
    let own = scene.authority.trusted_root();
    let mut other = Authority::new().trusted_root();
    // Another instance, whose authority has another name.
    let public = rebuilder_public_root();
    let mut tampered = good.clone();
    let changed = scene.statement().to_string().replace("release.yml", "evil.yml");
    tampered["dsseEnvelope"]["payload"] = json!(base64(changed.as_bytes()));
    let part = |change: &dyn Fn(&mut Value)| {
        let mut bundle = good.clone();
        change(&mut bundle["verificationMaterial"]);
        bundle
    };
    let without_entry = part(&|material| material["tlogEntries"] = json!([]));
    let without_promise = part(&|material| {
        let entry = material["tlogEntries"][0].as_object_mut().unwrap();
        entry.remove("inclusionPromise");
        entry.remove("integratedTime");
    });
    let without_certificate = part(&|material| material["certificate"]["rawBytes"] = json!("MAA="));
    let configured = json!({
        "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
        "trustedRoot": own, "signingConfig": {}
    });
    let lines = |roots: &[&Value]| {
        roots
            .iter()
            .map(|root| root.to_string() + "\n")
            .collect::<String>()
    };
    for (what, root, bundle, expected, words) in [
        (
            "its own root",
            own.to_string(),
            &good,
            0,
            "certificate, log and time are good",
        ),
        (
            "one a line",
            lines(&[&public, &own]),
            &good,
            0,
            "certificate, log and time are good",
        ),
        (
            "one a line, and changed",
            lines(&[&public, &own]),
            &tampered,
            3,
            "invalid signature",
        ),
        (
            "another authority",
            public.to_string(),
            &good,
            4,
            "which the trusted root does not have",
        ),
        (
            "another transparency log",
            with(&own, "tlogs", &other).to_string(),
            &good,
            4,
            "whose key the trusted root does not have",
        ),
        (
            "another certificate log",
            with(&own, "ctlogs", &other).to_string(),
            &good,
            4,
            "whose key the trusted root does not have",
        ),
        (
            "no certificate log",
            without(&own, "ctlogs").to_string(),
            &good,
            0,
            "the trusted root has no certificate log",
        ),
        // Nothing but the log shows the time here.
        (
            "no transparency log",
            without(&own, "tlogs").to_string(),
            &good,
            4,
            "whose key the trusted root does not have",
        ),
        // The name of a trusted authority, and not its signature.
        (
            "an authority of the same name",
            with(&own, "certificateAuthorities", &other).to_string(),
            &good,
            3,
            "certificate",
        ),
        ("changed", own.to_string(), &tampered, 3, "invalid signature"),
        (
            "a client's configuration",
            configured.to_string(),
            &good,
            0,
            "certificate, log and time are good",
        ),
        (
            "no entry of a log",
            own.to_string(),
            &without_entry,
            4,
            "it has no entry of a transparency log",
        ),
        // Nothing but the name is checked for such a bundle, unless its chain is.
        (
            "no entry of a log, and an authority of the same name",
            with(&own, "certificateAuthorities", &other).to_string(),
            &without_entry,
            3,
            "certificate",
        ),
        (
            "nothing shows the time",
            own.to_string(),
            &without_promise,
            4,
            "nothing in it shows when it was signed",
        ),
        (
            "no certificate",
            own.to_string(),
            &without_certificate,
            3,
            "its certificate cannot be read",
        ),
    ] {
        fs::write(scene.path("root.json"), root).unwrap();
        let output = scene.inspect(bundle.to_string().as_bytes(), &[]);
        assert_eq!(code(&output), expected, "{what}: {}", text(&output));
        assert!(text(&output).contains(words), "{what}: {}", text(&output));
    }
    other["certificateAuthorities"] = json!("none");
    let empty = without(&without(&own, "certificateAuthorities"), "tlogs");
    for root in [lines(&[&own, &other]), empty.to_string()] {
        fs::write(scene.path("root.json"), root).unwrap();
        assert_eq!(code(&scene.inspect(good.to_string().as_bytes(), &[])), 2);
    }
}

/// The public instance's root, as the crates carry it.
fn rebuilder_public_root() -> Value {
    let file = crate::common::vectors().join("trust/sigstore-prod-trusted_root.json");
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

#[apply(test)]
fn a_certificate_beside_a_signature_is_checked_and_shows_no_time() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let bundle = scene.authority.sign(&scene.statement(), &signer);
    let certificate = STANDARD
        .decode(
            bundle["verificationMaterial"]["certificate"]["rawBytes"]
                .as_str()
                .unwrap(),
        )
        .unwrap();
    let mut envelope = bundle["dsseEnvelope"].clone();
    envelope["signatures"][0]["keyid"] = json!("");
    envelope["signatures"][0]["cert"] = json!(pem::encode(&pem::Pem::new("CERTIFICATE", certificate)));
    let mut changed = envelope.clone();
    changed["payload"] = json!(base64(
        scene.statement().to_string().replace("push", "pull").as_bytes()
    ));
    let own = scene.authority.trusted_root();
    for (root, document, expected, words) in [
        (
            &own,
            &envelope,
            4,
            "the file has no entry of the transparency log",
        ),
        (&own, &changed, 3, "invalid signature"),
        (
            &rebuilder_public_root(),
            &envelope,
            4,
            "no authority of the trusted root issued",
        ),
    ] {
        fs::write(scene.path("root.json"), root.to_string()).unwrap();
        let output = scene.inspect(document.to_string().as_bytes(), &[]);
        assert_eq!(code(&output), expected, "{}", text(&output));
        assert!(text(&output).contains(words), "{words}: {}", text(&output));
    }
    assert!(
        text(&scene.inspect(envelope.to_string().as_bytes(), &[])).contains("no authority"),
        "the last root stays"
    );
}

/// Everything was signed on 2 January 2025.
#[apply(test)]
fn the_keys_of_a_root_count_in_their_time_alone() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let bundle = scene.authority.sign(&scene.statement(), &signer).to_string();
    let own = scene.authority.trusted_root();
    for (times, counts) in [
        (json!({"start": "2024-01-01T00:00:00Z"}), true),
        (
            json!({"start": "2024-01-01T00:00:00Z", "end": "2025-06-01T00:00:00Z"}),
            true,
        ),
        (
            json!({"start": "2024-01-01T00:00:00Z", "end": "2024-06-01T00:00:00Z"}),
            false,
        ),
        (json!({"start": "2025-06-01T00:00:00Z"}), false),
        (json!({"start": "2099-01-01T00:00:00Z"}), false),
    ] {
        for place in [
            "/certificateAuthorities/0/validFor",
            "/tlogs/0/publicKey/validFor",
            "/ctlogs/0/publicKey/validFor",
        ] {
            let mut root = own.clone();
            *root.pointer_mut(place).unwrap() = times.clone();
            fs::write(scene.path("root.json"), root.to_string()).unwrap();
            let output = scene.inspect(bundle.as_bytes(), &[]);
            let standing = json(&output)["provenance"]["standing"].clone();
            let what = format!("{place} {times}: {}", text(&output));
            assert_eq!(standing == "verified", counts, "{what}");
            assert_eq!(code(&output) == 0, counts, "{what}");
        }
    }
}
