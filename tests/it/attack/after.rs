//! What a build leaves for the time after its end: logs, outputs and answers that cost more than they should, and
//! what it was told so that it could answer rightly. Also what a run leaves that was ended from outside.

mod leftovers;

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Case;
use super::ground::{Ground, must};
use crate::common::{self, code, text};
use leftovers::{leftovers, part_of_a_failed_run};

pub const CASES: &[Case] = &[
    Case {
        name: "keep the program busy with a log full of credentials",
        builds: true,
        run: busy_with_a_log,
    },
    Case {
        name: "hold up Ctrl-C with its log",
        builds: true,
        run: ctrl_c_while_a_log_is_searched,
    },
    Case {
        name: "hold up SIGTERM with archives that unpack to much more",
        builds: true,
        run: sigterm_while_outputs_are_searched,
    },
    Case {
        name: "get a credential into the log where pieces of it meet",
        builds: true,
        run: credential_in_one_long_line,
    },
    Case {
        name: "fill the record with credentials",
        builds: true,
        run: many_credentials,
    },
    Case {
        name: "answer a planner with more than it can hold",
        builds: false,
        run: huge_answer,
    },
    Case {
        name: "leave much in the folder of outputs while dependencies are installed",
        builds: false,
        run: outputs_of_the_setup,
    },
    Case {
        name: "have a document of any size read whole",
        builds: false,
        run: huge_documents,
    },
    Case {
        name: "bring the answer as an input of the build",
        builds: false,
        run: answer_as_an_input,
    },
    Case {
        name: "learn what the released files hold",
        builds: true,
        run: digests_in_the_build,
    },
    Case {
        name: "tell by a name that it is judged",
        builds: true,
        run: names_in_the_build,
    },
    Case {
        name: "have what a killed run left lie beside its folder",
        builds: false,
        run: leftovers,
    },
    Case {
        name: "leave a part of a run that failed",
        builds: true,
        run: part_of_a_failed_run,
    },
];

/// A plan whose build is replaced.
fn plan() -> Value {
    static PLAN: OnceLock<Value> = OnceLock::new();
    PLAN.get_or_init(|| common::plan("pypi:idna==3.10")).clone()
}

const WHEEL: &str = "idna-3.10-py3-none-any.whl";

/// Built at run time, so that nobody finds it here.
fn token(number: usize) -> String {
    format!("ghp_x9Kq2LmZ7pRtVb4NwYs8DfGh1JcAe3T{number:05}")
}

fn record(ground: &Ground) -> Result<Value, String> {
    let bytes = fs::read(ground.folder().join("run/record.json")).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

fn busy_with_a_log(ground: &Ground) -> Result<(), String> {
    let begun = Instant::now();
    let script = "yes 'password = \"AKIAIOSFODNN7EXAMPLEKEY123\" secret token api_key: \
                  8f14e45fceea167a5a36dedd4bea2543' | head -c 300000\n\
                  yes key_token_secret | tr -d '\\n' | head -c 300000\nhead -c 300000 /dev/urandom\nexit 1";
    let output = ground.rebuild(&plan(), script);
    let took = begun.elapsed();
    must(code(&output) == 4, text(&output))?;
    must(took < Duration::from_mins(1), format!("{took:?} for a megabyte"))?;
    let log = fs::read(ground.folder().join("run/build.log")).map_err(|error| error.to_string())?;
    let secret = b"8f14e45fceea167a5a36dedd4bea2543";
    must(
        !log.windows(secret.len()).any(|part| part == secret),
        "a credential is in the log",
    )
}

/// Starts a build and waits until it has ended and its outputs or its log are looked at.
fn started(ground: &Ground, script: &str) -> Child {
    let mut plan = plan();
    plan["build"]["steps"] =
        json!([{"name": "test", "run": format!("{script}\necho the build is at its end")}]);
    let file = ground.write("plan.json", plan.to_string());
    let mut command = ground.rebuilder();
    command
        .args(["rebuild", "--backend", ground.backend, "--plan"])
        .arg(&file);
    command.arg("--out").arg(ground.folder().join("run"));
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let mut child = command.spawn().unwrap();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_mins(2) && child.try_wait().unwrap().is_none() {
        let ended = pending(ground.folder()).into_iter().any(|run| {
            let log = fs::File::open(run.join("build.log"));
            log.is_ok_and(|mut log| ends_with(&mut log, b"the build is at its end\n"))
        });
        if ended {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    // Cleaning up after the build, and then to the work behind it.
    std::thread::sleep(Duration::from_millis(700));
    child
}

fn ends_with(file: &mut fs::File, end: &[u8]) -> bool {
    use std::io::{Read as _, Seek as _, SeekFrom};
    let size = i64::try_from(end.len()).unwrap();
    let mut last = Vec::new();
    file.seek(SeekFrom::End(-size)).is_ok() && file.read_to_end(&mut last).is_ok() && last == end
}

fn pending(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(".rebuilding-"));
    named.map(|entry| entry.path()).collect()
}

/// Ends it by a signal, which leaves nothing. It takes at most a second; more is allowed here, because other tests use
/// the processors too. What the signal interrupts would take far longer.
fn ends_by(
    ground: &Ground,
    mut child: Child,
    signal: nix::sys::signal::Signal,
    expected: i32,
) -> Result<(), String> {
    let process = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    if let Some(status) = child.try_wait().unwrap() {
        return Err(format!("it ended before the signal, with {status}"));
    }
    let begun = Instant::now();
    nix::sys::signal::kill(process, signal).map_err(|error| error.to_string())?;
    let status = child.wait().unwrap();
    let took = begun.elapsed();
    must(
        status.code() == Some(expected),
        format!("{status} instead of {expected}"),
    )?;
    must(took < Duration::from_secs(5), format!("{took:?} to end"))?;
    must(!ground.folder().join("run").exists(), "the run was kept")?;
    must(pending(ground.folder()).is_empty(), "a part of the run is left")
}

fn ctrl_c_while_a_log_is_searched(ground: &Ground) -> Result<(), String> {
    let script = "yes 'secret token api_key: 8f14e45fceea167a5a36dedd4bea2543' | head -c 30000000";
    let child = started(ground, script);
    ends_by(ground, child, nix::sys::signal::Signal::SIGINT, 130)
}

fn sigterm_while_outputs_are_searched(ground: &Ground) -> Result<(), String> {
    let script = format!(
        "cd /tmp; head -c 500000000 /dev/zero | gzip -1 > z.gz; tar cf - z.gz z.gz z.gz z.gz | gzip -1 > /out/{WHEEL}"
    );
    let child = started(ground, &script);
    ends_by(ground, child, nix::sys::signal::Signal::SIGTERM, 143)
}

fn credential_in_one_long_line(ground: &Ground) -> Result<(), String> {
    // At the places where a piece of a mebibyte ends, in one line without an end.
    let script = "half=x9Kq2LmZ7pRtVb4NwYs8DfGh1JcAe3T00007\n\
                  for back in 0 23 39 16384; do head -c $((1048576 - back)) /dev/zero | tr '\\0' '.'\n\
                  printf ' ghp_%s ' $half; done; exit 1";
    let output = ground.rebuild(&plan(), script);
    must(code(&output) == 4, text(&output))?;
    let log = fs::read(ground.folder().join("run/build.log")).map_err(|error| error.to_string())?;
    let part = &token(7)[4..];
    for length in [part.len(), 12] {
        let (head, tail) = (
            &part.as_bytes()[..length],
            &part.as_bytes()[part.len() - length..],
        );
        let there = |wanted: &[u8]| log.windows(wanted.len()).any(|part| part == wanted);
        must(
            !there(head) && !there(tail),
            "a credential, or a part of one, is in the log",
        )?;
    }
    let redacted = log.windows(10).filter(|part| part == b"[redacted:").count();
    must(
        redacted == 4 && log.len() > 4_000_000,
        format!("{redacted} redacted, {} bytes kept", log.len()),
    )
}

fn many_credentials(ground: &Ground) -> Result<(), String> {
    let script = "for n in $(seq 10000 12999); do echo ghp_x9Kq2LmZ7pRtVb4NwYs8DfGh1JcAe3T$n; done; exit 1";
    let output = ground.rebuild(&plan(), script);
    must(code(&output) == 4, text(&output))?;
    let record = record(ground)?;
    let found = record["credentials"].as_array().cloned().unwrap_or_default();
    must(
        (1..=10).contains(&found.len()),
        format!("{} findings", found.len()),
    )?;
    let more: u64 = found.iter().filter_map(|it| it["more"].as_u64()).sum();
    must(
        found.len() as u64 + more == 3000,
        format!("{more} more are counted"),
    )
}

fn huge_answer(ground: &Ground) -> Result<(), String> {
    let python = r#"
import hashlib, io, json, os, sys, tarfile, zipfile
top = sys.argv[1]
os.makedirs(top + "/files")
with tarfile.open(top + "/files/evil-1.0.tar.gz", "w:gz") as archive:
    for name, body in {
        "pyproject.toml": b'[build-system]\nrequires=["setuptools","wheel"]\nbuild-backend="setuptools.build_meta"\n',
        "setup.py": b'import atexit\natexit.register(lambda: open("/out/requires.json","wb").truncate(3<<30))\n'
                    b'from setuptools import setup\nsetup(name="evil",version="1.0")\n',
    }.items():
        entry = tarfile.TarInfo("evil-1.0/" + name)
        entry.size = len(body)
        archive.addfile(entry, io.BytesIO(body))
with zipfile.ZipFile(top + "/files/evil-1.0-py3-none-any.whl", "w") as wheel:
    wheel.writestr("evil-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: bdist_wheel (0.37.1)\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr("evil-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n")
    wheel.writestr("evil-1.0.dist-info/RECORD", "")
def told(name):
    body = open(top + "/files/" + name, "rb").read()
    return {"filename": name, "url": "https://files.pythonhosted.org/evil/" + name, "size": len(body), "yanked": False,
            "hashes": {"sha256": hashlib.sha256(body).hexdigest()}, "upload-time": "2024-01-01T00:00:00Z"}
page = {"name": "evil", "meta": {"api-version": "1.1"}, "files": [told(name) for name in sorted(os.listdir(top + "/files"))]}
json.dump(page, open(top + "/page", "w"))
"#;
    let top = ground.folder().join("index");
    let made = ground
        .command("python3")
        .args(["-c", python])
        .arg(&top)
        .output()
        .unwrap();
    must(made.status.success(), text(&made))?;
    let (page, files) = (top.join("page"), top.join("files"));
    let mut arguments: Vec<OsString> = ["plan", "pypi:evil==1.0", "--out"].map(OsString::from).into();
    arguments.push(ground.folder().join("plan.json").into());
    for mirror in [
        format!("https://pypi.org/simple/evil/=file://{}", page.display()),
        format!("https://files.pythonhosted.org/evil/=file://{}/", files.display()),
    ] {
        arguments.extend(["--mirror".into(), mirror.into()]);
    }
    let (output, largest) = measured(ground, &arguments);
    must(code(&output) != 0, "the plan was made")?;
    must(
        text(&output).contains("did not name its requirements"),
        text(&output),
    )?;
    must(largest < 2_500_000, format!("{largest} kB were held"))
}

/// Runs the program with these arguments, and says how many kB the largest of its processes held.
fn measured(ground: &Ground, arguments: &[OsString]) -> (Output, u64) {
    // Another process counts, since this one's children are those of every test.
    let python = "import resource, subprocess, sys\n\
                  code = subprocess.call(sys.argv[2:])\n\
                  open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))\n\
                  sys.exit(code)";
    let held = ground.folder().join("held");
    let mut outer = ground.command("python3");
    outer.args(["-c", python]).arg(&held);
    outer.arg(ground.program()).arg("--store").arg(ground.store());
    let output = outer.arg("--quiet").args(arguments).output().unwrap();
    (output, fs::read_to_string(&held).unwrap().parse().unwrap())
}

fn outputs_of_the_setup(ground: &Ground) -> Result<(), String> {
    let mut plan = plan();
    plan["setup"]["steps"] = json!([{"name": "test", "run": "truncate -s 300M /out/much"}]);
    let output = ground.rebuild(&plan, "exit 1");
    must(
        code(&output) == 4 && text(&output).contains("more than the bytes that are taken"),
        text(&output),
    )
}

fn huge_documents(ground: &Ground) -> Result<(), String> {
    let huge = ground.write("huge", "");
    fs::File::options()
        .write(true)
        .open(&huge)
        .unwrap()
        .set_len(3 << 30)
        .unwrap();
    for arguments in [
        &["rebuild", "--plan"][..],
        &["plan", "pypi:idna==3.10", "--policy"],
        &["plan", "pypi:idna==3.10", "--recipe"],
        &["plan", "pypi:idna==3.10", "--oss-rebuild"],
        &["audit", "run"],
    ] {
        let output = ground.rebuilder().args(arguments).arg(&huge).output().unwrap();
        must(
            code(&output) != 0 && text(&output).contains("larger than"),
            format!("{arguments:?}: {}", text(&output)),
        )?;
    }
    Ok(())
}

fn answer_as_an_input(ground: &Ground) -> Result<(), String> {
    let file = plan()["expected"][0]["file"].clone();
    for role in ["source", "dependency"] {
        let mut plan = plan();
        let input = json!({"role": role, "place": format!("{role}/innocent"), "file": file});
        plan["inputs"].as_array_mut().unwrap().push(input);
        let output = ground.rebuild(&plan, &format!("cp /inputs/source/innocent /out/{WHEEL}"));
        must(
            code(&output) == 3 && text(&output).contains("is the released"),
            format!("{role}: {}", text(&output)),
        )?;
    }
    Ok(())
}

fn digests_in_the_build(ground: &Ground) -> Result<(), String> {
    let script =
        format!("cat /inputs/recipe/* > /out/{WHEEL}; env >> /out/{WHEEL}; find /inputs >> /out/{WHEEL}");
    let output = ground.rebuild(&plan(), &script);
    must(code(&output) == 1, text(&output))?;
    let told = fs::read_to_string(ground.folder().join("run/rebuilt").join(WHEEL)).unwrap();
    must(
        told.contains("idna/core.py"),
        "the build was told nothing, so this shows nothing",
    )?;
    let mut words = told.split(|c: char| !c.is_ascii_alphanumeric());
    let digest = words.find(|word| word.len() >= 40 && word.bytes().all(|byte| byte.is_ascii_hexdigit()));
    must(digest.is_none(), format!("the build was told {digest:?}"))?;
    // As a key of JSON: scripts speak of sizes too.
    must(
        !told.contains("sha256") && !told.contains("size\":"),
        "digests or sizes were told",
    )
}

fn names_in_the_build(ground: &Ground) -> Result<(), String> {
    let script = format!(
        "(env; cat /proc/sys/kernel/hostname /etc/hostname /etc/hosts /etc/passwd; id; pwd; ls /inputs /) > /out/{WHEEL} 2>&1 || true"
    );
    let output = ground.rebuild(&plan(), &script);
    must(code(&output) == 1, text(&output))?;
    let told = fs::read_to_string(ground.folder().join("run/rebuilt").join(WHEEL)).unwrap();
    let found = told.lines().find(|line| line.to_lowercase().contains("rebuild"));
    must(found.is_none(), format!("{found:?}"))
}
