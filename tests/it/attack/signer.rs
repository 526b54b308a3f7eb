//! Workers and local users at the signer: what a worker says of a run, how much of it, and what anyone can do to the
//! service, its log and its key.
//!
//! The runs are forged, as a worker under an attacker's control would forge them: no build takes part, every digest fits,
//! and the provenance is genuine. So nothing but the signer's own questions stands in the way.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::Shutdown;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use rebuilder::artifact::Sha256;
use rebuilder::plan::Plan;
use serde_json::{Value, json};

use super::Case;
use super::ground::{Ground, Who, must};
use crate::common::authority::{Authority, Signer, provenance};
use crate::common::{git, text};

pub const CASES: &[Case] = &[
    case("have its own words signed as the signer's", own_words),
    case(
        "set variables by which something runs that no step names",
        variables,
    ),
    case("build another source than the provenance names", other_sources),
    case("build in a container of its own", other_containers),
    case("change, repeat or leave out steps", other_steps),
    case(
        "have made-up inputs signed as if anyone named them",
        made_up_inputs,
    ),
    case("leave what it likes out of the comparison", left_out),
    case("date a run as it likes", other_dates),
    case("rename what was released", other_names),
    case("hide its plan behind another worker's agreement", second_worker),
    case("write more into the log than its reader takes", log_lines),
    case("hand in more than anyone should read", too_much),
    case("fill the signer's disk or keep it reading", files),
    case("use up the signer's handles", handles),
    case("keep the others out", strangers),
    case("let other workers wait for a key that hangs", hanging_key),
    case("keep the signer from starting again", restart),
    case("look into the process that holds the key", process),
    case("bring in a key of its own, or read one", keys),
    case("read a PIN in a message", pins),
    case(
        "bring in provenance that it signed itself, under a name that nobody trusts",
        own_provenance,
    ),
];

const fn case(name: &'static str, run: fn(&Ground) -> Result<(), String>) -> Case {
    Case {
        name,
        builds: false,
        run,
    }
}

/// Two users that run builds, and one that has no business here; for tests that root runs.
const WORKERS: [u32; 2] = [41_001, 41_002];
const STRANGER: u32 = 41_003;

/// A signer, a project with genuine provenance, and what workers make of it.
struct Attestor<'a> {
    ground: &'a Ground,
    plan: Value,
    bundle: String,
    authority: Authority,
    workers: Vec<u32>,
    child: Option<Child>,
}

impl Drop for Attestor<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<'a> Attestor<'a> {
    /// With everything but a signer that runs.
    fn closed(ground: &'a Ground) -> Self {
        let place = |name: &str| ground.folder().join(name);
        let work = place("mirror/hello");
        fs::create_dir_all(&work).unwrap();
        git(&work, &["init", "--quiet"]);
        fs::write(work.join("hello.c"), "int main(void) { return 0; }\n").unwrap();
        fs::write(work.join("Makefile"), "hello: hello.c\n\tcc -o hello hello.c\n").unwrap();
        git(&work, &["add", "."]);
        git(&work, &["commit", "--quiet", "-m", "release"]);
        git(&work, &["tag", "v1.0.0"]);
        let commit = git(&work, &["rev-parse", "HEAD"]);
        let repository = "https://github.com/example/hello";
        let authority = Authority::new();
        ground.write("root.json", authority.trusted_root().to_string());
        let hello = ground.write("hello", "what was released");
        let sha256 = Sha256::of("what was released").to_hex();
        let statement = provenance("hello", &sha256, repository, &commit);
        let bundle = authority
            .sign(&statement, &Signer::workflow(repository, &commit))
            .to_string();
        let provenance = ground.write("provenance.json", &bundle);
        for name in ["runs", "keys", "log"] {
            fs::create_dir_all(place(name)).unwrap();
        }
        fs::set_permissions(place("keys"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(place("runs"), fs::Permissions::from_mode(0o755)).unwrap();
        let mut office = Self {
            ground,
            plan: Value::Null,
            bundle,
            authority,
            workers: match ground.who {
                Who::Root => WORKERS.to_vec(),
                Who::User => Vec::new(),
            },
            child: None,
        };
        office.give(ground.folder());
        let mut command = office.command("plan");
        command.arg(&hello).arg("--provenance").arg(&provenance);
        let output = command.args(["--recipe", "c-make"]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        office.plan = serde_json::from_slice(&output.stdout).unwrap();
        let mut command = ground.rebuilder();
        command
            .args(["key", "generate", "--to"])
            .arg(place("keys/key.pem"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        office
    }

    fn open(ground: &'a Ground, more: &[&str]) -> Self {
        let mut office = Self::closed(ground);
        office.start(more).unwrap();
        office
    }

    /// Lets a place belong to the user that the program runs as.
    fn give(&self, place: &Path) {
        if self.ground.who == Who::User {
            let meta = fs::metadata(self.ground.folder()).unwrap();
            own(place, meta.uid());
        }
    }

    fn command(&self, verb: &str) -> Command {
        let place = |name: &str| self.ground.folder().join(name);
        let mut command = self.ground.rebuilder();
        command.env("XDG_CONFIG_HOME", place("keys"));
        command.arg(verb).arg("--trusted-root").arg(place("root.json"));
        command.arg("--git-mirror").arg(format!(
            "https://github.com/example/={}/",
            place("mirror").display()
        ));
        command
    }

    fn signer(&self, more: &[&str]) -> Command {
        let place = |name: &str| self.ground.folder().join(name);
        let mut command = self.command("signer");
        command.arg("--socket").arg(self.socket());
        command
            .arg("--runs")
            .arg(place("runs"))
            .arg("--log")
            .arg(self.log());
        if !more.contains(&"--key") {
            command.arg("--key").arg(place("keys/key.pem"));
        }
        if !more.contains(&"--agree") {
            command.args(["--agree", "1"]);
        }
        for worker in &self.workers {
            command.arg("--worker").arg(worker.to_string());
        }
        command.args(more);
        command
    }

    fn start(&mut self, more: &[&str]) -> Result<(), String> {
        let command = self.signer(more);
        self.start_by(command)
    }

    fn start_by(&mut self, mut command: Command) -> Result<(), String> {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        if !line.starts_with("listening") {
            let _ = lines.read_to_string(&mut line);
            let _ = child.wait();
            return Err(line);
        }
        // Nobody reads on; a full pipe would stop the signer.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        self.child = Some(child);
        Ok(())
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Whether the signer still runs.
    fn lives(&mut self) -> bool {
        self.child
            .as_mut()
            .is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    fn socket(&self) -> PathBuf {
        self.ground.folder().join("socket")
    }

    fn log(&self) -> PathBuf {
        self.ground.folder().join("log/log.jsonl")
    }

    /// The user whose runs these are, by number among the workers.
    fn uid(&self, worker: usize) -> u32 {
        match self.ground.who {
            Who::Root => self.workers[worker],
            Who::User => fs::metadata(self.ground.folder()).unwrap().uid(),
        }
    }

    /// A run that is perfect in itself, but for what `change` does to its plan and its record.
    fn run(&self, name: &str, worker: usize, change: impl FnOnce(&mut Value, &mut Value)) -> PathBuf {
        let run = self.ground.folder().join("runs").join(name);
        let sha256 = self.plan["expected"][0]["file"]["sha256"].clone();
        let ago = |seconds: i64| {
            let now = jiff::Timestamp::now().as_second();
            jiff::Timestamp::from_second(now - seconds).unwrap().to_string()
        };
        let mut plan = self.plan.clone();
        let mut record = json!({
            "version": 1, "id": format!("{name}-{worker}"), "subject": plan["subject"], "verdict": "reproduced",
            "plan": "", "evidence": "verified",
            "outputs": [{"name": "hello", "released": sha256, "rebuilt": sha256, "sizes": [17, 17], "differs": null}],
            "not_compared": [], "backend": "embedded", "not_enforced": [],
            "log": Sha256::of("built\n"), "report": Sha256::of("<p>built"),
            "rebuilder": "0.1.0", "started": ago(60), "finished": ago(30),
            "timings": {"prepare": 0.1, "setup": 0.1, "build": 0.1, "compare": 0.1, "total": 0.4}
        });
        change(&mut plan, &mut record);
        if record["plan"] == "" {
            record["plan"] = serde_json::from_value::<Plan>(plan.clone())
                .map_or_else(|_| json!(Sha256::of("")), |plan| json!(plan.digest().unwrap()));
        }
        fs::create_dir_all(run.join("rebuilt")).unwrap();
        fs::create_dir_all(run.join("documents")).unwrap();
        let files = [
            ("plan.json", plan.to_string()),
            ("record.json", record.to_string()),
            ("build.log", "built\n".into()),
            ("report.html", "<p>built".into()),
        ];
        for (name, content) in files {
            fs::write(run.join(name), content).unwrap();
        }
        for name in ["hello", "openssl", "extra"] {
            fs::write(run.join("rebuilt").join(name), "what was released").unwrap();
        }
        let digest = Sha256::of(&self.bundle).to_hex();
        fs::write(run.join("documents").join(digest), &self.bundle).unwrap();
        own(&run, self.uid(worker));
        run
    }

    fn ask_in(&self, run: &Path, worker: usize) -> Output {
        let mut command = match self.ground.who {
            Who::User => self.ground.command(program_of(self.ground)),
            Who::Root => {
                let mut command = Command::new(program_of(self.ground));
                command.uid(self.uid(worker)).gid(self.uid(worker)).env_clear();
                command
            }
        };
        command.env("HOME", "/nonexistent").current_dir("/");
        command.arg("attest").arg(run).arg("--signer").arg(self.socket());
        command.output().unwrap()
    }

    /// Hands a run in; the statement that was signed, or the refusal.
    fn ask(&self, run: &Path, worker: usize) -> Result<Value, String> {
        let output = self.ask_in(run, worker);
        let bundle = run.join("attestation.sigstore.json");
        if !output.status.success() {
            return if bundle.exists() {
                panic!("an attestation was written: {}", text(&output))
            } else {
                Err(text(&output))
            };
        }
        let bundle: Value = serde_json::from_slice(&fs::read(bundle).unwrap()).unwrap();
        let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
        let payload = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
        Ok(serde_json::from_slice(&payload).unwrap())
    }

    /// Tries every change, each in a run of its own; each must be refused for a reason that has this text in it.
    fn refuses(&self, tries: Vec<Try>) -> Result<(), String> {
        let mut gained = Vec::new();
        for (number, (what, expected, change)) in tries.into_iter().enumerate() {
            let run = self.run(&format!("try-{number}"), 0, change);
            match self.ask(&run, 0) {
                Ok(_) => gained.push(format!("{what}: signed")),
                Err(refusal) if !refusal.contains(expected) => {
                    gained.push(format!("{what}: refused for another reason: {refusal}"));
                }
                Err(_) => {}
            }
            let _ = fs::remove_dir_all(run);
        }
        must(gained.is_empty(), gained.join("; "))
    }

    /// That an honest run is signed still; asked under a new name each time.
    fn works(&self, name: &str) -> Result<Value, String> {
        let run = self.run(name, 0, |_, _| {});
        let signed = self.ask(&run, 0);
        signed.map_err(|refusal| format!("an honest run is not signed any more: {refusal}"))
    }
}

type Try = (
    &'static str,
    &'static str,
    Box<dyn FnOnce(&mut Value, &mut Value)>,
);

/// One change, what it is, and a part of the reason that it must be refused for.
fn attempt(
    what: &'static str,
    expected: &'static str,
    change: impl FnOnce(&mut Value, &mut Value) + 'static,
) -> Try {
    (what, expected, Box::new(change))
}

fn own(place: &Path, uid: u32) {
    for entry in walkdir::WalkDir::new(place).into_iter().flatten() {
        if !entry.path_is_symlink() {
            chown(entry.path(), Some(uid), Some(uid)).unwrap();
        }
    }
}

/// The program at a place that every user reaches.
fn program_of(ground: &Ground) -> PathBuf {
    let command = ground.rebuilder();
    let program = PathBuf::from(command.get_program());
    if program.file_name().is_some_and(|name| name == "rebuilder") {
        return program;
    }
    let arguments = command.get_args().map(PathBuf::from);
    let mut found = arguments.filter(|path| path.file_name().is_some_and(|name| name == "rebuilder"));
    found.next().unwrap()
}

fn internal(statement: &Value) -> &Value {
    &statement["predicate"]["buildDefinition"]["internalParameters"]
}

fn own_words(ground: &Ground) -> Result<(), String> {
    let office = Attestor::open(ground, &[]);
    let run = office.run("words", 0, |plan, record| {
        plan["policy"] =
            json!({"policy": "SPOOFED", "checks": [{"rule": "SPOOFED", "kept": true, "finding": "SPOOFED"}]});
        plan["claims"][0]["claim"] = json!("SPOOFED");
        plan["assumptions"] =
            json!([{"what": "SPOOFED", "value": "SPOOFED", "origin": {"declared": "SPOOFED"}}]);
        record["attempts"] =
            json!([{"number": 1, "ended": "SPOOFED\u{1b}[2J", "places": 0, "seconds": 1.0, "chosen": true}]);
        record["rebuilder"] = json!("9.9.9-SPOOFED");
    });
    let mut statement = office.ask(&run, 0)?;
    let shown = internal(&statement)["workerStated"]["attempts"].to_string();
    must(!shown.contains("\\u001b"), "a control character in a statement")?;
    must(
        internal(&statement)["policy"]["policy"] == "built-in",
        "another policy than the signer's",
    )?;
    must(
        internal(&statement)["recipe"]["name"] == "c-make",
        "no recipe of the signer's",
    )?;
    must(
        internal(&statement)["signedOn"].is_string(),
        "no time of the signer's",
    )?;
    // What is set apart is the worker's; nothing else may be.
    statement["predicate"]["buildDefinition"]["internalParameters"]["workerStated"] = Value::Null;
    must(
        !statement.to_string().contains("SPOOFED"),
        format!("its own words: {statement}"),
    )
}

fn variables(ground: &Ground) -> Result<(), String> {
    let office = Attestor::open(ground, &[]);
    let named = [
        "LD_PRELOAD",
        "BASH_ENV",
        "MAKEFLAGS",
        "TAR_OPTIONS",
        "GCC_EXEC_PREFIX",
        "CC",
        "GIT_SSH_COMMAND",
        "NEVER_HEARD_OF",
    ];
    let mut tries: Vec<Try> = named
        .into_iter()
        .map(|name| {
            attempt(name, "runs that no step names", move |plan, _| {
                plan["build"]["env"][name] = json!("/inputs/x");
            })
        })
        .collect();
    tries.extend([
        attempt("another PATH", "runs that no step names", |plan, _| {
            plan["build"]["env"]["PATH"] = json!("/inputs/dependencies:/usr/bin:/bin");
        }),
        attempt("a variable in the setup", "runs that no step names", |plan, _| {
            plan["setup"]["env"]["PATH"] = json!("/bin");
        }),
        attempt("an absent variable", "does not set the variable", |plan, _| {
            plan["build"]["env"].as_object_mut().unwrap().remove("LC_ALL");
        }),
        attempt("OUTPUTS with options", "and it should be", |plan, _| {
            plan["build"]["env"]["OUTPUTS"] = json!("hello -o -name x");
        }),
        attempt("FOLDER elsewhere", "and it should be", |plan, _| {
            plan["build"]["env"]["FOLDER"] = json!("../../usr");
        }),
        attempt("another clock", "and it should be", |plan, _| {
            plan["build"]["env"]["SOURCE_DATE_EPOCH"] = json!("1");
        }),
        attempt("an exported function", "not the name of a variable", |plan, _| {
            plan["build"]["env"]["BASH_FUNC_tar%%"] = json!("() { :; }");
        }),
    ]);
    office.refuses(tries)
}

fn other_sources(ground: &Ground) -> Result<(), String> {
    let office = Attestor::open(ground, &[]);
    office.refuses(vec![
        attempt(
            "another repository",
            "the verified provenance names",
            |plan, _| {
                let other = "https://github.com/mallory/hello";
                plan["git"][0]["source"]["repository"] = json!(other);
                plan["build"]["env"]["SOURCE_REPOSITORY"] = json!(other);
            },
        ),
        attempt("another commit", "the verified provenance names", |plan, _| {
            plan["git"][0]["source"]["commit"] = json!("f".repeat(40));
            plan["build"]["env"]["SOURCE_COMMIT"] = json!("f".repeat(40));
        }),
        attempt("another ref", "the verified provenance names", |plan, _| {
            plan["git"][0]["source"]["ref"] = json!("refs/tags/v6.6.6");
            plan["build"]["env"]["SOURCE_REF"] = json!("refs/tags/v6.6.6");
        }),
        attempt("other files of the commit", "and they are sha256:", |plan, _| {
            plan["git"][0]["archive"] = json!("f".repeat(64));
        }),
        attempt("a second source", "sources from git", |plan, _| {
            let mut second = plan["git"][0].clone();
            second["place"] = json!("second.tar");
            plan["git"].as_array_mut().unwrap().push(second);
        }),
        attempt("the source elsewhere", "sources from git", |plan, _| {
            plan["git"][0]["place"] = json!("source/source.tar");
        }),
        attempt("no source", "and it should be", |plan, _| {
            plan["git"] = json!([]);
        }),
        attempt("another ecosystem", "says that it is one of debian", |plan, _| {
            plan["ecosystem"] = json!("debian");
        }),
    ])
}

fn other_containers(ground: &Ground) -> Result<(), String> {
    let office = Attestor::open(ground, &[]);
    office.refuses(vec![
        attempt("another lock", "another lock than this signer's", |plan, _| {
            plan["container"]["lock"]["packages"][0]["sha256"] = json!("f".repeat(64));
        }),
        attempt("a package more", "another lock than this signer's", |plan, _| {
            let packages = plan["container"]["lock"]["packages"].as_array_mut().unwrap();
            let again = packages[0].clone();
            packages.push(again);
        }),
        attempt("another tree", "another lock than this signer's", |plan, _| {
            plan["container"]["lock"]["tree"] = json!("f".repeat(64));
        }),
        attempt("another container", "and its recipe in", |plan, _| {
            plan["container"]["name"] = json!("trixie-rust");
        }),
        attempt("an unknown container", "and its recipe in", |plan, _| {
            plan["container"]["name"] = json!("../mallory");
        }),
        attempt("an image of its own", "allow it with --image", |plan, _| {
            plan["container"] = json!({"image": {
                "repository": "docker.io/mallory/build", "digest": "f".repeat(64)
            }});
        }),
        attempt("another host name", "has the host name", |plan, _| {
            plan["hostname"] = json!("elsewhere");
        }),
        attempt("another mask", "file mode creation mask", |plan, _| {
            plan["umask"] = json!(0);
        }),
    ])
}

fn other_steps(ground: &Ground) -> Result<(), String> {
    let office = Attestor::open(ground, &[]);
    let steps = |plan: &mut Value, change: fn(&mut Vec<Value>)| {
        change(plan["build"]["steps"].as_array_mut().unwrap());
    };
    office.refuses(vec![
        attempt(
            "a step of its own",
            "in no recipe of this signer",
            move |plan, _| {
                steps(plan, |all| {
                    all.push(json!({"name": "x", "run": "cp /inputs/x /out/hello"}));
                });
            },
        ),
        attempt("another order", "in this order", move |plan, _| {
            steps(plan, |all| all.swap(0, 1));
        }),
        attempt("a step left out", "in this order", move |plan, _| {
            steps(plan, |all| drop(all.remove(1)));
        }),
        attempt("a step twice", "in this order", move |plan, _| {
            steps(plan, |all| all.push(all[2].clone()));
        }),
        attempt(
            "a step under another name",
            "control characters",
            move |plan, _| {
                steps(plan, |all| all[0]["name"] = json!("build\n== built =="));
            },
        ),
        attempt(
            "a step in the setup",
            "in no recipe of this signer",
            move |plan, _| {
                plan["setup"]["steps"] = json!([{"name": "x", "run": "apt-get install x"}]);
            },
        ),
        attempt(
            "a file of its own",
            "that no recipe of this signer knows",
            |plan, _| {
                plan["files"] = json!([{"place": "recipe/x", "text": "what was built elsewhere"}]);
            },
        ),
        attempt(
            "the released file as a text",
            "carries the released file itself",
            |plan, _| {
                plan["files"] = json!([{"place": "recipe/x", "text": "what was released"}]);
            },
        ),
    ])
}

fn input(role: &str, place: &str) -> Value {
    json!({
        "role": role, "place": place, "purl": "pkg:generic/SPOOFED",
        "file": {"name": "SPOOFED", "urls": ["https://example.org/SPOOFED"], "sha256": "e".repeat(64), "size": 1}
    })
}

fn made_up_inputs(ground: &Ground) -> Result<(), String> {
    let office = Attestor::open(ground, &[]);
    office.refuses(vec![
        attempt("a made-up source", "has it from git alone", |plan, _| {
            plan["inputs"] = json!([input("source", "source/x")]);
        }),
        attempt(
            "an input in the recipe's place",
            "no recipe of this signer has one",
            |plan, _| {
                plan["inputs"] = json!([input("dependency", "recipe/x")]);
            },
        ),
        attempt("two in one place", "two of its inputs are put at", |plan, _| {
            plan["inputs"] = json!([
                input("dependency", "dependencies/x"),
                input("dependency", "dependencies//x")
            ]);
        }),
    ])?;
    let run = office.run("made-up", 0, |plan, _| {
        plan["inputs"] = json!([input("dependency", "dependencies/x")]);
    });
    // Signed or not, nobody may take it for more than the worker's word.
    let Ok(statement) = office.ask(&run, 0) else {
        return Ok(());
    };
    let all = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        .as_array()
        .unwrap();
    for dependency in all {
        let annotations = &dependency["annotations"];
        let made_up = dependency["name"] == "SPOOFED";
        must(
            made_up == (annotations["statedBy"] == "worker") && made_up == annotations["namedBy"].is_null(),
            format!("an input that is not marked: {dependency}"),
        )?;
    }
    must(
        internal(&statement)["workerStated"]["inputs"] == json!(["dependencies/x"]),
        "an input that is not listed",
    )
}

fn left_out(ground: &Ground) -> Result<(), String> {
    let office = Attestor::open(ground, &[]);
    let pattern = |what: &'static str, pattern: &'static str| {
        attempt(what, "without being compared", move |plan, _| {
            plan["not_compared"] = json!([pattern]);
        })
    };
    office.refuses(vec![
        pattern("everything", "*"),
        pattern("everything in other words", "**"),
        pattern("some", "hell*"),
        pattern("a trojan", "hello-trojan"),
        attempt(
            "a name without a pattern",
            "which its plan does not",
            |_, record| {
                record["not_compared"] = json!(["hello-trojan"]);
            },
        ),
        attempt(
            "an extra output called released",
            "is not what the record says",
            |_, record| {
                let mut extra = record["outputs"][0].clone();
                extra["name"] = json!("extra");
                record["outputs"].as_array_mut().unwrap().push(extra);
            },
        ),
    ])
}

fn other_dates(ground: &Ground) -> Result<(), String> {
    let office = Attestor::open(ground, &[]);
    let dated = |what: &'static str, started: &'static str, finished: &'static str| {
        attempt(what, "says that it", move |_, record| {
            record["started"] = json!(started);
            record["finished"] = json!(finished);
        })
    };
    office.refuses(vec![
        dated("2001", "2001-01-01T00:00:00Z", "2001-01-01T00:01:00Z"),
        dated("1970", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        dated(
            "before Christ",
            "-000044-03-15T00:00:00Z",
            "-000044-03-15T00:00:00Z",
        ),
        dated("2099", "2099-01-01T00:00:00Z", "2099-01-01T00:01:00Z"),
        attempt("an end before its beginning", "says that it", |_, record| {
            let (started, finished) = (record["finished"].clone(), record["started"].clone());
            record["started"] = started;
            record["finished"] = finished;
        }),
        attempt("no version", "names", |_, record| {
            record["rebuilder"] = json!("the best");
        }),
    ])
}

fn other_names(ground: &Ground) -> Result<(), String> {
    let office = Attestor::open(ground, &[]);
    office.refuses(vec![
        attempt(
            "another file name",
            "which was released as hello",
            |plan, record| {
                let sha256 = plan["expected"][0]["file"]["sha256"].as_str().unwrap().to_owned();
                let purl = json!(format!("pkg:generic/openssl?checksum=sha256:{sha256}"));
                plan["expected"][0]["file"]["name"] = json!("openssl");
                plan["expected"][0]["purl"] = purl.clone();
                plan["subject"] = purl.clone();
                plan["build"]["env"]["OUTPUTS"] = json!("openssl");
                record["subject"] = purl;
                record["outputs"][0]["name"] = json!("openssl");
            },
        ),
        attempt(
            "a package URL by which another rule counts",
            "which no signed document does",
            |plan, record| {
                let purl = json!("pkg:generic/trusted/openssl@3.0");
                plan["expected"][0]["purl"] = purl.clone();
                plan["subject"] = purl.clone();
                record["subject"] = purl;
            },
        ),
        attempt(
            "a subject of its own",
            "expects something else",
            |plan, record| {
                plan["subject"] = json!("pkg:generic/openssl");
                record["subject"] = json!("pkg:generic/openssl");
            },
        ),
    ])
}

fn second_worker(ground: &Ground) -> Result<(), String> {
    if ground.who == Who::User {
        return Ok(());
    }
    let office = Attestor::open(ground, &["--agree", "2"]);
    let first = office.run("first", 0, |_, _| {});
    let waiting = office.ask(&first, 0).unwrap_err();
    must(
        waiting.contains("1 of 2 reported"),
        format!("a signature for one: {waiting}"),
    )?;
    let second = office.run("second", 1, |plan, record| {
        plan["inputs"] = json!([input("dependency", "dependencies/x")]);
        plan["assumptions"][0]["value"] = json!("SPOOFED");
        record["backend"] = json!("docker");
    });
    let Ok(statement) = office.ask(&second, 1) else {
        return Ok(());
    };
    let honest = serde_json::from_value::<Plan>(office.plan.clone())
        .unwrap()
        .digest()
        .unwrap();
    let agreement = &internal(&statement)["agreement"];
    must(
        agreement[0]["plan"] == json!(honest),
        format!("the other worker's plan is not named: {agreement}"),
    )?;
    let differing = agreement[0]["differing"].to_string();
    for what in ["input: dependencies/x", "assumption: ", "backend"] {
        must(
            differing.contains(what),
            format!("2 agree, and nothing says that they differ in {what}: {differing}"),
        )?;
    }
    must(
        agreement[0]["differing"].as_array().map(Vec::len) == Some(3),
        format!("more is said to differ than does: {differing}"),
    )
}

fn log_lines(ground: &Ground) -> Result<(), String> {
    let mut office = Attestor::open(ground, &[]);
    let long = || "x".repeat(1100 << 10);
    let named = |what: &'static str, id: String| {
        attempt(what, "has a name of", move |_, record| record["id"] = json!(id))
    };
    office.refuses(vec![
        named("a long name", long()),
        named("a name just too long", "x".repeat(129)),
        named("a name with lines", "a\n{}\nb".into()),
        named("a name with colours", "\u{1b}[31ma".into()),
        named("a name from right to left", "a\u{202e}b".into()),
        named("no name", String::new()),
        attempt("a long subject", "too long", move |plan, record| {
            plan["subject"] = json!(long());
            record["subject"] = plan["subject"].clone();
        }),
        attempt("a long backend", "too long", move |_, record| {
            record["backend"] = json!("x".repeat(1100 << 10));
        }),
        attempt("a long limit", "was not isolated", move |_, record| {
            record["not_enforced"] = json!(["x".repeat(1100 << 10)]);
        }),
        attempt("a long name of an output", "too long", move |_, record| {
            record["outputs"][0]["name"] = json!("x".repeat(1100 << 10));
        }),
        attempt("a long step", "and the most is", move |plan, _| {
            plan["build"]["steps"][0]["name"] = json!("x".repeat(1100 << 10));
        }),
        attempt("a long verdict", "", move |_, record| {
            record["verdict"] = json!("inconclusive");
            record["stage"] = json!("x".repeat(1100 << 10));
            record["reason"] = json!("x");
        }),
    ])?;
    office.works("after")?;
    office.stop();
    office.start(&[])?;
    office.works("after-restart")?;
    let mut command = ground.rebuilder();
    let verified = command
        .args(["log", "verify"])
        .arg(office.log())
        .output()
        .unwrap();
    must(
        verified.status.success(),
        format!("the log is broken: {}", text(&verified)),
    )?;
    let log = fs::read_to_string(office.log()).unwrap();
    let longest = log.lines().map(str::len).max().unwrap_or(0);
    must(longest < 256 << 10, format!("a line of {longest} bytes"))?;
    must(!log.contains('\u{1b}'), "a control character in the log")
}

fn too_much(ground: &Ground) -> Result<(), String> {
    let office = Attestor::open(ground, &[]);
    let begun = Instant::now();
    office.refuses(vec![
        attempt(
            "attempts without end",
            "attempts, and the most is",
            |_, record| {
                let one = json!({"number": 1, "ended": "x", "places": 0, "seconds": 1.0, "chosen": true});
                record["attempts"] = json!(vec![one; 2_000]);
            },
        ),
        attempt("outputs without end", "outputs, and the most is", |_, record| {
            record["outputs"] = json!(vec![record["outputs"][0].clone(); 5_000]);
        }),
        attempt("patterns without end", "patterns, and the most is", |plan, _| {
            plan["not_compared"] = json!(vec!["*"; 10_000]);
        }),
        attempt(
            "assumptions without end",
            "assumptions, and the most is",
            |plan, _| {
                plan["assumptions"] = json!(vec![plan["assumptions"][0].clone(); 2_000]);
            },
        ),
        attempt("inputs without end", "inputs, and the most is", |plan, _| {
            plan["inputs"] = json!(vec![input("dependency", "dependencies/x"); 66_000]);
        }),
        attempt("a long assumption", "and the most is", |plan, _| {
            plan["assumptions"][0]["value"] = json!("x".repeat(2 << 20));
        }),
        attempt(
            "control characters in an assumption",
            "control characters",
            |plan, _| {
                plan["assumptions"][0]["value"] = json!("\u{1b}]0;x\u{7}");
            },
        ),
        attempt("a host name with lines", "not a host name", |plan, _| {
            plan["hostname"] = json!("a\nb");
        }),
        attempt("limits beyond any machine", "its limit of", |plan, _| {
            plan["limits"]["memory"] = json!(u64::MAX);
        }),
    ])?;
    let run = office.run("nested", 0, |_, _| {});
    fs::write(run.join("record.json"), "[".repeat(8 << 20)).unwrap();
    own(&run, office.uid(0));
    must(office.ask(&run, 0).is_err(), "a record of brackets is signed")?;
    must(
        begun.elapsed() < Duration::from_secs(60),
        "the signer was busy for a minute",
    )?;
    office.works("after").map(|_| ())
}

/// What becomes of a run's files, and what the refusal must say.
type FileTry<'a> = (&'a str, &'a str, Box<dyn Fn(&Path) + 'a>);

fn files(ground: &Ground) -> Result<(), String> {
    let office = Attestor::open(ground, &[]);
    let sparse = |path: PathBuf, size: u64| {
        fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .and_then(|file| file.set_len(size))
            .unwrap();
    };
    let fifo = |path: &Path| {
        let _ = fs::remove_file(path);
        nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    };
    let tries: Vec<FileTry<'_>> = vec![
        (
            "a sparse output",
            "",
            Box::new(|run| sparse(run.join("rebuilt/hello"), 4 << 30)),
        ),
        (
            "a sparse log",
            "more than",
            Box::new(|run| sparse(run.join("build.log"), 4 << 30)),
        ),
        (
            "a sparse record",
            "more than",
            Box::new(|run| sparse(run.join("record.json"), 1 << 40)),
        ),
        (
            "a sparse document",
            "more than",
            Box::new(|run| {
                sparse(run.join("documents").join("0".repeat(64)), 1 << 40);
            }),
        ),
        (
            "a pipe for a record",
            "it is no regular file",
            Box::new(|run| fifo(&run.join("record.json"))),
        ),
        (
            "a pipe for an output",
            "it is no regular file",
            Box::new(|run| fifo(&run.join("rebuilt/hello"))),
        ),
        (
            "a pipe for a document",
            "it is no regular file",
            Box::new(|run| {
                fifo(&run.join("documents").join("0".repeat(64)));
            }),
        ),
        (
            "a link for the outputs",
            "cannot take",
            Box::new(|run| {
                fs::rename(run.join("rebuilt"), run.join("elsewhere")).unwrap();
                symlink("elsewhere", run.join("rebuilt")).unwrap();
            }),
        ),
        (
            "a link to what only the signer can read",
            "cannot take",
            Box::new(|run| {
                fs::remove_file(run.join("plan.json")).unwrap();
                symlink(ground.folder().join("keys/key.pem"), run.join("plan.json")).unwrap();
            }),
        ),
        (
            "documents without end",
            "entries",
            Box::new(|run| {
                for number in 0..3000 {
                    fs::write(run.join(format!("documents/{number}")), "").unwrap();
                }
            }),
        ),
        (
            "too many documents",
            "documents",
            Box::new(|run| {
                for number in 0..100 {
                    let digest = Sha256::of(number.to_string()).to_hex();
                    fs::write(run.join("documents").join(digest), "").unwrap();
                }
            }),
        ),
    ];
    let begun = Instant::now();
    let mut gained = Vec::new();
    for (number, (what, expected, change)) in tries.iter().enumerate() {
        let run = office.run(&format!("files-{number}"), 0, |_, _| {});
        change(&run);
        own(&run, office.uid(0));
        match office.ask(&run, 0) {
            Ok(_) => gained.push(format!("{what}: signed")),
            Err(refusal) if !refusal.contains(expected) => gained.push(format!("{what}: {refusal}")),
            Err(_) => {}
        }
    }
    must(gained.is_empty(), gained.join("; "))?;
    must(
        begun.elapsed() < Duration::from_secs(30),
        "the signer read for half a minute",
    )?;
    office.works("after").map(|_| ())
}

fn handles(ground: &Ground) -> Result<(), String> {
    let mut office = Attestor::closed(ground);
    // So few that the worker alone could use them up.
    let signer = office.signer(&[]);
    let mut few = Command::new("prlimit");
    few.args(["--nofile=40:40", "--"]).arg(signer.get_program());
    few.args(signer.get_args()).env_clear().current_dir("/");
    for (name, value) in signer.get_envs() {
        if let Some(value) = value {
            few.env(name, value);
        }
    }
    office.start_by(few)?;
    // The tests' own user is a worker where it is not root, and an owner of the socket where it is.
    let mut held = Vec::new();
    for _ in 0..300 {
        match UnixStream::connect(office.socket()) {
            Ok(stream) => held.push(stream),
            Err(_) => break,
        }
    }
    std::thread::sleep(Duration::from_millis(500));
    must(
        office.lives(),
        format!("{} silent connections end it", held.len()),
    )?;
    drop(held);
    std::thread::sleep(Duration::from_millis(300));
    office.works("after").map(|_| ())
}

fn strangers(ground: &Ground) -> Result<(), String> {
    let mut office = Attestor::open(ground, &[]);
    let others = |path: &Path, bits: u32| fs::metadata(path).unwrap().permissions().mode() & bits;
    must(
        others(&office.socket(), 0o007) == 0,
        "everyone may open the socket",
    )?;
    must(
        others(&office.log(), 0o077) == 0,
        "others may hold the log's lock",
    )?;
    let lock = office.socket().with_extension("lock");
    must(others(&lock, 0o077) == 0, "others may hold the socket's lock")?;
    if ground.who == Who::User {
        return Ok(());
    }
    // Even where the socket is open to all, as behind a group that is too wide.
    fs::set_permissions(office.socket(), fs::Permissions::from_mode(0o666)).unwrap();
    let script = "import socket, sys, time\nall = []\nfor i in range(1500):\n    s = socket.socket(socket.AF_UNIX)\n    s.setblocking(False)\n    try:\n        s.connect(sys.argv[1])\n    except OSError:\n        pass\n    all.append(s)\n    time.sleep(0.0005)\nprint('held', flush=True)\ntime.sleep(60)\n";
    let mut flood = Command::new("prlimit")
        .args(["--nofile=4000", "--", "python3", "-c", script])
        .arg(office.socket())
        .uid(STRANGER)
        .gid(STRANGER)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(flood.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let begun = Instant::now();
    let worked = office.works("meanwhile");
    let took = begun.elapsed();
    let _ = flood.kill();
    let _ = flood.wait();
    must(office.lives(), "1,500 silent connections of a stranger end it")?;
    worked?;
    must(
        took < Duration::from_secs(10),
        format!("a worker waited for {took:?}"),
    )?;
    let log = fs::read_to_string(office.log()).unwrap();
    must(
        log.matches("is no worker").count() <= 1,
        "a stranger fills the log",
    )
}

fn hanging_key(ground: &Ground) -> Result<(), String> {
    if ground.who == Who::User {
        return Ok(());
    }
    let mut office = Attestor::closed(ground);
    let mut command = ground.rebuilder();
    let public = command
        .args(["key", "public", "--key"])
        .arg(ground.folder().join("keys/key.pem"))
        .output()
        .unwrap();
    let public = ground.write("public.pem", &public.stdout);
    let begun = ground.folder().join("begun");
    let script = format!(
        "#!/bin/sh\nif [ \"$1\" = public ]; then cat {}; else touch {}; sleep 40 & wait; fi\n",
        public.display(),
        begun.display()
    );
    let program = ground.write("kms", script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let key = format!("command:{}", program.display());
    office.start(&["--key", &key])?;
    // A worker asks for a signature, and the key does not answer.
    let slow = office.run("slow", 0, |_, _| {});
    let mut stream = UnixStream::connect(office.socket()).map_err(|error| error.to_string())?;
    stream.shutdown(Shutdown::Write).unwrap();
    let _ = stream.read(&mut [0; 1]);
    let mut client = Command::new(program_of(ground));
    client
        .uid(WORKERS[0])
        .gid(WORKERS[0])
        .env_clear()
        .arg("attest")
        .arg(&slow);
    let mut client = client
        .arg("--signer")
        .arg(office.socket())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while !begun.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
    // Another one is answered meanwhile, and the log takes its line.
    let other = office.run("other", 1, |_, record| record["backend"] = json!("chroot"));
    let asked = Instant::now();
    let answer = office.ask(&other, 1);
    let took = asked.elapsed();
    let _ = client.kill();
    let _ = client.wait();
    office.stop();
    must(begun.exists(), "nothing: the key was never asked")?;
    must(
        matches!(&answer, Err(refusal) if refusal.contains("nobody here vouches for")),
        format!("another answer: {answer:?}"),
    )?;
    must(
        took < Duration::from_secs(10),
        format!("the other worker waited for {took:?}"),
    )
}

fn restart(ground: &Ground) -> Result<(), String> {
    let mut office = Attestor::open(ground, &[]);
    let statement = office.works("before")?;
    let bundle = ground.folder().join("runs/before/attestation.sigstore.json");
    // A crash in the middle of a line, and in the middle of a copy.
    office.stop();
    let whole = fs::read(office.log()).unwrap();
    let torn = [
        &b"{\"event\":\"sig"[..],
        b"\0\0\0\0",
        b"{",
        &vec![b'x'; 300 << 10],
    ];
    let scratch = ground.store().join("tmp/signing-left");
    fs::create_dir_all(&scratch).unwrap();
    fs::write(scratch.join("lock"), "").unwrap();
    fs::write(scratch.join("copy"), "large").unwrap();
    office.give(&scratch);
    for (number, rest) in torn.iter().enumerate() {
        let mut bytes = whole.clone();
        bytes.extend_from_slice(rest);
        fs::write(office.log(), bytes).unwrap();
        office.give(&office.log());
        office
            .start(&[])
            .map_err(|told| format!("half a line bars the start: {told}"))?;
        office.works(&format!("after-{number}"))?;
        office.stop();
        let mut command = ground.rebuilder();
        command.args(["log", "verify"]).arg(office.log());
        let verified = command.arg("--attestation").arg(&bundle).output().unwrap();
        must(
            verified.status.success(),
            format!("the chain is broken: {}", text(&verified)),
        )?;
        let log = fs::read_to_string(office.log()).unwrap();
        must(
            log.contains("\"event\":\"recovered\""),
            "what was cut off is nowhere written down",
        )?;
    }
    must(!scratch.exists(), "copies of a crashed signer stay on the disk")?;
    must(statement["subject"].is_array(), "nothing was signed")
}

fn process(ground: &Ground) -> Result<(), String> {
    let office = Attestor::open(ground, &[]);
    let child = office.child.as_ref().map_or(0, Child::id);
    // Behind setpriv it is the same process.
    let limits = fs::read_to_string(format!("/proc/{child}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    must(
        core.split_whitespace().filter(|word| *word == "0").count() == 2,
        format!("core files of a process with a key: {core}"),
    )?;
    // What cannot be dumped has its files in /proc owned by root, whoever runs it.
    let owner = fs::metadata(format!("/proc/{child}/mem")).unwrap().uid();
    must(owner == 0, "the process with the key can be looked into")?;
    if ground.who == Who::User {
        let mut look = ground.command("cat");
        let seen = look.arg(format!("/proc/{child}/environ")).output().unwrap();
        must(!seen.status.success(), "its environment can be read")?;
    }
    Ok(())
}

fn keys(ground: &Ground) -> Result<(), String> {
    let place = |name: &str| ground.folder().join(name);
    let program = program_of(ground);
    let masked = |mask: &str, to: &Path| {
        let mut command = ground.command("sh");
        command.env("XDG_CONFIG_HOME", place("config"));
        command.args([
            "-c",
            "umask \"$1\"; exec \"$2\" key generate --to \"$3\"",
            "sh",
            mask,
        ]);
        command.arg(&program).arg(to).output().unwrap()
    };
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for mask in ["000", "077", "027"] {
        let key = place(&format!("new-{mask}/below/key.pem"));
        let output = masked(mask, &key);
        must(output.status.success(), text(&output))?;
        let public = PathBuf::from(format!("{}.pub", key.display()));
        for (path, expected) in [
            (key.as_path(), 0o600),
            (public.as_path(), 0o644),
            (key.parent().unwrap(), 0o700),
            (key.parent().unwrap().parent().unwrap(), 0o700),
        ] {
            let found = mode(path);
            must(
                found == expected,
                format!("umask {mask}: {} has the mode {found:o}", path.display()),
            )?;
        }
    }
    let show = |key: &Path| {
        let mut command = ground.rebuilder();
        command
            .args(["key", "public", "--key"])
            .arg(key)
            .output()
            .unwrap()
    };
    let key = place("new-000/below/key.pem");
    must(show(&key).status.success(), "a good key is refused")?;
    for bits in [0o640, 0o604, 0o660, 0o620] {
        fs::set_permissions(&key, fs::Permissions::from_mode(bits)).unwrap();
        must(
            text(&show(&key)).contains("chmod 600"),
            format!("a key with the mode {bits:o} is taken"),
        )?;
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let folder = key.parent().unwrap();
    for bits in [0o777, 0o1777, 0o703] {
        fs::set_permissions(folder, fs::Permissions::from_mode(bits)).unwrap();
        must(
            text(&show(&key)).contains("everyone may write into it"),
            format!("a key in a folder with the mode {bits:o} is taken"),
        )?;
        let link = place("link.pem");
        let _ = fs::remove_file(&link);
        symlink(&key, &link).unwrap();
        must(
            text(&show(&link)).contains("everyone may write into it"),
            "a link hides an open folder",
        )?;
        must(
            !masked("077", &folder.join("another.pem")).status.success(),
            "a key is made in an open folder",
        )?;
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
    // The tests are root's, so a key can be given away.
    chown(&key, Some(STRANGER), Some(STRANGER)).unwrap();
    let output = show(&key);
    must(!output.status.success(), "another user's key is taken")?;
    if ground.who == Who::Root {
        must(
            text(&output).contains("belongs to the user"),
            format!("another reason: {}", text(&output)),
        )?;
    }
    // A link where the public half goes is replaced, and what it leads to stays.
    let victim = ground.write("victim", "precious");
    let fresh = place("new-077/below/second.pem");
    symlink(&victim, PathBuf::from(format!("{}.pub", fresh.display()))).unwrap();
    let output = masked("022", &fresh);
    must(
        fs::read_to_string(&victim).unwrap() == "precious",
        format!("a file overwritten through a link: {}", text(&output)),
    )
}

fn pins(ground: &Ground) -> Result<(), String> {
    for key in [
        "pkcs11:object=a?module-path=/m.so&pin-value=86420",
        "PKCS11:object=a?module-path=/m.so&pin-value=86420",
        "pkcs11:object=a?module-path=/m.so&Pin-Value=86420",
        "pkcs11:object=a;pin-value=86420?module-path=/m.so",
        "pkcs11:object=a?module-path=/m.so&pin%2dvalue=86420",
        "pkcs11:object=a?module-path=/m.so&pin-source=86420",
        "pkcs11:object=a?module-path=/m.so&pin-value:86420",
        "pkcs11:object=a?pin-value=86420",
    ] {
        for by_environment in [false, true] {
            let mut command = ground.rebuilder();
            command.args(["key", "public"]);
            if by_environment {
                command.env("REBUILDER_KEY", key);
            } else {
                command.args(["--key", key]);
            }
            let output = command.output().unwrap();
            must(!output.status.success(), format!("{key} is taken"))?;
            must(
                !text(&output).contains("86420"),
                format!("a PIN is printed: {}", text(&output)),
            )?;
        }
        let mut command = ground.rebuilder();
        let help = command
            .env("REBUILDER_KEY", key)
            .args(["key", "public", "--help"]);
        must(
            !text(&help.output().unwrap()).contains("86420"),
            "a PIN is printed with the help",
        )?;
    }
    Ok(())
}

fn own_provenance(ground: &Ground) -> Result<(), String> {
    let mut office = Attestor::open(ground, &[]);
    office.works("honest")?;
    let genuine: Value = serde_json::from_str(&office.bundle).unwrap();
    let payload = genuine["dsseEnvelope"]["payload"].as_str().unwrap();
    let payload = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
    let genuine: Value = serde_json::from_slice(&payload).unwrap();
    let person = |issuer: &str| Signer {
        identity: "mailto:mallory@evil.example".into(),
        issuer: issuer.into(),
        repository: String::new(),
        commit: String::new(),
        reference: String::new(),
        expired: false,
    };
    let with = |builder: &str| {
        let mut statement = genuine.clone();
        statement["predicate"]["runDetails"]["builder"]["id"] = json!(builder);
        statement
    };
    let publish = |kind: &str, predicate: Value| {
        let mut statement = genuine.clone();
        statement["predicateType"] = json!(kind);
        statement["predicate"] = predicate;
        statement
    };
    let workflow = Signer::workflow("https://github.com/mallory/hello", &"a".repeat(40));
    let npm = json!({"registry": "https://registry.npmjs.org", "name": "hello", "version": "1"});
    let tries = [
        (
            with("https://ci.mallory.example/"),
            person("https://accounts.google.com"),
        ),
        (
            with("https://ci.mallory.example/"),
            person("https://github.com/login/oauth"),
        ),
        // In the name of a project that is not the signer's.
        (genuine.clone(), workflow.clone()),
        (
            publish("https://docs.pypi.org/attestations/publish/v1", Value::Null),
            person("https://accounts.google.com"),
        ),
        (
            publish("https://in-toto.io/attestation/release/v0.1", json!({})),
            workflow.clone(),
        ),
        (
            publish(
                "https://github.com/npm/attestation/tree/main/specs/publish/v0.1",
                npm,
            ),
            workflow,
        ),
    ];
    for (number, (statement, signer)) in tries.into_iter().enumerate() {
        office.bundle = office.authority.sign(&statement, &signer).to_string();
        let run = office.run(&format!("own-{number}"), 0, |_, _| {});
        must(
            office.ask(&run, 0).is_err(),
            format!("{} of {} was taken", statement["predicateType"], signer.identity),
        )?;
    }
    Ok(())
}
