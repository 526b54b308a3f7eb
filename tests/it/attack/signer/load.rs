//! How much a worker hands in, and whom that keeps waiting.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::Shutdown;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::attack::ground::{Ground, Who, must};
use crate::common::text;
use rebuilder::artifact::Sha256;
use serde_json::json;

use super::{Office, STRANGER, WORKERS, attempt, input, own, program_of};

pub(super) fn log_lines(ground: &Ground) -> Result<(), String> {
    let mut office = Office::open(ground, &[]);
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
        attempt("a long step", "but the maximum is", move |plan, _| {
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

pub(super) fn too_much(ground: &Ground) -> Result<(), String> {
    let office = Office::open(ground, &[]);
    let begun = Instant::now();
    office.refuses(vec![
        attempt(
            "attempts without end",
            "attempts, but the maximum is",
            |_, record| {
                let one = json!({"number": 1, "ended": "x", "places": 0, "seconds": 1.0, "chosen": true});
                record["attempts"] = json!(vec![one; 2_000]);
            },
        ),
        attempt(
            "outputs without end",
            "outputs, but the maximum is",
            |_, record| {
                record["outputs"] = json!(vec![record["outputs"][0].clone(); 5_000]);
            },
        ),
        attempt(
            "patterns without end",
            "patterns, but the maximum is",
            |plan, _| {
                plan["not_compared"] = json!(vec!["*"; 10_000]);
            },
        ),
        attempt(
            "assumptions without end",
            "assumptions, but the maximum is",
            |plan, _| {
                plan["assumptions"] = json!(vec![plan["assumptions"][0].clone(); 2_000]);
            },
        ),
        attempt("inputs without end", "inputs, but the maximum is", |plan, _| {
            plan["inputs"] = json!(vec![input("dependency", "dependencies/x"); 66_000]);
        }),
        attempt("a long assumption", "but the maximum is", |plan, _| {
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
        begun.elapsed() < Duration::from_mins(1),
        "the signer was busy for a minute",
    )?;
    office.works("after").map(|_| ())
}

/// What becomes of a run's files, and what the refusal must say.
type FileTry<'a> = (&'a str, &'a str, Box<dyn Fn(&Path) + 'a>);

// Long, as it is one table.
pub(super) fn files(ground: &Ground) -> Result<(), String> {
    let office = Office::open(ground, &[]);
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
            "it is not a regular file",
            Box::new(|run| fifo(&run.join("record.json"))),
        ),
        (
            "a pipe for an output",
            "it is not a regular file",
            Box::new(|run| fifo(&run.join("rebuilt/hello"))),
        ),
        (
            "a pipe for a document",
            "it is not a regular file",
            Box::new(|run| {
                fifo(&run.join("documents").join("0".repeat(64)));
            }),
        ),
        (
            "a link for the outputs",
            "cannot accept",
            Box::new(|run| {
                fs::rename(run.join("rebuilt"), run.join("elsewhere")).unwrap();
                symlink("elsewhere", run.join("rebuilt")).unwrap();
            }),
        ),
        (
            "a link to what only the signer can read",
            "cannot accept",
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

pub(super) fn handles(ground: &Ground) -> Result<(), String> {
    let mut office = Office::closed(ground);
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

pub(super) fn strangers(ground: &Ground) -> Result<(), String> {
    let mut office = Office::open(ground, &[]);
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
        log.matches("is not an authorised worker").count() <= 1,
        "a stranger fills the log",
    )
}

pub(super) fn hanging_key(ground: &Ground) -> Result<(), String> {
    if ground.who == Who::User {
        return Ok(());
    }
    let mut office = Office::closed(ground);
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
        matches!(&answer, Err(refusal) if refusal.contains("this signer does not accept")),
        format!("another answer: {answer:?}"),
    )?;
    must(
        took < Duration::from_secs(10),
        format!("the other worker waited for {took:?}"),
    )
}
