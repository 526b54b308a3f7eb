//! Rebuilding from SLSA provenance: by recipe, in the image that it names, and npm's own.

pub mod images;
mod recipes;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::authority::{Authority, Signer, provenance};
use crate::common::{self, GIT, NETWORK, SANDBOX, code, git, json, needs, rebuilder, text};
use base64::Engine as _;
use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

/// A repository of its own, what was released from it, and an authority that signs where it came from.
struct Project {
    folder: tempfile::TempDir,
    authority: Authority,
    repository: String,
    commit: String,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Project {
    /// A commit with the files that `fill` writes, tagged v1.0.0.
    fn new(name: &str, fill: impl Fn(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("mirror").join(name);
        fs::create_dir_all(&work).unwrap();
        git(&work, &["init", "--quiet"]);
        fill(&work);
        git(&work, &["add", "."]);
        git(&work, &["commit", "--quiet", "-m", "release"]);
        git(&work, &["tag", "v1.0.0"]);
        let authority = Authority::new();
        let root = folder.path().join("root.json");
        fs::write(root, authority.trusted_root().to_string()).unwrap();
        Self {
            commit: git(&work, &["rev-parse", "HEAD"]),
            repository: format!("https://github.com/example/{name}"),
            folder,
            authority,
        }
    }

    fn example(name: &str) -> Self {
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
        Self::new(name, |work| copy(&files, work))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The source as an archive, made by git itself.
    fn archive(&self) -> PathBuf {
        let tar = self.path("source.tar");
        let work = self
            .path("mirror")
            .join(self.repository.rsplit('/').next().unwrap());
        git(&work, &["archive", "--output", tar.to_str().unwrap(), "HEAD"]);
        tar
    }

    /// Signs a statement, and keeps the bundle.
    fn sign(&self, statement: &Value) -> PathBuf {
        let signer = Signer::workflow(&self.repository, &self.commit);
        let path = self.path("provenance.json");
        fs::write(&path, self.authority.sign(statement, &signer).to_string()).unwrap();
        path
    }

    /// A signing key of its own.
    fn key(&self) -> PathBuf {
        let key = self.path("key.pem");
        let made = rebuilder()
            .args(["key", "generate", "--to"])
            .arg(&key)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", text(&made));
        key
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = rebuilder();
        command
            .args(["--json", verb, "--trusted-root"])
            .arg(self.path("root.json"));
        command.arg("--provenance").arg(self.path("provenance.json"));
        command.arg("--git-mirror").arg(format!(
            "https://github.com/example/={}/",
            self.path("mirror").display()
        ));
        command
    }
}

fn rebuild(project: &Project, artifact: &Path, recipe: &str, backend: &str, more: &[&str]) -> Output {
    let run = project.path(&format!("run-{backend}"));
    let _ = fs::remove_dir_all(&run);
    let mut command = project.command("rebuild");
    command
        .arg(artifact)
        .args(["--recipe", recipe, "--backend", backend, "--out"])
        .arg(run);
    command.args(more).output().unwrap()
}

/// The signed statements about a run.
fn statement(record: &Value) -> Value {
    let bundle = fs::read(record["attestation"].as_str().unwrap()).unwrap();
    let bundle: Value = serde_json::from_slice(&bundle).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    let payload = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[apply(test)]
fn a_python_wheel_is_built_from_its_commit() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let project = Project::new("hello-python", |work| {
        let text = "[build-system]\nrequires = [\"flit_core >=3.8,<4\"]\nbuild-backend = \"flit_core.buildapi\"\n\n\
                    [project]\nname = \"hello_again\"\nversion = \"1.0.0\"\ndescription = \"greets\"\nrequires-python = \">=3.8\"\n";
        fs::write(work.join("pyproject.toml"), text).unwrap();
        fs::write(work.join("hello_again.py"), "def greet():\n    return 'hello'\n").unwrap();
    });
    let wheel = project.path("hello_again-1.0.0-py3-none-any.whl");
    fs::write(&wheel, "not known yet").unwrap();
    let rebuild = |name: &str| {
        let digest = Sha256::of(fs::read(&wheel).unwrap()).to_hex();
        let statement = provenance(
            "hello_again-1.0.0-py3-none-any.whl",
            &digest,
            &project.repository,
            &project.commit,
        );
        project.sign(&statement);
        let mut command = project.command("rebuild");
        command
            .arg(&wheel)
            .args(["--recipe", "python-wheel", "--out"])
            .arg(project.path(name));
        command.output().unwrap()
    };
    let first = rebuild("run-first");
    assert_eq!(code(&first), 1, "{}", text(&first));
    fs::copy(
        project.path("run-first/rebuilt").join(wheel.file_name().unwrap()),
        &wheel,
    )
    .unwrap();
    let second = rebuild("run-second");
    assert_eq!(code(&second), 0, "{}", text(&second));
}

#[apply(test)]
fn a_recipe_is_for_what_it_says_it_is_for() {
    needs(&[GIT]);
    let project = Project::example("hello-c");
    let artifact = project.path("hello");
    fs::write(&artifact, "released").unwrap();
    project.sign(&provenance(
        "hello",
        &Sha256::of("released").to_hex(),
        &project.repository,
        &project.commit,
    ));
    let recipe = project.path("recipe.toml");
    let plan = |recipe: Option<&Path>| {
        let mut command = project.command("plan");
        command.arg("--offline").arg(&artifact);
        if let Some(recipe) = recipe {
            command.arg("--recipe").arg(recipe);
        }
        command.output().unwrap()
    };
    let text_of = |matches: &str| {
        let text = include_str!("../../recipes/c-make.toml");
        text.replace("[setup]", &format!("[match]\n{matches}\n[setup]"))
    };
    for (matches, expected, words) in [
        ("repository = [\"https://github.com/example/*\"]", 0, ""),
        (
            "build-type = [\"https://actions.github.io/buildtypes/workflow/*\"]",
            0,
            "",
        ),
        (
            "repository = [\"https://github.com/other/*\"]",
            4,
            "it is for the repository",
        ),
        (
            "builder = [\"https://example.com/*\"]",
            4,
            "it is for the builder",
        ),
        ("nonsense = 1", 2, "unknown field"),
    ] {
        fs::write(&recipe, text_of(matches)).unwrap();
        let output = plan(Some(&recipe));
        assert_eq!(code(&output), expected, "{matches}: {}", text(&output));
        assert!(text(&output).contains(words), "{matches}: {}", text(&output));
    }
    let output = plan(None);
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("name a recipe with --recipe"),
        "{}",
        text(&output)
    );
}

#[apply(test)]
fn a_source_brings_its_submodules_where_the_recipe_wants_them() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let library = Project::new("library", |work| {
        fs::write(work.join("data"), "from the library\n").unwrap();
    });
    let project = Project::new("program", |work| {
        // As `git submodule add` records it; the address is relative to the program's own.
        fs::write(
            work.join(".gitmodules"),
            "[submodule \"lib\"]\n\tpath = lib\n\turl = ../library.git\n",
        )
        .unwrap();
        fs::create_dir(work.join("lib")).unwrap();
        let link = format!("160000,{},lib", library.commit);
        git(work, &["update-index", "--add", "--cacheinfo", &link]);
    });
    copy(&library.path("mirror/library"), &project.path("mirror/library"));
    let artifact = project.path("data");
    fs::write(&artifact, "from the library\n").unwrap();
    let digest = Sha256::of("from the library\n").to_hex();
    project.sign(&provenance("data", &digest, &project.repository, &project.commit));
    let recipe = project.path("recipe.toml");
    for (submodules, expected) in [(true, 0), (false, 4)] {
        let text_of = format!(
            "description = \"takes a file\"\ncontainer = \"bookworm-build\"\nhostname = \"h\"\noutputs = [\"lib/data\"]\n\
             [source]\nsubmodules = {submodules}\n[setup]\nenv = {{}}\nsteps = []\n[build.env]\nPATH = \"/usr/bin:/bin\"\n\
             [[build.steps]]\nname = \"unpack\"\nrun = 'mkdir -p \"$SOURCE\"; tar xf /inputs/source.tar -C \"$SOURCE\"'\n"
        );
        fs::write(&recipe, text_of).unwrap();
        let output = rebuild(&project, &artifact, recipe.to_str().unwrap(), "embedded", &[]);
        assert_eq!(code(&output), expected, "{submodules}: {}", text(&output));
    }
}

#[apply(test)]
fn an_npm_package_is_packed_again_from_its_signed_provenance() {
    needs(&[NETWORK, SANDBOX, GIT]);
    let project = Project::new("pkg", |work| {
        let package = json!({"name": "@example/pkg", "version": "1.0.0", "main": "lib/index.js",
            "scripts": {"build": "node build.js"}, "repository": "https://github.com/example/pkg"});
        fs::write(work.join("package.json"), package.to_string()).unwrap();
        fs::write(work.join("build.js"), "const fs = require('fs'); fs.mkdirSync('lib'); fs.writeFileSync('lib/index.js', 'module.exports = 1;\\n');\n").unwrap();
        fs::create_dir_all(work.join(".github/workflows")).unwrap();
        fs::write(
            work.join(".github/workflows/release.yml"),
            "on: push\njobs:\n  release:\n    steps:\n      - uses: actions/checkout@v4\n      - uses: actions/setup-node@v4\n        with: {node-version: 20.18.0}\n      - run: npm run build\n      - run: npm publish --provenance\n",
        )
        .unwrap();
    });
    // Packed officially by the machine's own npm, if there is one; its gzip may differ, its files may not.
    let artifact = project.path("pkg-1.0.0.tgz");
    fs::write(&artifact, "not known yet").unwrap();
    let purl = "pkg:npm/%40example/pkg@1.0.0";
    let sign = || {
        let digest = Sha256::of(fs::read(&artifact).unwrap()).to_hex();
        project.sign(&provenance(purl, &digest, &project.repository, &project.commit));
    };
    sign();
    let rebuild = |name: &str| {
        let mut command = project.command("rebuild");
        command
            .arg(&artifact)
            .arg("--out")
            .arg(project.path(name))
            .output()
            .unwrap()
    };
    let first = rebuild("run-first");
    assert_eq!(code(&first), 1, "{}", text(&first));
    let plan: Value = common::read(&project.path("run-first").join("plan.json"));
    let assumed = |what: &str| {
        let all = plan["assumptions"].as_array().unwrap();
        all.iter().find(|it| it["what"] == what).unwrap().clone()
    };
    assert_eq!(assumed("node")["value"], "20.18.0");
    assert!(
        assumed("node")["origin"]["inferred"]
            .as_str()
            .unwrap()
            .contains("workflow")
    );
    assert_eq!(assumed("scripts")["value"], "build");

    fs::copy(project.path("run-first").join("rebuilt/pkg-1.0.0.tgz"), &artifact).unwrap();
    sign();
    let second = rebuild("run-second");
    assert_eq!(code(&second), 0, "{}", text(&second));
    assert_eq!(json(&second)["subject"], purl);

    // The commit's package must be the one that was released.
    let other = "pkg:npm/%40example/pkg@2.0.0";
    let digest = Sha256::of(fs::read(&artifact).unwrap()).to_hex();
    project.sign(&provenance(other, &digest, &project.repository, &project.commit));
    let output = rebuild("run-third");
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("is @example/pkg@1.0.0, not @example/pkg@2.0.0"),
        "{}",
        text(&output)
    );
}
