//! Text from outside, at everything that a person looks at: no control, no bidirectional control and nothing invisible
//! may get through raw, and no line may be forged. Each case first sees to it that the text is there at all.

mod comparison;
mod evidence;
mod remote;
mod run;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::common;
use serde_json::{Value, json};

use super::Case;
use super::ground::{Ground, must};

/// What the attacker writes wherever text can stand: codes of a terminal (C0 and C1), a direction that is turned
/// round, blanks that are none, tags, fillers, a pile of marks, and a line that looks like ours.
const EVIL: &str = "\u{338}SEEN\u{1b}]0;title\u{7}\u{1b}[31m\u{1b}[2K\u{9b}32m\u{9d}52;c;eA==\u{9c}\u{85}\u{7f}\u{8}\u{b}\
    \u{202e}gpj\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}\u{200b}\u{200d}\u{2060}\u{feff}\u{ad}\u{34f}\u{115f}\u{3164}\
    \u{17b4}\u{180e}\u{2028}\u{2029}\u{fe0f}\u{e0041}\u{fff9}\u{fdd0}\u{2800}\u{a0}\u{301}\u{301}\u{301}\u{301}\u{301}\
    \r\nFORGED: reproduced\r\nerror: FORGED";

/// The same, as far as it can be a name in a folder.
fn evil_name() -> String {
    EVIL.chars().take(60).collect::<String>() + "\nFORGED: reproduced"
}

pub const CASES: &[Case] = &[
    case(
        "steer a terminal by the names of archive members",
        comparison::members,
    ),
    case(
        "steer a terminal by the lines of a file that differs",
        comparison::excerpts,
    ),
    case("hide text in a page of HTML about two archives", comparison::html),
    case("forge markup in a markdown report", comparison::markdown),
    case("hide text in SARIF, or put a link into it", comparison::sarif),
    case(
        "steer a terminal by JSON that is printed",
        comparison::json_on_stdout,
    ),
    case(
        "steer a terminal by names of files on the command line",
        comparison::arguments,
    ),
    case("steer a terminal by what provenance says", evidence::provenance),
    case(
        "hide text in the page of an inspection",
        evidence::inspection_page,
    ),
    case(
        "steer a terminal by a folder of attestations",
        evidence::attestations,
    ),
    case("steer a terminal by a container's definition", definition),
    case("steer a terminal by a key's entry in the inventory", inventory),
    case(
        "steer a terminal, or hide text in a page, by what a batch met",
        batch,
    ),
    case("steer a terminal by a policy", evidence::policy),
    case("steer a terminal by a plan", plan),
    case("steer a terminal by a registry's answers", remote::registry),
    case("steer a terminal by a git server's refusal", remote::git),
    case("steer a terminal by a Docker engine's errors", remote::engine),
    case("steer a terminal by the log of a signer", signer_log),
    building(
        "steer a terminal by the log of a command in a container",
        run::log,
    ),
    building("steer a terminal by the live line of a build", run::live_line),
    building(
        "steer a terminal by the names of what a build leaves",
        run::outputs,
    ),
    building("steer a terminal by an evidence bundle", run::bundle),
];

const fn case(name: &'static str, run: fn(&Ground) -> Result<(), String>) -> Case {
    Case {
        name,
        builds: false,
        run,
    }
}

const fn building(name: &'static str, run: fn(&Ground) -> Result<(), String>) -> Case {
    Case {
        name,
        builds: true,
        run,
    }
}

/// The first character that a person would not see, or would see the effect of; said without the product's table.
fn raw(text: &str) -> Option<char> {
    text.chars().find(|c| {
        let code = u32::from(*c);
        (c.is_control() && *c != '\n')
            || (c.is_whitespace() && !matches!(c, ' ' | '\n'))
            || matches!(code, 0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
                | 0x2028..=0x202f | 0x2060..=0x206f | 0x2800 | 0x3164 | 0xfdd0..=0xfdef | 0xfe00..=0xfe0f | 0xfeff
                | 0xffa0 | 0xfff0..=0xfffb | 0xe0000..=0xe0fff)
    })
}

/// That the text got to the sink, and nothing of it has an effect there.
fn shown(sink: &str, bytes: &[u8]) -> Result<(), String> {
    let text = std::str::from_utf8(bytes).map_err(|error| format!("{sink}: {error}"))?;
    must(
        text.contains("SEEN"),
        format!("(nothing was shown) {sink}: {text}"),
    )?;
    if let Some(c) = raw(text) {
        return Err(format!("{sink}: U+{:04X} raw in {text:?}", u32::from(c)));
    }
    let begins = |line: &&str| {
        ["FORGED", "error: FORGED"]
            .iter()
            .any(|word| line.starts_with(word))
    };
    let forged = text.lines().find(begins);
    must(forged.is_none(), format!("{sink}: a line of its own: {forged:?}"))?;
    let piled = text.contains("\u{301}\u{301}\u{301}\u{301}\u{301}");
    must(!piled, format!("{sink}: marks that cover other lines"))
}

/// Both streams of a command that ended, in whatever way.
fn both(sink: &str, output: &Output) -> Result<(), String> {
    must(
        output.status.code().is_some_and(|code| code < 70),
        format!("{sink}: {}", common::text(output)),
    )?;
    let bytes = [output.stdout.as_slice(), &output.stderr].concat();
    shown(sink, &bytes)
}

/// A command on a terminal of its own, with progress; what the terminal got, without the codes that we send ourselves.
fn on_a_terminal(command: &Command) -> String {
    let quote = |word: &std::ffi::OsStr| format!("'{}'", word.to_str().unwrap().replace('\'', "'\\''"));
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args().filter(|word| *word != "--quiet"))
        .map(quote)
        .collect();
    let mut script = Command::new("script");
    script.env_clear();
    for (name, value) in command.get_envs() {
        script.env(name, value.unwrap_or_default());
    }
    script
        .env("TERM", "xterm-256color")
        .args(["-qec", &words.join(" "), "/dev/null"]);
    let output = script.output().unwrap();
    let own = regex::Regex::new(r"\x1b\[(0|1|2|3[1-6]|1;3[1-6]|)m|\x1b\[[0-9]*[ABCDGJK]|\x1b\[\?25[hl]|\r")
        .unwrap();
    own.replace_all(&String::from_utf8_lossy(&output.stdout), "")
        .into_owned()
}

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A statement about `bytes` that has the text wherever provenance holds text.
fn statement(bytes: &[u8]) -> Value {
    let digest = rebuilder::artifact::Sha256::of(bytes).to_hex();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "released", "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": EVIL,
                "externalParameters": {"workflow": {"ref": EVIL, "repository": EVIL, "path": EVIL}, "source": EVIL},
                "internalParameters": {EVIL: EVIL},
                "resolvedDependencies": [{"uri": EVIL, "name": EVIL, "digest": {"gitCommit": EVIL}}]
            },
            "runDetails": {"builder": {"id": format!("https://x/{EVIL}"), "version": {EVIL: EVIL}},
                "metadata": {"invocationId": EVIL}}
        }
    })
}

fn toml_string(text: &str) -> String {
    let escaped: Vec<_> = text.chars().map(|c| format!("\\U{:08X}", u32::from(c))).collect();
    format!("\"{}\"", escaped.concat())
}

fn definition(ground: &Ground) -> Result<(), String> {
    let text = include_str!("../../../containers/bookworm-build.toml");
    let description = text.lines().find(|line| line.starts_with("description")).unwrap();
    let evil = text.replace(description, &format!("description = {}", toml_string(EVIL)));
    ground.write("containers/own.toml", evil);
    ground.write(
        "containers/broken.toml",
        format!("description = \"{}\" {EVIL}", "x"),
    );
    let run = |words: &[&str]| {
        let mut command = ground.rebuilder();
        command
            .arg("--containers")
            .arg(ground.folder().join("containers"));
        command.args(words).output().unwrap()
    };
    both("container list", &run(&["container", "list"]))?;
    both("container list --json", &run(&["--json", "container", "list"]))?;
    both("a broken definition", &run(&["container", "lock", "broken"]))
}

fn inventory(ground: &Ground) -> Result<(), String> {
    let entry = json!({"fingerprint": "0".repeat(64), "reference": EVIL, "created": "2024-01-01T00:00:00Z",
        "revoked": ["2025-01-01T00:00:00Z", EVIL]});
    ground.write(
        "config/rebuilder/keys.json",
        json!({"version": 1, "keys": [entry]}).to_string(),
    );
    for options in [&[][..], &["--json"]] {
        let mut command = ground.rebuilder();
        command.env("XDG_CONFIG_HOME", ground.folder().join("config"));
        both(
            "key list",
            &command.args(options).args(["key", "list"]).output().unwrap(),
        )?;
    }
    Ok(())
}

fn batch(ground: &Ground) -> Result<(), String> {
    let list = ground.write("list.txt", "pypi:a==1\npypi:b==1\n");
    let line = |subject: &str, outcome: Value| {
        let mut line = json!({"subject": subject, "outputs": [0, 1], "attempts": 1, "not_signed": EVIL,
            "started": "2025-01-01T00:00:00Z", "finished": "2025-01-01T00:00:01Z",
            "spent": {"total": 1.0, "build": 0.0, "setup": 0.0, "resolve": 0.0, "download": 0.0, "own": 1.0}});
        line.as_object_mut()
            .unwrap()
            .extend(outcome.as_object().unwrap().clone());
        line.to_string() + "\n"
    };
    let lines = line("pypi:a==1", json!({"verdict": "mismatch", "causes": [EVIL]}))
        + &line(
            "pypi:b==1",
            json!({"verdict": "inconclusive", "stage": "plan", "reason": EVIL}),
        );
    ground.write("results.jsonl", lines);
    let folder = ground.folder();
    let mut command = ground.rebuilder();
    let output = command
        .arg("audit")
        .arg("run")
        .arg(list)
        .arg("--out")
        .arg(folder)
        .output()
        .unwrap();
    both("audit", &output)?;
    shown("the page", &std::fs::read(folder.join("index.html")).unwrap())?;
    shown(
        "the summary",
        &std::fs::read(folder.join("summary.json")).unwrap(),
    )
}

fn plan(ground: &Ground) -> Result<(), String> {
    for text in [
        json!({EVIL: EVIL}).to_string(),
        json!({"version": EVIL}).to_string(),
        json!([EVIL]).to_string(),
    ] {
        let plan = ground.write("SEEN.json", text);
        let mut command = ground.rebuilder();
        both(
            "a plan",
            &command.args(["rebuild", "--plan"]).arg(plan).output().unwrap(),
        )?;
    }
    Ok(())
}

/// A server that gives every request the same answer.
fn server(answer: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let mut connection = connection;
            let mut request = [0; 4096];
            let _ = connection.read(&mut request);
            let _ = connection.write_all(&answer);
        }
    });
    address.to_string()
}

fn answer(status: &str, kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn signer_log(ground: &Ground) -> Result<(), String> {
    for text in [json!({"sequence": 0, "event": EVIL}).to_string(), EVIL.to_owned()] {
        let log = ground.write(&format!("SEEN{}.jsonl", evil_name()), text + "\n");
        let output = ground
            .rebuilder()
            .arg("log")
            .arg("verify")
            .arg(&log)
            .output()
            .unwrap();
        both("log verify", &output)?;
        let output = ground
            .rebuilder()
            .args(["key", "list", "--log"])
            .arg(&log)
            .output()
            .unwrap();
        both("key list", &output)?;
    }
    Ok(())
}

/// Text as a shell's printf takes it, every byte of it.
fn octal(text: &str) -> String {
    let bytes: Vec<_> = text.bytes().map(|byte| format!("\\{byte:03o}")).collect();
    bytes.concat()
}

/// A script that prints the text.
fn print_evil() -> String {
    format!("printf '{}\\n'", octal(EVIL))
}

/// A plan whose only step is `script`, without setup.
fn changed(ground: &Ground, plan: &Value, script: &str) -> PathBuf {
    let mut plan = plan.clone();
    plan["setup"]["steps"] = json!([]);
    plan["build"]["steps"] = json!([{"name": "test", "run": script}]);
    plan["not_compared"] = json!(["*.aside"]);
    ground.write("plan.json", plan.to_string())
}

fn rebuilt(ground: &Ground, options: &[&str]) -> Output {
    // No slash is in it, and no line break at its end, which the shell would take off.
    let name = octal(&evil_name());
    let script = format!(
        "n=$(printf '{name}'); printf x > \"/out/$n\"; printf x > \"/out/$n.aside\"; {}",
        print_evil()
    );
    let plan = common::plan("pypi:idna==3.10");
    let file = changed(ground, &plan, &script);
    let run = ground.folder().join("run");
    let _ = std::fs::remove_dir_all(&run);
    let mut command = ground.rebuilder();
    command
        .args(options)
        .args(["rebuild", "--backend", ground.backend, "--plan"])
        .arg(file);
    command.arg("--out").arg(run).output().unwrap()
}
