//! Bundles that others have really signed, and the cases of their conformance suite.

use std::fs;
use std::path::Path;

use crate::common::authority::Signer;
use crate::common::{code, json, rebuilder, text, vectors};

use super::{COMMIT, REPOSITORY, Scene, example};

#[apply(test)]
fn every_conformance_case_is_judged_right() {
    let folder = vectors();
    let folder = folder.join("sigstore-conformance");
    let mut cases = 0;
    for case in fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
    {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        let read = |file: &str| {
            fs::read_to_string(case.join(file))
                .ok()
                .map(|text| text.trim().to_owned())
        };
        let artifact = Some(case.join("artifact"))
            .filter(|path| path.exists())
            .unwrap_or(folder.join("a.txt"));
        let mut command = example("verify-bundle");
        command
            .arg("verify-bundle")
            .arg("--bundle")
            .arg(case.join("bundle.sigstore.json"));
        if case.join("key.pub").exists() {
            command.arg("--key").arg(case.join("key.pub"));
        } else {
            command.arg("--certificate-identity").arg(read("identity").unwrap_or_else(|| {
                "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main".into()
            }));
            command
                .arg("--certificate-oidc-issuer")
                .arg(read("issuer").unwrap_or_else(|| "https://token.actions.githubusercontent.com".into()));
        }
        if case.join("trusted_root.json").exists() {
            command.arg("--trusted-root").arg(case.join("trusted_root.json"));
        }
        let output = command.arg(artifact).output().unwrap();
        assert_eq!(
            output.status.success(),
            !name.ends_with("_fail"),
            "{name}: {}",
            text(&output)
        );
        cases += 1;
    }
    assert!(cases > 30, "only {cases} cases were found");
}

#[apply(test)]
fn real_npm_packages_are_verified_and_tampered_ones_refused() {
    let folder = vectors();
    let npm = folder.join("npm");
    for (name, signature, provenance) in [
        ("gundam-visor-cli-v1-tag", "verified", "verified"),
        ("gundam-visor-cli-v1-tag-invalidsigprov", "verified", "refuted"),
        ("gundam-visor-cli-v1-tag-invalidsigpub", "refuted", "verified"),
        ("provenance-npm-test-cli-v02-prega", "verified", "verified"),
        (
            "provenance-npm-test-cli-v02-prega-invalidsigprov",
            "verified",
            "refuted",
        ),
        (
            "provenance-npm-test-cli-v02-prega-invalidsigpub",
            "refuted",
            "verified",
        ),
        ("provenance-npm-test-ossf", "verified", "verified"),
        ("provenance-npm-test-ossf-invalidsigprov", "verified", "refuted"),
        ("provenance-npm-test-ossf-invalidsigpub", "refuted", "verified"),
    ] {
        let tarball = npm.join(format!("{name}.tgz"));
        let inspect = |tarball: &Path| {
            let mut command = rebuilder();
            command
                .args(["--json", "--offline", "inspect"])
                .arg(tarball)
                .arg("--provenance");
            command
                .arg(npm.join(format!("{name}.tgz.json")))
                .output()
                .unwrap()
        };
        let output = inspect(&tarball);
        let found = json(&output);
        let is_good = signature == "verified" && provenance == "verified";
        assert_eq!(
            code(&output),
            if is_good { 0 } else { 3 },
            "{name}: {}",
            text(&output)
        );
        assert_eq!(found["signature"]["standing"], signature, "{name}");
        assert_eq!(found["provenance"]["standing"], provenance, "{name}");
        if !is_good {
            let against = [&found["signature"], &found["provenance"]];
            let against = against
                .iter()
                .find(|finding| finding["standing"] == "refuted")
                .unwrap();
            let meaning = against["claims"][0]["meaning"].as_str().unwrap();
            assert!(meaning.contains("signature"), "{name}: {meaning}");
        }
        // The same claims about another package's bytes are refused, however well signed.
        let other = if name.starts_with("gundam") {
            "provenance-npm-test-ossf"
        } else {
            "gundam-visor-cli-v1-tag"
        };
        let output = inspect(&npm.join(format!("{other}.tgz")));
        assert_eq!(code(&output), 3, "{name}: {}", text(&output));
    }
}

#[apply(test)]
fn commits_and_tags_signed_without_a_key_are_verified_with_the_entry_that_they_carry() {
    use rebuilder::evidence::Standing;
    use rebuilder::evidence::git_signature::{of_commit, of_tag};
    use rebuilder::evidence::sigstore::Sigstore;
    use rebuilder::evidence::trust::Trust;
    let scene = Scene::new();
    let public = Trust::public_good().unwrap();
    let mut trust = public.clone();
    trust.sigstore = std::sync::Arc::new(Sigstore::read(&scene.path("root.json")).unwrap());
    let signer = Signer {
        identity: "mailto:maintainer@example.com".into(),
        issuer: "https://accounts.google.com".into(),
        ..Signer::workflow(REPOSITORY, COMMIT)
    };
    let commit = "tree 29a6bb89945c528d2e2a2702899db3e46ba2e6ee\nauthor A <a@b.c> 1 +0000\ncommitter A <a@b.c> 1 +0000\n\nmessage\n";
    let signed = |signature: &str| {
        let folded = signature.trim_end().replace('\n', "\n ");
        commit.replacen("\n\n", &format!("\ngpgsig {folded}\n\n"), 1)
    };
    let signature = scene.authority.gitsign(commit.as_bytes(), &signer);
    let good = of_commit(signed(&signature).as_bytes(), &trust);
    assert_eq!(good.standing, Standing::Verified, "{good:?}");
    assert!(good.by.unwrap().contains("maintainer@example.com"));
    assert_eq!(good.identity.unwrap().issuer, "https://accounts.google.com");
    let tag = format!("{commit}{signature}");
    assert_eq!(of_tag(tag.as_bytes(), &trust).standing, Standing::Verified);

    let changed = signed(&signature).replace("message", "another");
    let other = scene.authority.gitsign(b"another object", &signer);
    let expired = Signer {
        expired: true,
        ..signer.clone()
    };
    let expired = scene.authority.gitsign(commit.as_bytes(), &expired);
    for (object, trust, what, standing) in [
        (changed, &trust, "a changed commit", Standing::Invalid),
        (
            signed(&other),
            &trust,
            "a signature over another object",
            Standing::Invalid,
        ),
        (
            signed(&expired),
            &trust,
            "an expired certificate",
            Standing::Invalid,
        ),
        (
            signed(&signature),
            &public,
            "an authority that the root does not have",
            Standing::Unverifiable,
        ),
    ] {
        let judged = of_commit(object.as_bytes(), trust);
        assert_eq!(judged.standing, standing, "{what}: {judged:?}");
    }
}
