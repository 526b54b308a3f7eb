//! Crates of crates.io.

use std::path::PathBuf;
use std::process::Output;

use super::*;

/// The source of a crate, and a registry that has what was made of it.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn source(&self) -> PathBuf {
        self.path("source")
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.source().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// What cargo packs of the source.
    fn package(&self, options: &[&str]) -> Vec<u8> {
        let packed = Command::new("cargo")
            .args(["package", "--quiet", "--no-verify"])
            .args(options)
            .arg("--target-dir")
            .arg(self.path("target"))
            .current_dir(self.source().join("member"))
            .output()
            .unwrap();
        assert!(packed.status.success(), "{}", text(&packed));
        fs::read(self.path("target/package/rb-check-0.1.0.crate")).unwrap()
    }

    fn publish(&self, bytes: &[u8]) {
        let (index, crates) = (self.path("index/rb/-c"), self.path("crates/rb-check"));
        fs::create_dir_all(&index).unwrap();
        fs::create_dir_all(&crates).unwrap();
        fs::write(crates.join("rb-check-0.1.0.crate"), bytes).unwrap();
        let checksum = rebuilder::artifact::Sha256::of(bytes);
        let line = format!(
            "{{\"name\":\"rb-check\",\"vers\":\"0.1.0\",\"deps\":[],\"cksum\":\"{checksum}\",\"features\":{{}},\"yanked\":false}}\n"
        );
        fs::write(index.join("rb-check"), line).unwrap();
    }

    fn rebuild(&self, run: &str, attempts: &str) -> Output {
        let at = |address: &str, path: PathBuf| format!("{address}=file://{}", path.display());
        let mut command = rebuilder();
        command.args(["--json", "--mirror"]);
        command.arg(at("https://index.crates.io", self.path("index")));
        command.arg("--mirror");
        // The other crates come from the registry.
        command.arg(at(
            "https://static.crates.io/crates/rb-check",
            self.path("crates/rb-check"),
        ));
        command.arg("--git-mirror").arg(format!(
            "https://github.com/rb-example/check={}",
            self.source().join(".git").display()
        ));
        command.args(["rebuild", "crate:rb-check", "--attempts", attempts, "--out"]);
        command.arg(self.path(run));
        command.args(["--tool", &format!("cargo={}", version("cargo").unwrap())]);
        command.output().unwrap()
    }
}

#[apply(test)]
fn a_crate_comes_from_the_commit_that_it_names() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let place = Place::new();
    // A member of a workspace, with a file that git must not change on its way.
    place.write(
        "Cargo.toml",
        "[workspace]\nmembers = [\"member\"]\nresolver = \"2\"\n",
    );
    place.write(".gitattributes", "* text=auto\n");
    place.write(
        "member/Cargo.toml",
        "[package]\nname = \"rb-check\"\nversion = \"0.1.0\"\nedition = \"2021\"\nlicense = \"MIT\"\ndescription = \"a\"\nrepository = \"https://github.com/rb-example/check\"\n",
    );
    place.write("member/src/lib.rs", "//! Nothing.\n");
    let commit = commit(&place.source());
    let released = place.package(&["--offline"]);
    place.publish(&released);
    let output = place.rebuild("first", "2");
    assert_eq!(code(&output), 0, "{}", text(&output));
    let document = json(&output);
    assert_eq!(document["verdict"], "reproduced");
    let claims = document["claims"].as_array().unwrap();
    assert!(
        claims
            .iter()
            .any(|claim| claim["claim"].as_str().unwrap().contains(&commit)),
        "the commit is no claim"
    );

    // A file that is not in the commit: what cargo packs is not what was published.
    fs::write(place.source().join("member/src/lib.rs"), "//! Something else.\n").unwrap();
    place.publish(&place.package(&["--offline", "--allow-dirty"]));
    let output = place.rebuild("run", "2");
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert_eq!(
        json(&output)["outputs"][0]["differs"]["causes"][0]["cause"],
        "other-source"
    );
    // The crate itself says that files were changed since its commit, so it claims nothing else.
    assert_eq!(json(&output)["verdict"], "not-reproduced");

    // It names this commit without such a word, so it was not made from what it names.
    place.publish(&with_other_code(&released));
    let output = place.rebuild("again", "2");
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert_eq!(json(&output)["verdict"], "mismatch", "{}", text(&output));
}

/// The same crate with other code, and all else as it was.
pub(super) fn with_other_code(released: &[u8]) -> Vec<u8> {
    let mut old = tar::Archive::new(flate2::read::GzDecoder::new(released));
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut new = tar::Builder::new(gzip);
    for entry in old.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut header = entry.header().clone();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        if entry.path().unwrap().ends_with("src/lib.rs") {
            bytes = b"//! Something else.\n".to_vec();
            header.set_size(bytes.len() as u64);
            header.set_cksum();
        }
        new.append(&header, &bytes[..]).unwrap();
    }
    new.into_inner().unwrap().finish().unwrap()
}

/// A crate that names a native library, so that cargo looks for its build script when it resolves the workspace.
pub(super) const LINKING: (&str, &str, &str) = (
    "wasm-bindgen-shared",
    "0.2.89",
    "7ab9b36309365056cd639da3134bf87fa8f3d86008abf99e612384a6eecd459f",
);

/// A workspace of two members, one of which the other does not need, with a lock file and a file that no crate packs.
fn write_workspace(place: &Place) {
    let (name, version_of_it, checksum) = LINKING;
    let lock = format!(
        "version = 3\n\n[[package]]\nname = \"other\"\nversion = \"0.1.0\"\ndependencies = [\n \"{name}\",\n]\n\n\
         [[package]]\nname = \"rb-check\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"{name}\"\n\
         version = \"{version_of_it}\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n\
         checksum = \"{checksum}\"\n"
    );
    let manifest = |name: &str, more: &str| {
        format!(
            "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\nlicense = \"MIT\"\n\
             description = \"a\"\nrepository = \"https://github.com/rb-example/check\"\n{more}"
        )
    };
    // No earlier run may have left it in the kept repository.
    let unseen = format!("//! {}\n", place.0.path().display());
    let needed = format!("[dependencies]\n{name} = \"{version_of_it}\"\n");
    for (path, text) in [
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"member\", \"other\"]\nresolver = \"2\"\n",
        ),
        ("Cargo.lock", &lock),
        ("data/large.bin", "a file that no crate packs\n"),
        ("member/Cargo.toml", &manifest("rb-check", "")),
        ("member/src/lib.rs", &unseen),
        ("other/Cargo.toml", &manifest("other", &needed)),
        ("other/src/lib.rs", "//! Nothing.\n"),
    ] {
        place.write(path, text);
    }
}

#[apply(test)]
fn a_workspace_with_a_lock_file_is_packed_though_its_mirror_lacks_a_file() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let place = Place::new();
    write_workspace(&place);
    commit(&place.source());
    place.publish(&place.package(&[]));
    let object = |path: &str| {
        let id = git(&place.source(), &["rev-parse", &format!("HEAD:{path}")]);
        place.source().join(".git/objects").join(&id[..2]).join(&id[2..])
    };
    fs::remove_file(object("data/large.bin")).unwrap();
    // Bytes under the name of others: git reads them as they lie there.
    let (changed, aside) = (object("member/src/lib.rs"), place.path("aside"));
    fs::rename(&changed, &aside).unwrap();
    fs::copy(object("member/Cargo.toml"), &changed).unwrap();
    let output = place.rebuild("changed", "1");
    assert_ne!(code(&output), 0, "{}", text(&output));
    assert!(text(&output).contains("give the name"), "{}", text(&output));

    fs::remove_file(&changed).unwrap();
    fs::rename(&aside, &changed).unwrap();
    let output = place.rebuild("lacking", "1");
    assert_eq!(code(&output), 0, "{}", text(&output));
    assert_eq!(json(&output)["verdict"], "reproduced");
    let plan = fs::read(place.path("lacking/plan.json")).unwrap();
    let plan: serde_json::Value = serde_json::from_slice(&plan).unwrap();
    assert_eq!(plan["git"][0]["without"], serde_json::json!(["data/large.bin"]));
}
