//! Workers and local users at the signer: what a worker says of a run, how much of it, and what anyone can do to the
//! service, its log and its key.
//!
//! The runs are forged, as a worker under an attacker's control would forge them: no build takes part, every digest fits,
//! and the provenance is genuine. So nothing but the signer's own questions stands in the way.

mod claims;
mod load;
mod second;
mod service;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::common::authority::{Authority, Signer, provenance};
use crate::common::{git, text};
use base64::Engine as _;
use rebuilder::artifact::Sha256;
use rebuilder::plan::Plan;
use serde_json::{Value, json};

use super::Case;
use super::ground::{Ground, Who, must};

pub const CASES: &[Case] = &[
    case("have its own words signed as the signer's", claims::own_words),
    case(
        "set variables by which something runs that no step names",
        claims::variables,
    ),
    case(
        "build another source than the provenance names",
        claims::other_sources,
    ),
    case("build in a container of its own", claims::other_containers),
    case("change, repeat or leave out steps", claims::other_steps),
    case(
        "have made-up inputs signed as if anyone named them",
        claims::made_up_inputs,
    ),
    case("leave what it likes out of the comparison", claims::left_out),
    case("date a run as it likes", claims::other_dates),
    case("rename what was released", claims::other_names),
    case(
        "hide its plan behind another worker's agreement",
        second::second_worker,
    ),
    case("write more into the log than its reader takes", load::log_lines),
    case("hand in more than anyone should read", load::too_much),
    case("fill the signer's disk or keep it reading", load::files),
    case("use up the signer's handles", load::handles),
    case("keep the others out", load::strangers),
    case("let other workers wait for a key that hangs", load::hanging_key),
    case("keep the signer from starting again", service::restart),
    case("look into the process that holds the key", service::process),
    case("bring in a key of its own, or read one", service::keys),
    case("read a PIN in a message", service::pins),
    case(
        "bring in provenance that it signed itself, under a name that nobody trusts",
        service::own_provenance,
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
struct Office<'a> {
    ground: &'a Ground,
    plan: Value,
    bundle: String,
    authority: Authority,
    workers: Vec<u32>,
    child: Option<Child>,
}

impl Drop for Office<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<'a> Office<'a> {
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
        office.plan = crate::common::json(&output);
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

fn input(role: &str, place: &str) -> Value {
    json!({
        "role": role, "place": place, "purl": "pkg:generic/SPOOFED",
        "file": {"name": "SPOOFED", "urls": ["https://example.org/SPOOFED"], "sha256": "e".repeat(64), "size": 1}
    })
}
