//! Archives and mirrors that are down, or serve something else.

use super::{
    DEBIAN, NETWORK, Path, PathBuf, SANDBOX, check, common, fs, mirror, needs, nothing_half_written,
    own_store, rebuilder_in, store,
};

#[apply(test)]
fn a_release_file_signed_by_another_key_is_refused() {
    needs(&[NETWORK, SANDBOX]);
    let store = own_store();
    // The same definition, trusting a key that never signed this archive.
    let folder = tempfile::tempdir().unwrap();
    let definition =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("containers/bookworm-build.toml"))
            .unwrap();
    let keyring = folder.path().join("other.gpg");
    let other = definition.replace("debian-archive.gpg", keyring.to_str().unwrap());
    fs::write(folder.path().join("bookworm-build.toml"), other).unwrap();
    fs::write(&keyring, stranger()).unwrap();
    let output = std::process::Command::new(common::BIN)
        .arg("--store")
        .arg(store.path())
        .args(["--quiet", "--containers"])
        .arg(folder.path())
        .args(["rebuild", "deb:base-files"])
        .output()
        .unwrap();
    check(
        &output,
        3,
        &[
            "no signature of InRelease of bookworm verifies",
            "is not in the keyring",
        ],
    );
    nothing_half_written(store.path());
}

/// A certificate that nobody knows.
pub(super) fn stranger() -> Vec<u8> {
    use sequoia_openpgp::serialize::Serialize as _;
    let (cert, _) = sequoia_openpgp::cert::CertBuilder::new()
        .add_userid("stranger")
        .add_signing_subkey()
        .generate()
        .unwrap();
    let mut bytes = Vec::new();
    cert.serialize(&mut bytes).unwrap();
    bytes
}

#[apply(test)]
fn changed_indexes_and_packages_are_refused() {
    needs(&[NETWORK, SANDBOX]);
    let plan = common::plan("deb:base-files");
    let released = &plan["expected"][0]["file"];
    let (name, digest) = (
        released["name"].as_str().unwrap(),
        released["sha256"].as_str().unwrap(),
    );
    let whole = store().join("store/sha256").join(&digest[..2]).join(digest);

    let fake = tempfile::tempdir().unwrap();
    fs::write(fake.path().join("Packages.xz"), "not the index").unwrap();
    let bytes = fs::read(&whole).unwrap();
    fs::write(fake.path().join(name), &bytes[..bytes.len() / 2]).unwrap();
    let fake_url = format!("file://{}/", fake.path().display());

    let index = format!("{DEBIAN}/dists/bookworm/main/binary-amd64/");
    let fresh = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let output = rebuilder_in(fresh.path())
        .args(mirror(&index, &fake_url))
        .args(["rebuild", "deb:base-files"])
        .output()
        .unwrap();
    check(
        &output,
        4,
        &["bookworm/main/binary-amd64/Packages.xz has the wrong size"],
    );
    nothing_half_written(fresh.path());

    let pool = format!("{DEBIAN}/pool/main/b/base-files/");
    let without = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    common::store_without(without.path(), digest);
    fs::copy(
        source_file(&plan),
        fake.path()
            .join(plan["inputs"][0]["file"]["name"].as_str().unwrap()),
    )
    .unwrap();
    let output = rebuilder_in(without.path())
        .args(mirror(&pool, &fake_url))
        .args(["rebuild", "deb:base-files"])
        .output()
        .unwrap();
    check(&output, 4, &[name, "wrong size", "expected"]);
    nothing_half_written(without.path());
}

pub(super) fn source_file(plan: &serde_json::Value) -> PathBuf {
    let digest = plan["inputs"][0]["file"]["sha256"].as_str().unwrap();
    store().join("store/sha256").join(&digest[..2]).join(digest)
}

#[apply(test)]
fn mirrors_that_are_down() {
    needs(&[SANDBOX]);
    let store = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    for (subject, prefix) in [
        ("deb:base-files", "https://deb.debian.org"),
        ("pypi:idna==3.10", "https://pypi.org"),
    ] {
        let output = rebuilder_in(store.path())
            .args(mirror(prefix, "http://127.0.0.1:9"))
            .args(["rebuild", subject])
            .output()
            .unwrap();
        check(&output, 4, &["cannot fetch", "onnection refused", "--mirror"]);
        nothing_half_written(store.path());
    }
    let output = rebuilder_in(store.path())
        .args(["--offline", "rebuild", "pypi:idna==3.10"])
        .output()
        .unwrap();
    check(&output, 4, &["this run is offline"]);
}
