//! `rebuilder inspect`: what is taken for evidence, what is refused, and what is said about it.

mod cosign;
mod curves;
mod delegated;
mod endpoints;
mod forms;
mod images;
mod layouts;
mod named;
mod openpgp;
mod others;
mod peers;
mod real;
mod rekor;
mod roots;
mod signatures;
mod signers;
mod statements;
mod strangers;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::authority::{Authority, Signer, provenance};
use crate::common::{self, code, json, rebuilder, text};
use serde_json::{Value, json};

const REPOSITORY: &str = "https://github.com/example/tool";

const COMMIT: &str = "5995008213440709027a5666064bfdaba715df00";

/// A released file, an authority that signs about it, and a way to ask about both.
struct Scene {
    folder: tempfile::TempDir,
    authority: Authority,
    sha256: String,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        fs::write(folder.path().join("tool"), "released").unwrap();
        fs::write(
            folder.path().join("root.json"),
            authority.trusted_root().to_string(),
        )
        .unwrap();
        let sha256 = rebuilder::artifact::Sha256::of("released").to_hex();
        Self {
            folder,
            authority,
            sha256,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn statement(&self) -> Value {
        provenance("tool", &self.sha256, REPOSITORY, COMMIT)
    }

    fn inspect(&self, evidence: &[u8], arguments: &[&str]) -> Output {
        let file = self.path("evidence.json");
        fs::write(&file, evidence).unwrap();
        let mut command = rebuilder();
        command
            .args(["--json", "--offline", "inspect"])
            .arg(self.path("tool"));
        command.arg("--provenance").arg(file);
        command.arg("--trusted-root").arg(self.path("root.json"));
        command.args(arguments).output().unwrap()
    }
}

/// What is attacked, the evidence, the exit code, and words of the answer.
type Attack = (&'static str, Vec<u8>, i32, &'static str);

// Long, as it is one table.
fn attacks(scene: &Scene, signer: &Signer, good: &Value) -> Vec<Attack> {
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut statement = scene.statement();
        change(&mut statement);
        scene.authority.sign(&statement, signer).to_string().into_bytes()
    };
    let bundle = |change: &dyn Fn(&mut Value)| {
        let mut bundle = good.clone();
        change(&mut bundle);
        bundle.to_string().into_bytes()
    };
    let other_commit = "0".repeat(40);
    let as_signer = |signer: Signer| {
        scene
            .authority
            .sign(&scene.statement(), &signer)
            .to_string()
            .into_bytes()
    };
    let twice = scene
        .statement()
        .to_string()
        .replacen("{\"_type\"", "{\"_type\":\"x\",\"_type\"", 1);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let mut large = good.to_string().into_bytes();
    large.resize(17 << 20, b' ');
    let swapped = {
        // The signature is kept; the payload names another subject.
        let statement = scene
            .statement()
            .to_string()
            .replace(&scene.sha256, &"0".repeat(64));
        bundle(&|bundle| bundle["dsseEnvelope"]["payload"] = json!(base64(statement.as_bytes())))
    };
    vec![
        (
            "about another artifact",
            changed(&|s| s["subject"][0]["digest"]["sha256"] = json!("0".repeat(64))),
            3,
            "about other bytes",
        ),
        (
            "a second digest that is wrong",
            changed(&|s| s["subject"][0]["digest"]["sha512"] = json!("0".repeat(128))),
            3,
            "about other bytes",
        ),
        ("swapped subject", swapped, 3, "invalid signature"),
        (
            "swapped payload type",
            bundle(&|b| b["dsseEnvelope"]["payloadType"] = json!("text/plain")),
            3,
            "payload type \\\"text/plain",
        ),
        (
            "no signature",
            bundle(&|b| b["dsseEnvelope"]["signatures"] = json!([])),
            2,
            "exactly one signature",
        ),
        (
            "no log entry",
            bundle(&|b| b["verificationMaterial"]["tlogEntries"] = json!([])),
            4,
            "no entry of a transparency log",
        ),
        (
            "broken promise of the log",
            bundle(&|b| b["verificationMaterial"]["tlogEntries"][0]["integratedTime"] = json!("1735819201")),
            3,
            "promise",
        ),
        (
            "expired certificate",
            as_signer(Signer {
                expired: true,
                ..signer.clone()
            }),
            3,
            "certificate",
        ),
        (
            "signed by another repository",
            as_signer(Signer::workflow("https://github.com/evil/tool", COMMIT)),
            3,
            "but a workflow of https://github.com/evil/tool signed it",
        ),
        (
            "signed at another commit",
            as_signer(Signer {
                commit: other_commit,
                ..signer.clone()
            }),
            3,
            "the workflow that signed it ran at",
        ),
        (
            "another builder's name",
            changed(&|s| {
                s["predicate"]["runDetails"]["builder"]["id"] =
                    json!("https://github.com/big/builder/.github/workflows/b.yml@refs/tags/v1");
            }),
            3,
            "names the builder",
        ),
        (
            "a person in a builder's name",
            as_signer(Signer {
                identity: "mailto:someone@example.com".into(),
                repository: String::new(),
                commit: String::new(),
                ..signer.clone()
            }),
            3,
            "which signs as a workflow",
        ),
        (
            "duplicate key in the statement",
            scene
                .authority
                .sign_bytes(twice.as_bytes(), signer)
                .to_string()
                .into_bytes(),
            3,
            "occurs twice",
        ),
        (
            "duplicate key in the bundle",
            good.to_string()
                .replacen("{\"dsseEnvelope\"", "{\"mediaType\":\"x\",\"dsseEnvelope\"", 1)
                .into_bytes(),
            2,
            "occurs twice",
        ),
        (
            "deep nesting",
            format!("{{\"payloadType\":{deep}}}").into_bytes(),
            2,
            "recursion limit",
        ),
        ("oversized", large, 2, "MiB"),
        (
            "not UTF-8",
            b"{\"payloadType\":\"\xff\"}".to_vec(),
            2,
            "not UTF-8",
        ),
        (
            "truncated",
            good.to_string().into_bytes()[..300].to_vec(),
            2,
            "EOF",
        ),
        (
            "path tricks in a subject",
            changed(&|s| s["subject"][0]["name"] = json!("../../etc/passwd")),
            3,
            "points outside its folder",
        ),
        (
            "a ref like an option",
            changed(&|s| {
                s["predicate"]["buildDefinition"]["externalParameters"]["workflow"]["ref"] =
                    json!("--upload-pack=evil");
            }),
            3,
            "is not a git ref",
        ),
        (
            "credentials in the address",
            changed(&|s| {
                s["predicate"]["buildDefinition"]["externalParameters"]["workflow"]["repository"] =
                    json!("https://me:secret@github.com/example/tool");
            }),
            3,
            "credentials",
        ),
        (
            "a commit like an option",
            changed(&|s| {
                s["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["gitCommit"] =
                    json!("--output=x");
            }),
            3,
            "is not a commit",
        ),
    ]
}

#[apply(test)]
fn a_good_statement_is_taken_and_every_attack_on_it_is_refused() {
    let scene = Scene::new();
    let signer = Signer::workflow(REPOSITORY, COMMIT);
    let good = scene.authority.sign(&scene.statement(), &signer);
    let output = scene.inspect(good.to_string().as_bytes(), &[]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let found = json(&output);
    assert_eq!(found["provenance"]["standing"], "verified");
    assert_eq!(found["signature"]["standing"], "absent");
    assert_eq!(found["custody"]["commit"], COMMIT);

    for (what, evidence, expected, words) in attacks(&scene, &signer, &good) {
        let output = scene.inspect(&evidence, &[]);
        assert_eq!(code(&output), expected, "{what}: {}", text(&output));
        assert!(text(&output).contains(words), "{what}: {}", text(&output));
        assert!(
            !text(&output).contains("secret"),
            "{what} shows a secret: {}",
            text(&output)
        );
    }
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// Runs a stranger's signing tool; says so where it is not installed.
fn tool(command: &mut Command) -> Option<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    if let Ok(output) = command.output() {
        assert!(output.status.success(), "{}", text(&output));
        Some(())
    } else {
        common::skip_part(&program);
        None
    }
}

/// The example beside the tests. `cargo test` builds it first; a run of this file alone may have to.
fn example(name: &str) -> Command {
    let path = Path::new(common::BIN)
        .parent()
        .unwrap()
        .join("examples")
        .join(name);
    if !path.exists() {
        let built = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--example", name])
            .status();
        assert!(built.unwrap().success());
    }
    Command::new(path)
}

/// A good statement of the scene with another predicate.
fn with_predicate(scene: &Scene, kind: &str, predicate: Value) -> Value {
    let mut statement = scene.statement();
    statement["predicateType"] = json!(kind);
    statement["predicate"] = predicate;
    statement
}

fn buildinfo(sha256: &str) -> String {
    format!(
        "Format: 1.0\nSource: tool\nBinary: tool\nArchitecture: amd64\nVersion: 1.0-1\n\
         Checksums-Sha256:\n {sha256} 8 tool\nInstalled-Build-Depends:\n gcc (= 12.2)\n"
    )
}

#[apply(test)]
fn the_findings_are_shown_on_a_terminal_and_as_a_page() {
    let scene = Scene::new();
    let bundle = scene
        .authority
        .sign(&scene.statement(), &Signer::workflow(REPOSITORY, COMMIT));
    fs::write(scene.path("evidence.json"), bundle.to_string()).unwrap();
    let page = scene.path("page.html");
    let mut command = rebuilder();
    command.args(["--offline", "inspect"]).arg(scene.path("tool"));
    command.arg("--provenance").arg(scene.path("evidence.json"));
    command
        .arg("--trusted-root")
        .arg(scene.path("root.json"))
        .arg("--html")
        .arg(&page);
    let output = command.output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    insta::assert_snapshot!("inspect", String::from_utf8(output.stdout).unwrap());
    let page = fs::read_to_string(page).unwrap();
    for words in [
        "Who released it",
        "Where it came from",
        "Chain of custody",
        COMMIT,
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("<script"), "the page must work without scripts");
}
