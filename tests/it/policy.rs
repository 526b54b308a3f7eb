//! The gate before a build: each rule of a policy, kept and broken.

mod trigger;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::common::authority::{Authority, Signer, provenance};
use crate::common::{self, code, json, rebuilder, text};
use rebuilder::artifact::Sha256;

const REPOSITORY: &str = "https://github.com/example/tool";
const COMMIT: &str = "5995008213440709027a5666064bfdaba715df00";

struct Scene {
    folder: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let authority = Authority::new();
        fs::write(scene.path("tool"), "released").unwrap();
        fs::write(scene.path("root.json"), authority.trusted_root().to_string()).unwrap();
        let statement = provenance("tool", &Sha256::of("released").to_hex(), REPOSITORY, COMMIT);
        let bundle = authority.sign(&statement, &Signer::workflow(REPOSITORY, COMMIT));
        fs::write(scene.path("provenance.json"), bundle.to_string()).unwrap();
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ask(&self, verb: &str, policy: &str) -> Output {
        let mut command = rebuilder();
        command.args(["--json", "--offline", verb]).arg(self.path("tool"));
        command.arg("--provenance").arg(self.path("provenance.json"));
        command.arg("--trusted-root").arg(self.path("root.json"));
        command.args(["--policy", policy]).output().unwrap()
    }

    fn with(&self, text: &str) -> Output {
        let path = self.path("policy.toml");
        fs::write(&path, text).unwrap();
        self.ask("inspect", path.to_str().unwrap())
    }
}

// Long, as it is one table.
#[apply(test)]
fn each_rule_is_kept_or_names_what_breaks_it() {
    let scene = Scene::new();
    let identity = |subject: &str| {
        format!(
            "identities = [{{ subject = \"{subject}\", issuer = \"https://token.actions.githubusercontent.com\" }}]"
        )
    };
    let good = identity("https://github.com/example/tool/.github/workflows/*");
    for (rule, expected, words) in [
        ("require = [\"provenance\"]", 0, ""),
        ("require = [\"signature\"]", 3, "require signature"),
        (
            "require = [\"provenance\", \"source-signature\"]",
            3,
            "require source-signature",
        ),
        ("require = [\"review\"]", 3, "require review"),
        (good.as_str(), 0, ""),
        (identity("https://github.com/other/*").as_str(), 3, "identities"),
        ("builders = [\"https://github.com/actions/runner/*\"]", 0, ""),
        ("builders = [\"https://builders.example/*\"]", 3, "builders"),
        ("sources = [\"https://github.com/example/*\"]", 0, ""),
        ("sources = [\"https://gitlab.com/*\"]", 3, "sources"),
        (
            "refuse-mutable = [\"branch-ref\", \"source-without-commit\"]",
            0,
            "",
        ),
        ("refuse-mutable = [\"tag-ref\"]", 3, "tag v1.0.0"),
        (
            "builder-ids = [\"https://github.com/actions/runner/github-hosted\"]",
            0,
            "",
        ),
        (
            "builder-ids = [\"https://github.com/actions/runner/github-hosted@v1\"]",
            3,
            "its builder is https://github.com/actions/runner/github-hosted",
        ),
        ("source-tags = [\"v1.0.0\"]", 0, "the tag v1.0.0"),
        ("source-tags = [\"v1.*\", \"w\"]", 0, ""),
        ("source-tags = [\"v2*\"]", 3, "the tag v1.0.0"),
        ("source-versioned-tags = [\"v1\"]", 0, ""),
        ("source-versioned-tags = [\"v1.1\"]", 3, "source-versioned-tags"),
        // That it does not say is an answer of its own.
        (
            "source-branches = [\"main\"]",
            3,
            "the provenance does not say from which branch",
        ),
        ("workflow-inputs = { level = \"1\" }", 3, "not by hand"),
        // The throw-away authority signs in January 2025.
        ("maximum-age-days = 36500", 0, ""),
        ("maximum-age-days = 30", 3, "days ago"),
    ] {
        let output = scene.with(&format!("version = 1\n[[rules]]\nsubject = \"tool\"\n{rule}\n"));
        assert_eq!(code(&output), expected, "{rule}: {}", text(&output));
        let checks = &json(&output)["policy"]["checks"];
        let broken: Vec<_> = checks
            .as_array()
            .unwrap()
            .iter()
            .filter(|check| check["kept"] == false)
            .collect();
        assert_eq!(broken.is_empty(), expected == 0, "{rule}: {checks}");
        assert!(checks.to_string().contains(words), "{rule}: {checks}");
    }
}

#[apply(test)]
fn anyones_word_about_a_builder_is_not_the_builders() {
    let scene = Scene::new();
    let authority = Authority::new();
    fs::write(scene.path("root.json"), authority.trusted_root().to_string()).unwrap();
    // A person with an account signs that the build service built it.
    let person = Signer {
        identity: "mailto:someone@example.com".into(),
        issuer: "https://accounts.google.com".into(),
        repository: String::new(),
        commit: String::new(),
        reference: String::new(),
        expired: false,
    };
    let mut statement = provenance("tool", &Sha256::of("released").to_hex(), REPOSITORY, COMMIT);
    statement["predicate"]["runDetails"]["builder"]["id"] = "https://builds.example/1".into();
    fs::write(
        scene.path("provenance.json"),
        authority.sign(&statement, &person).to_string(),
    )
    .unwrap();
    let identity = "identities = [{ subject = \"mailto:someone@example.com\", issuer = \"https://accounts.google.com\" }]";
    for (rule, expected) in [
        ("builders = [\"https://builds.example/*\"]".to_owned(), 3),
        ("sources = [\"https://github.com/example/*\"]".into(), 3),
        // Unless the policy names that person.
        (
            format!("{identity}\nsources = [\"https://github.com/example/*\"]"),
            0,
        ),
    ] {
        let output = scene.with(&format!("version = 1\n[[rules]]\nsubject = \"tool\"\n{rule}\n"));
        assert_eq!(code(&output), expected, "{rule}: {}", text(&output));
    }
}

#[apply(test)]
fn subjects_without_a_rule_are_refused_unless_the_policy_says_otherwise() {
    let scene = Scene::new();
    for (text_of, expected) in [
        ("version = 1\n", 3),
        ("version = 1\nunmatched = \"allow\"\n", 0),
        ("version = 1\n[[rules]]\nsubject = \"pkg:npm/*\"\n", 3),
        (
            "version = 1\n[[rules]]\nsubject = \"pkg:npm/*\"\n[[rules]]\nsubject = \"to*\"\n",
            0,
        ),
    ] {
        let output = scene.with(text_of);
        assert_eq!(code(&output), expected, "{text_of}: {}", text(&output));
    }
}

#[apply(test)]
fn a_refusal_comes_before_anything_is_built() {
    let scene = Scene::new();
    let path = scene.path("policy.toml");
    fs::write(
        &path,
        "version = 1\n[[rules]]\nsubject = \"tool\"\nrequire = [\"signature\"]\n",
    )
    .unwrap();
    let output = scene.ask("plan", path.to_str().unwrap());
    assert_eq!(code(&output), 3, "{}", text(&output));
    assert!(
        text(&output).contains("policy.toml refuses tool: require signature: it is absent"),
        "{}",
        text(&output)
    );

    // Evidence that speaks against the artifact is refused by every policy but none.
    fs::write(scene.path("tool"), "changed").unwrap();
    fs::write(&path, "version = 1\nunmatched = \"allow\"\n").unwrap();
    assert_eq!(code(&scene.ask("plan", path.to_str().unwrap())), 3);
    let output = scene.ask("plan", "none");
    assert_ne!(code(&output), 3, "{}", text(&output));
}

#[apply(test)]
fn a_policy_that_cannot_be_meant_is_no_policy() {
    let scene = Scene::new();
    let key = "-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\\n-----END PUBLIC KEY-----";
    for (policy, words) in [
        ("version = 2\n".to_owned(), "version 2"),
        ("version = 1\nnonsense = 1\n".into(), "unknown field"),
        (
            "version = 1\n[[rules]]\nsubject = \"a\"\nkeys = [\"b\"]\n".into(),
            "names the key \"b\"",
        ),
        (
            "version = 1\n[[keys]]\nname = \"a\"\n".into(),
            "needs either a file or a text",
        ),
        (
            "version = 1\n[[keys]]\nname = \"a\"\ntext = \"nonsense\"\n".into(),
            "its form is not supported",
        ),
        (
            "version = 1\n[[keys]]\nname = \"a\"\nfile = \"nowhere.pub\"\n".into(),
            "nowhere.pub",
        ),
        (
            format!(
                "version = 1\n[[keys]]\nname = \"a\"\ntext = \"{key}\"\n[[rules]]\nsubject = \"x\"\nkeys = [\"a\"]\nthreshold = 2\n"
            ),
            "threshold that its keys cannot meet",
        ),
        (
            "version = 1\n[[rules]]\nsubject = \"a\"\nrequire = [\"luck\"]\n".into(),
            "unknown variant",
        ),
    ] {
        let output = scene.with(&policy);
        assert_eq!(code(&output), 2, "{policy}: {}", text(&output));
        assert!(text(&output).contains(words), "{policy}: {}", text(&output));
    }
}

#[apply(test)]
fn the_example_is_a_policy() {
    let scene = Scene::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/policy.toml");
    let output = scene.ask("inspect", example.to_str().unwrap());
    assert_eq!(code(&output), 0, "{}", text(&output));
    // Its rule for programs asks for more than a provenance.
    fs::rename(scene.path("tool"), scene.path("tool-1-linux-amd64")).unwrap();
    let mut command = rebuilder();
    command
        .args(["--json", "--offline", "inspect"])
        .arg(scene.path("tool-1-linux-amd64"));
    command.arg("--provenance").arg(scene.path("provenance.json"));
    command
        .arg("--trusted-root")
        .arg(scene.path("root.json"))
        .arg("--policy")
        .arg(&example);
    let output = command.output().unwrap();
    assert_eq!(code(&output), 3, "{}", text(&output));
}

/// Signs the artifact with a fresh OpenSSH key; nothing where the tool is missing.
fn ssh_signature(scene: &Scene) -> Option<(PathBuf, PathBuf)> {
    let key = scene.path("key");
    let run = |arguments: &[&str], last: &Path| {
        let output = std::process::Command::new("ssh-keygen")
            .args(arguments)
            .arg(last)
            .output()
            .ok()?;
        assert!(output.status.success(), "{}", text(&output));
        Some(())
    };
    run(&["-q", "-t", "ed25519", "-N", "", "-f"], &key)?;
    run(
        &["-q", "-Y", "sign", "-n", "file", "-f", key.to_str().unwrap()],
        &scene.path("tool"),
    )?;
    Some((scene.path("key.pub"), scene.path("tool.sig")))
}

#[apply(test)]
fn keys_count_in_their_time_and_for_their_projects() {
    let scene = Scene::new();
    let Some((key, signature)) = ssh_signature(&scene) else {
        common::skip("ssh-keygen");
    };
    let ask_with = |signatures: &[&Path], keys: &str, rules: &str| {
        let policy = scene.path("policy.toml");
        fs::write(&policy, format!("version = 1\n{keys}\n{rules}")).unwrap();
        let mut command = rebuilder();
        command
            .args(["--json", "--offline", "inspect"])
            .arg(scene.path("tool"));
        for signature in signatures {
            command.arg("--signature").arg(signature);
        }
        command.arg("--policy").arg(&policy).output().unwrap()
    };
    let ask = |keys: &str, rules: &str| ask_with(&[&signature], keys, rules);
    let entry = |window: &str| {
        format!(
            "[[keys]]\nname = \"release\"\nfile = \"{}\"\n{window}\n",
            key.display()
        )
    };
    let rule = "[[rules]]\nsubject = \"tool\"\nrequire = [\"signature\"]\nkeys = [\"release\"]\n";
    let other = "[[rules]]\nsubject = \"other\"\nkeys = [\"release\"]\n";
    for (window, expected) in [
        ("", 0),
        ("valid-from = \"2020-01-01T00:00:00Z\"", 0),
        ("valid-from = \"2999-01-01T00:00:00Z\"", 3),
        ("valid-until = \"2020-01-01T00:00:00Z\"", 3),
    ] {
        let output = ask(&entry(window), rule);
        assert_eq!(code(&output), expected, "{window}: {}", text(&output));
    }
    // Rotation: the old key has run out, the new one is named beside it.
    let old = entry("valid-until = \"2020-01-01T00:00:00Z\"").replace("\"release\"", "\"old\"");
    let both = "[[rules]]\nsubject = \"tool\"\nrequire = [\"signature\"]\nkeys = [\"old\", \"release\"]\n";
    let spare = scene.path("spare");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(&spare)
        .output();
    assert!(made.unwrap().status.success());
    let old = old.replace(key.to_str().unwrap(), &format!("{}.pub", spare.display()));
    let output = ask(&format!("{old}{}", entry("")), both);
    assert_eq!(code(&output), 0, "{}", text(&output));
    // One key for two projects is said.
    let output = ask(&entry(""), &format!("{rule}{other}"));
    let shared = &json(&output)["shared"];
    assert_eq!(shared[0]["party"], "release", "{shared}");
    assert!(shared.to_string().contains("signs other"), "{shared}");

    // Two keys are wanted: one that signed twice is still one.
    let second = scene.path("tool.second.sig");
    fs::copy(scene.path("tool.sig"), &second).unwrap();
    let third = scene.path("third");
    fs::create_dir(&third).unwrap();
    fs::copy(scene.path("tool"), third.join("tool")).unwrap();
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-Y", "sign", "-n", "file", "-f"])
        .arg(&spare)
        .arg(third.join("tool"))
        .output();
    assert!(made.unwrap().status.success());
    let spare_key = entry("")
        .replace("\"release\"", "\"spare\"")
        .replace(key.to_str().unwrap(), &format!("{}.pub", spare.display()));
    let keys = format!("{}{spare_key}", entry(""));
    let rule = "[[rules]]\nsubject = \"tool\"\nkeys = [\"release\", \"spare\"]\nthreshold = 2\n";
    for (other, expected) in [(second, 3), (third.join("tool.sig"), 0)] {
        let output = ask_with(&[&signature, &other], &keys, rule);
        assert_eq!(code(&output), expected, "{}: {}", other.display(), text(&output));
    }
}
