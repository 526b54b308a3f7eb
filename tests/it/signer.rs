//! The signer as a service: honest workers, and a worker under an attacker's control, against the real process.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use crate::common::{self, BIN, NETWORK, ROOT, SANDBOX, backends, code, needs, rebuilder, text};
use base64::Engine as _;
use rebuilder::artifact::Sha256;
use rebuilder::plan::Plan;
use rebuilder::run::Record;
use serde_json::{Value, json};

/// Two users that run builds, and one that has no business here.
const WORKERS: [u32; 2] = [41_001, 41_002];
const STRANGER: u32 = 41_003;
const WHEEL: &str = "idna-3.10-py3-none-any.whl";

/// Two rebuilds of one wheel, by the real thing.
fn runs() -> &'static [PathBuf; 2] {
    static RUNS: OnceLock<(tempfile::TempDir, [PathBuf; 2])> = OnceLock::new();
    let (_, runs) = RUNS.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let runs = ["first", "second"].map(|name| {
            let place = folder.path().join(name);
            let output = rebuilder()
                .args(["rebuild", "pypi:idna==3.10", "--out"])
                .arg(&place)
                .output()
                .unwrap();
            assert_eq!(code(&output), 0, "{}", text(&output));
            place
        });
        (folder, runs)
    });
    runs
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

fn own(path: &Path, uid: u32) {
    for entry in walkdir::WalkDir::new(path)
        .into_iter()
        .map(|entry| entry.unwrap())
    {
        if !entry.path_is_symlink() {
            chown(entry.path(), Some(uid), Some(uid)).unwrap();
        }
    }
}

/// A signer that runs, and the folders that it knows.
struct Attestor {
    folder: tempfile::TempDir,
    child: Child,
}

impl Drop for Attestor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Attestor {
    fn open(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["runs", "keys", "home"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::set_permissions(folder.path().join("keys"), fs::Permissions::from_mode(0o700)).unwrap();
        // Workers run the command too, and may not look into whoever's home this is built in.
        fs::copy(BIN, folder.path().join("rebuilder")).unwrap();
        let key = folder.path().join("keys/key.pem");
        let passphrase = folder.path().join("keys/passphrase");
        fs::write(&passphrase, "correct horse battery staple\n").unwrap();
        let mut made = rebuilder();
        made.env("XDG_CONFIG_HOME", folder.path().join("keys"));
        let output = made
            .args(["key", "generate", "--encrypt", "--to"])
            .arg(&key)
            .arg("--passphrase-file")
            .arg(&passphrase)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let mut office = Self {
            child: Command::new("true").spawn().unwrap(),
            folder,
        };
        office.start(more);
        office
    }

    fn start(&mut self, more: &[&str]) {
        let place = |name: &str| self.folder.path().join(name);
        let mut command = rebuilder();
        command.env("XDG_CONFIG_HOME", place("keys"));
        command.env("REBUILDER_TEST_TOKEN", "the-token-of-the-signer");
        command
            .arg("signer")
            .arg("--socket")
            .arg(place("socket"))
            .arg("--runs")
            .arg(place("runs"));
        command
            .arg("--log")
            .arg(place("log.jsonl"))
            .arg("--key")
            .arg(place("keys/key.pem"));
        command.arg("--passphrase-file").arg(place("keys/passphrase"));
        for worker in WORKERS {
            command.arg("--worker").arg(worker.to_string());
        }
        let mut child = command.args(more).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stderr.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert!(line.starts_with("listening"), "{line}");
        self.child = child;
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log.jsonl")
    }

    /// A copy of a genuine run that belongs to `uid`.
    fn run(&self, name: &str, from: &Path, uid: u32) -> PathBuf {
        let place = self.folder.path().join("runs").join(name);
        copy(from, &place);
        own(&place, uid);
        place
    }

    /// Asks as `uid`, with the real client.
    fn ask(&self, run: &Path, uid: u32) -> Output {
        let mut command = Command::new(self.folder.path().join("rebuilder"));
        command.env_clear().env("HOME", self.folder.path().join("home"));
        command.arg("attest").arg(run).arg("--signer").arg(self.socket());
        command.uid(uid).gid(uid);
        command.output().unwrap()
    }

    fn verify_log(&self, attestations: &[&Path]) -> Output {
        let mut command = rebuilder();
        command.args(["log", "verify"]).arg(self.log());
        for path in attestations {
            command.arg("--attestation").arg(path);
        }
        command.output().unwrap()
    }
}

#[apply(test)]
fn two_workers_that_agree_get_a_signature() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let mut office = Attestor::open(&[]);
    let first = office.run("first", &runs()[0], WORKERS[0]);
    let second = office.run("second", &runs()[1], WORKERS[1]);
    let waiting = office.ask(&first, WORKERS[0]);
    assert_eq!(code(&waiting), 4, "{}", text(&waiting));
    assert!(
        text(&waiting).contains("1 of 2 workers reported this outcome"),
        "{}",
        text(&waiting)
    );
    // Asking again makes nobody a second worker, and neither does a restart.
    assert_eq!(code(&office.ask(&first, WORKERS[0])), 4);
    office.child.kill().unwrap();
    office.child.wait().unwrap();
    office.start(&[]);
    let signed = office.ask(&second, WORKERS[1]);
    assert_eq!(code(&signed), 0, "{}", text(&signed));
    let signed = office.ask(&first, WORKERS[0]);
    assert_eq!(code(&signed), 0, "{}", text(&signed));

    let bundle = first.join("attestation.sigstore.json");
    let public = office.folder.path().join("keys/key.pem.pub");
    for mut verifier in common::verifiers() {
        let again = verifier.arg(&bundle).arg(&public).output().unwrap();
        assert!(again.status.success(), "{}", text(&again));
        let statement: Value = serde_json::from_slice(&again.stdout).unwrap();
        let internal = &statement["predicate"]["buildDefinition"]["internalParameters"];
        assert_eq!(internal["agreeingWorkers"], 2);
        assert!(internal["signingLog"]["previous"].is_string());
    }
    let other = second.join("attestation.sigstore.json");
    let held = office.verify_log(&[&bundle, &other]);
    assert_eq!(code(&held), 0, "{}", text(&held));
    assert!(
        text(&held).contains("2 attestations match their log entries"),
        "{}",
        text(&held)
    );

    // A log that was begun anew, or cut, no longer has what was published.
    let whole = fs::read_to_string(office.log()).unwrap();
    let cut: Vec<_> = whole.lines().take(3).collect();
    fs::write(office.log(), cut.join("\n") + "\n").unwrap();
    let refused = office.verify_log(&[&bundle]);
    assert_eq!(code(&refused), 3, "{}", text(&refused));
    fs::write(
        office.log(),
        whole
            .replacen("first", "other", 1)
            .replacen("submitted", "Submitted", 1),
    )
    .unwrap();
    assert_eq!(code(&office.verify_log(&[])), 3);
    fs::write(office.log(), whole).unwrap();

    // A revoked key signs nothing, from the next request on.
    let config = office.folder.path().join("keys");
    let keys: Value = serde_json::from_slice(&fs::read(config.join("rebuilder/keys.json")).unwrap()).unwrap();
    let fingerprint = keys["keys"][0]["fingerprint"].as_str().unwrap();
    let output = rebuilder()
        .env("XDG_CONFIG_HOME", &config)
        .args(["key", "revoke", fingerprint, "--because", "a test"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let refused = office.ask(&first, WORKERS[0]);
    assert_eq!(code(&refused), 3, "{}", text(&refused));
    assert!(text(&refused).contains("was revoked"), "{}", text(&refused));
}

/// Changes record and plan of a run, so that they and the page fit each other again.
fn forge(run: &Path, change: impl FnOnce(&mut Value, &mut Value)) {
    let read = |name: &str| serde_json::from_slice::<Value>(&fs::read(run.join(name)).unwrap()).unwrap();
    let (mut record, mut plan) = (read("record.json"), read("plan.json"));
    change(&mut record, &mut plan);
    if let Ok(parsed) = serde_json::from_value::<Plan>(plan.clone()) {
        record["plan"] = json!(parsed.digest().unwrap());
        if let Ok(record) = serde_json::from_value::<Record>(record.clone()) {
            let page = rebuilder::report::html(&parsed, &record).unwrap();
            fs::write(run.join("report.html"), page).unwrap();
        }
    }
    fs::write(run.join("record.json"), record.to_string()).unwrap();
    fs::write(run.join("plan.json"), plan.to_string()).unwrap();
}

fn output(run: &Path) -> PathBuf {
    run.join("rebuilt").join(WHEEL)
}

fn digest(path: &Path) -> String {
    Sha256::of(fs::read(path).unwrap()).to_hex()
}

type Attack = (&'static str, fn(&Path), &'static str);

/// What a worker under an attacker's control tries, and a part of what it is told.
const ATTACKS: &[Attack] = &[
    (
        "hands in other bytes than it recorded",
        |run| fs::write(output(run), "evil").unwrap(),
        "is not what the record says",
    ),
    (
        "records other bytes, and calls them reproduced",
        |run| {
            fs::write(output(run), "evil").unwrap();
            let evil = digest(&output(run));
            forge(run, |record, _| {
                record["outputs"][0]["rebuilt"] = json!(evil);
                record["outputs"][0]["released"] = json!(evil);
            });
        },
        "expected mismatch, found reproduced",
    ),
    (
        "lets the plan expect its own bytes",
        |run| {
            fs::write(output(run), "evil").unwrap();
            let evil = digest(&output(run));
            forge(run, |record, plan| {
                record["outputs"][0]["rebuilt"] = json!(evil);
                record["outputs"][0]["released"] = json!(evil);
                plan["expected"][0]["file"]["sha256"] = json!(evil);
            });
        },
        "which is not what was released",
    ),
    (
        "speaks of another package",
        |run| {
            forge(run, |record, plan| {
                record["subject"] = json!("pkg:pypi/attrs@24.2.0");
                plan["subject"] = json!("pkg:pypi/attrs@24.2.0");
            });
        },
        "which is not what was released",
    ),
    (
        "takes the released file for an input",
        |run| {
            forge(run, |_, plan| {
                let mut input = plan["inputs"][0].clone();
                input["file"] = plan["expected"][0]["file"].clone();
                input["place"] = json!("source/released.whl");
                plan["inputs"].as_array_mut().unwrap().push(input);
            });
        },
        "has the released file itself among its inputs",
    ),
    (
        "copies instead of building",
        |run| {
            forge(run, |_, plan| {
                plan["build"]["steps"] =
                    json!([{"name": "build", "run": "base64 -d /inputs/x > /out/idna.whl"}]);
            });
        },
        "is in no recipe of this signer",
    ),
    (
        "lets the shell run something before each step",
        |run| {
            forge(run, |_, plan| {
                plan["build"]["env"]["BASH_ENV"] = json!("/inputs/x");
                plan["build"]["env"]["ENV"] = json!("/inputs/x");
            });
        },
        "by which something runs that no step names",
    ),
    (
        "calls other bytes equivalent",
        |run| {
            fs::write(output(run), "evil").unwrap();
            fs::create_dir_all(run.join("released")).unwrap();
            fs::write(run.join("released").join(WHEEL), "released").unwrap();
            let (evil, size) = (digest(&output(run)), 4);
            forge(run, |record, plan| {
                let released = plan["expected"][0]["file"]["sha256"].clone();
                record["verdict"] = json!("equivalent");
                record["outputs"][0]["rebuilt"] = json!(evil);
                record["outputs"][0]["differs"] = json!({
                    "version": 1, "outcome": "equivalent", "limits": [], "causes": [], "tree": null,
                    "released": {"name": WHEEL, "size": size, "sha256": released},
                    "rebuilt": {"name": WHEEL, "size": size, "sha256": evil},
                    "normalisations": [{"name": "zip-time", "version": 1, "places": 1}]
                });
            });
        },
        "expected",
    ),
    (
        "hands in a link to a file that only the signer can read",
        |run| {
            fs::remove_file(output(run)).unwrap();
            symlink("/etc/shadow", output(run)).unwrap();
        },
        "cannot take rebuilt/",
    ),
    (
        "lets the signer wait for a pipe",
        |run| {
            fs::remove_file(run.join("build.log")).unwrap();
            nix::unistd::mkfifo(&run.join("build.log"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        },
        "it is no regular file",
    ),
    (
        "names an output that leads elsewhere",
        |run| {
            forge(run, |record, _| {
                record["outputs"][0]["name"] = json!("../../keys/key.pem")
            })
        },
        "it is no plain file name",
    ),
    (
        "replays a plan of its own making",
        |run| forge(run, |record, _| record["evidence"] = json!("taken-from-plan")),
        "replays a saved plan",
    ),
    (
        "builds outside a sandbox",
        |run| forge(run, |record, _| record["backend"] = json!("chroot")),
        "nobody here vouches for",
    ),
    (
        "leaves the network on",
        |run| forge(run, |record, _| record["not_enforced"] = json!(["network"])),
        "was not isolated",
    ),
    (
        "dates a run in the future",
        |run| {
            forge(run, |record, _| {
                record["finished"] = json!("2099-01-01T00:00:00Z")
            })
        },
        "says that it ended on 2099",
    ),
    (
        "dresses up an inconclusive run",
        |run| {
            forge(run, |record, _| {
                record["verdict"] = json!("inconclusive");
                record["stage"] = json!("build");
                record["reason"] = json!("it failed");
            });
        },
        "is inconclusive",
    ),
    (
        "changes the log of the build",
        |run| fs::write(run.join("build.log"), "all is well\n").unwrap(),
        "is not what the record says",
    ),
];

#[apply(test)]
fn a_worker_under_an_attackers_control_gets_no_wrong_verdict_signed() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    // The word of one is taken here, so that nothing but the signer's own checks stands in the way.
    // Whoever runs this test may ask too, so that noise gets as far as it can.
    let office = Attestor::open(&["--agree", "1", "--worker", "0"]);
    let honest = office.run("honest", &runs()[0], WORKERS[0]);
    let mut wrong = Vec::new();
    for (number, (what, attack, reason)) in ATTACKS.iter().enumerate() {
        let run = office.run(&format!("attack-{number}"), &runs()[0], WORKERS[0]);
        attack(&run);
        own(&run, WORKERS[0]);
        let refused = office.ask(&run, WORKERS[0]);
        let bundle = run.join("attestation.sigstore.json").exists();
        if code(&refused) != 3 || !text(&refused).contains(reason) || bundle {
            wrong.push(format!("{what}: {} {}", code(&refused), text(&refused)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // Who asks, and for what.
    let stranger = office.ask(&honest, STRANGER);
    assert!(
        text(&stranger).contains("is no worker of this signer"),
        "{}",
        text(&stranger)
    );
    let others = office.ask(&honest, WORKERS[1]);
    assert!(
        text(&others).contains("belongs to the user 41001, not to 41002"),
        "{}",
        text(&others)
    );
    let outside = office.folder.path().join("elsewhere");
    copy(&runs()[0], &outside);
    own(&outside, WORKERS[0]);
    for path in [
        outside.clone(),
        office.folder.path().join("runs/honest/../../elsewhere"),
    ] {
        let refused = office.ask(&path, WORKERS[0]);
        assert!(
            text(&refused).contains("is not in a folder of runs"),
            "{}",
            text(&refused)
        );
    }
    symlink(&outside, office.folder.path().join("runs/link")).unwrap();
    let refused = office.ask(&office.folder.path().join("runs/link"), WORKERS[0]);
    assert!(
        text(&refused).contains("is not in a folder of runs"),
        "{}",
        text(&refused)
    );

    // Noise instead of a question.
    for noise in [
        &b"\n"[..],
        b"{}\n",
        b"{\"version\":2,\"run\":\"/\"}\n",
        &vec![b'x'; 100_000],
    ] {
        let mut stream = UnixStream::connect(office.socket()).unwrap();
        let _ = stream.write_all(noise);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut reply = String::new();
        let _ = stream.read_to_string(&mut reply);
        assert!(reply.is_empty() || reply.contains("refused"), "{reply}");
    }

    // The honest run is signed after all that, once; the same run with another record is not.
    let signed = office.ask(&honest, WORKERS[0]);
    assert_eq!(code(&signed), 0, "{}", text(&signed));
    let replay = office.run("replay", &runs()[0], WORKERS[0]);
    forge(&replay, |record, _| record["timings"]["total"] = json!(0.5));
    own(&replay, WORKERS[0]);
    let refused = office.ask(&replay, WORKERS[0]);
    assert!(
        text(&refused).contains("was handed in before, with another record"),
        "{}",
        text(&refused)
    );
    // Each refusal is in the log, with the user who asked.
    let log = fs::read_to_string(office.log()).unwrap();
    assert!(
        log.matches("\"event\":\"refused\"").count() >= ATTACKS.len() + 6,
        "{log}"
    );
    assert_eq!(log.matches("\"event\":\"signed\"").count(), 1);
    assert_eq!(
        code(&office.verify_log(&[&honest.join("attestation.sigstore.json")])),
        0
    );
}

/// Variables that no recipe sets: by each of them, something in a build runs that no step names.
const VARIABLES: &[&str] = &[
    "TAR_OPTIONS",
    "MAKEFLAGS",
    "MAKEFILES",
    "GCC_EXEC_PREFIX",
    "COMPILER_PATH",
    "SHELL",
    "IFS",
    "PS4",
    "RUSTC_WRAPPER",
    "GOFLAGS",
    "GCONV_PATH",
    "npm_config_script_shell",
    "PYTHONHOME",
    "PYTHONUSERBASE",
    "PYTHONWARNINGS",
    "GIT_SSH_COMMAND",
    "DPKG_ROOT",
    "LUA_INIT",
    "RUBYLIB",
    "CC",
    "LD_PRELOAD",
    "GLIBC_TUNABLES",
    "SETUPTOOLS_SCM_PRETEND_VERSION",
];

type Change<'a> = &'a dyn Fn(&mut Value, &mut Value);

/// What a worker says of a run beside its digests: it gets none of that signed as the signer's word.
#[apply(test)]
fn what_a_worker_states_is_refused_or_stands_apart() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let office = Attestor::open(&["--agree", "1"]);
    let handed = |name: &str, change: &dyn Fn(&mut Value, &mut Value)| {
        let run = office.run(name, &runs()[0], WORKERS[0]);
        forge(&run, |record, plan| {
            record["id"] = json!(name);
            change(record, plan);
        });
        own(&run, WORKERS[0]);
        let output = office.ask(&run, WORKERS[0]);
        (run, output)
    };
    let mut wrong = Vec::new();
    for name in VARIABLES {
        let (_, refused) = handed(&format!("variable-{name}"), &|_, plan| {
            plan["build"]["env"][*name] = json!("/inputs/x");
        });
        if code(&refused) != 3 || !text(&refused).contains(&format!("sets the variable {name}")) {
            wrong.push(format!("{name}: {}", text(&refused)));
        }
    }
    let made_up = |role: &str, place: &str| {
        json!({"role": role, "place": place, "file": {
            "name": "SPOOFED.whl", "urls": ["https://example.org/SPOOFED"], "sha256": "e".repeat(64), "size": 1
        }})
    };
    let refusals: &[(&str, &str, Change<'_>)] = &[
        ("another-path", "to another value than its recipe", &|_, plan| {
            plan["build"]["env"]["PATH"] = json!("/inputs/dependencies:/usr/bin");
        }),
        (
            "another-source",
            "which is not what was released beside it",
            &|_, plan| {
                plan["inputs"][0]["file"]["sha256"] = json!("e".repeat(64));
            },
        ),
        ("two-sources", "for its source", &|_, plan| {
            plan["git"] = json!([{"place": "source.tar", "submodules": false, "source": {
                "repository": "https://github.com/mallory/idna", "commit": "f".repeat(40)
            }}]);
        }),
        ("another-driver", "that is not this signer's own", &|_, plan| {
            plan["files"][0]["text"] = json!("import os\nos.system('cp /inputs/x /out/')\n");
        }),
        ("an-option-for-setuptools", "that sets the option", &|_, plan| {
            let facts = plan["files"][1]["text"].as_str().unwrap();
            let mut facts: Value = serde_json::from_str(facts).unwrap();
            facts["options"] = json!({"distutils_commands": "x"});
            plan["files"][1]["text"] = json!(facts.to_string());
        }),
        (
            "another-archive",
            "takes another archive than its source",
            &|_, plan| {
                let facts = plan["files"][1]["text"].as_str().unwrap();
                let mut facts: Value = serde_json::from_str(facts).unwrap();
                facts["archive"] = json!("dependencies/SPOOFED.whl");
                plan["files"][1]["text"] = json!(facts.to_string());
            },
        ),
        ("an-image", "allow it with --image", &|_, plan| {
            plan["container"] =
                json!({"image": {"repository": "docker.io/mallory/x", "digest": "e".repeat(64)}});
        }),
        ("another-lock", "another lock than this signer's", &|_, plan| {
            plan["container"]["lock"]["packages"][0]["version"] = json!("6.6.6");
        }),
        ("everything-left-out", "without being compared", &|_, plan| {
            plan["not_compared"] = json!(["*"]);
        }),
        ("another-name", "which was released as", &|record, plan| {
            plan["expected"][0]["file"]["name"] = json!("openssl.whl");
            record["outputs"][0]["name"] = json!("openssl.whl");
        }),
        ("before-the-release", "and it was released on", &|record, _| {
            record["started"] = json!("2024-09-01T00:00:00Z");
        }),
        ("in-2001", "says that it began on 2001", &|record, _| {
            record["started"] = json!("2001-01-01T00:00:00Z");
        }),
    ];
    for (name, reason, change) in refusals {
        let (run, refused) = handed(name, change);
        let signed = run.join("attestation.sigstore.json").exists();
        // What is so old is refused for its age first.
        let old = name.starts_with("before") && text(&refused).contains("within a year");
        if code(&refused) != 3 || signed || !(old || text(&refused).contains(reason)) {
            wrong.push(format!("{name}: {} {}", code(&refused), text(&refused)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let (run, output) = handed("words", &|record, plan| {
        plan["policy"] = json!({"policy": "SPOOFED", "checks": []});
        plan["assumptions"][0]["value"] = json!("SPOOFED");
        plan["inputs"]
            .as_array_mut()
            .unwrap()
            .push(made_up("dependency", "dependencies/SPOOFED.whl"));
        record["backend"] = json!("docker");
        record["rebuilder"] = json!("6.6.6");
        record["attempts"] =
            json!([{"number": 1, "ended": "SPOOFED", "places": 0, "seconds": 0.1, "chosen": true}]);
    });
    assert_eq!(code(&output), 0, "{}", text(&output));
    let bundle: Value =
        serde_json::from_slice(&fs::read(run.join("attestation.sigstore.json")).unwrap()).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    let payload = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
    let mut statement: Value = serde_json::from_slice(&payload).unwrap();
    let definition = &mut statement["predicate"]["buildDefinition"];
    let stated = definition["internalParameters"]["workerStated"].take();
    assert_eq!(stated["backend"], "docker");
    assert_eq!(stated["rebuilder"], "6.6.6");
    assert_eq!(definition["internalParameters"]["policy"]["policy"], "built-in");
    assert_eq!(definition["internalParameters"]["recipe"]["name"], "pypi-wheel");
    let inputs = definition["resolvedDependencies"].as_array_mut().unwrap();
    for input in inputs.iter() {
        let named = input["annotations"]["namedBy"].is_string();
        assert_ne!(named, input["annotations"]["statedBy"] == "worker", "{input}");
        let source = input["annotations"]["role"] == "source";
        assert!(
            !source || input["annotations"]["namedBy"] == "registry",
            "{input}"
        );
    }
    inputs.retain(|input| input["annotations"]["statedBy"] != "worker");
    let rest = statement.to_string();
    for word in ["SPOOFED", "6.6.6", "docker"] {
        assert!(!rest.contains(word), "{word}: {rest}");
    }
}

/// Copying the released file and calling it built leaves no trace in a run. What it does not get is a second worker.
#[apply(test)]
fn a_perfect_lie_needs_a_second_liar() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let office = Attestor::open(&[]);
    let lie = office.run("lie", &runs()[0], WORKERS[0]);
    // The truth, as the second worker has it: other bytes came out.
    let truth = office.run("truth", &runs()[1], WORKERS[1]);
    fs::create_dir_all(truth.join("released")).unwrap();
    fs::copy(output(&truth), truth.join("released").join(WHEEL)).unwrap();
    fs::write(output(&truth), "what really comes out").unwrap();
    let real = digest(&output(&truth));
    forge(&truth, |record, _| {
        record["verdict"] = json!("mismatch");
        record["outputs"][0]["rebuilt"] = json!(real);
    });
    own(&truth, WORKERS[1]);
    for (run, worker, expected) in [
        (
            &lie,
            WORKERS[0],
            "1 of 2 workers reported this outcome, 0 a different one",
        ),
        (
            &truth,
            WORKERS[1],
            "1 of 2 workers reported this outcome, 1 a different one",
        ),
    ] {
        let answer = office.ask(run, worker);
        assert_eq!(code(&answer), 4, "{}", text(&answer));
        assert!(text(&answer).contains(expected), "{}", text(&answer));
    }
    assert!(!lie.join("attestation.sigstore.json").exists());
}

/// Everything that a build could look into for a key or a token, on both backends, while a signer runs.
#[apply(test)]
fn no_key_or_token_is_readable_from_a_build() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    let office = Attestor::open(&["--agree", "1"]);
    let key = fs::read_to_string(office.folder.path().join("keys/key.pem")).unwrap();
    let line = key.lines().nth(1).unwrap();
    let place = office.folder.path().display().to_string();
    let pid = office.child.id();
    let marks =
        format!("{line}|correct horse battery staple|the-token-of-the-signer|the-token-of-the-worker");
    let script = format!(
        r#"
say() {{ echo "$1: $(eval "$2" 2>/dev/null | tr '\n' ' ')"; }}
say environment "env | grep -cE '{marks}'"
say environments "cat /proc/[0-9]*/environ | tr '\0' '\n' | grep -cE '{marks}'"
say commands "cat /proc/[0-9]*/cmdline | tr '\0' '\n' | grep -ce '[-]-passphrase-file'"
say files "ls -A {place} /root/.config/rebuilder /run/rebuilder-signer | wc -l"
say roots "for p in /proc/[0-9]*; do ls \$p/root{place} \$p/cwd{place}; done | wc -l"
say memory "cat /proc/{pid}/mem | head -c 1 | wc -c"
say maps "cat /proc/{pid}/maps | wc -l"
say descriptors "ls -l /proc/[0-9]*/fd | grep -c '{place}'"
say sockets "grep -c '{place}' /proc/net/unix"
say abstract "awk 'NR > 1 && \$8 ~ /^@/' /proc/net/unix | wc -l"
say connect "python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect(\"{place}/socket\"); print(\"in\")'"
say mounts "grep -c -e '{place}/keys' -e credentials /proc/self/mountinfo"
say keyring "grep -c . /proc/keys"
say disk "cat /dev/sda /dev/vda /dev/nvme0n1 | head -c 1 | wc -c"
say core "cat /proc/kcore /dev/mem /dev/kmem | head -c 1 | wc -c"
"#
    );
    let plan = common::plan("pypi:idna==3.10");
    for backend in backends() {
        let folder = tempfile::tempdir().unwrap();
        let mut changed = plan.clone();
        changed["build"]["steps"] = json!([{"name": "look", "run": script}]);
        let file = folder.path().join("plan.json");
        fs::write(&file, changed.to_string()).unwrap();
        let mut command = rebuilder();
        command
            .env("SIGSTORE_ID_TOKEN", "the-token-of-the-worker")
            .env("REBUILDER_KEY", office.folder.path().join("keys/key.pem"));
        command.env(
            "REBUILDER_PASSPHRASE_FILE",
            office.folder.path().join("keys/passphrase"),
        );
        let run = folder.path().join("run");
        command
            .args(["rebuild", "--backend", backend, "--plan"])
            .arg(&file)
            .arg("--out")
            .arg(&run);
        let output = command.output().unwrap();
        let log = fs::read_to_string(run.join("build.log")).unwrap_or_else(|_| panic!("{}", text(&output)));
        for what in [
            "environment",
            "environments",
            "commands",
            "files",
            "roots",
            "memory",
            "maps",
            "descriptors",
            "sockets",
            "abstract",
            "connect",
            "mounts",
            "disk",
            "core",
        ] {
            let line = log
                .lines()
                .find(|line| line.starts_with(&format!("{what}:")))
                .unwrap_or_else(|| panic!("{what}: {log}"));
            let found = line.split(':').nth(1).unwrap().trim();
            assert!(["0", ""].contains(&found), "{backend}: {line}");
        }
    }
}
