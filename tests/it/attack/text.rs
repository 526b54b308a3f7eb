//! Text from outside, at everything that a person looks at: no control, no bidirectional control and nothing invisible
//! may get through raw, and no line may be forged. Each case first sees to it that the text is there at all.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};

use super::Case;
use super::ground::{Ground, must};
use crate::common;

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
    case("steer a terminal by the names of archive members", members),
    case("steer a terminal by the lines of a file that differs", excerpts),
    case("hide text in a page of HTML about two archives", html),
    case("forge markup in a markdown report", markdown),
    case("hide text in SARIF, or put a link into it", sarif),
    case("steer a terminal by JSON that is printed", json_on_stdout),
    case(
        "steer a terminal by names of files on the command line",
        arguments,
    ),
    case("steer a terminal by what provenance says", provenance),
    case("hide text in the page of an inspection", inspection_page),
    case("steer a terminal by a folder of attestations", attestations),
    case("steer a terminal by a container's definition", definition),
    case("steer a terminal by a key's entry in the inventory", inventory),
    case(
        "steer a terminal, or hide text in a page, by what a batch met",
        batch,
    ),
    case("steer a terminal by a policy", policy),
    case("steer a terminal by a plan", plan),
    case("steer a terminal by a registry's answers", registry),
    case("steer a terminal by a git server's refusal", git),
    case("steer a terminal by a Docker engine's errors", engine),
    case("steer a terminal by the log of a signer", signer_log),
    building("steer a terminal by the log of a command in a container", log),
    building("steer a terminal by the live line of a build", live_line),
    building("steer a terminal by the names of what a build leaves", outputs),
    building("steer a terminal by an evidence bundle", bundle),
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

/// Two archives that differ in names, contents and everything that is shown of them.
fn pair(ground: &Ground) -> (PathBuf, PathBuf) {
    let name = evil_name();
    let make = |word: &str| {
        let lines = format!("same\n{word} {EVIL} \u{1b}[1m\nsame\n");
        let markup =
            format!("`|<img src=x onerror=alert(1)> [x](https://evil.example) @all #1 ``` {name}{word}");
        tar(&[
            (&name, lines.as_bytes()),
            (&markup, b"x"),
            ("SEEN", lines.as_bytes()),
        ])
    };
    let folder = format!("|`SEEN`<b> {}", evil_name());
    (
        ground.write(&format!("a/{folder}/p.tar"), make("released")),
        ground.write(&format!("b/{folder}/p.tar"), make("rebuilt")),
    )
}

fn compared(ground: &Ground, options: &[&str]) -> Output {
    let (a, b) = pair(ground);
    ground
        .rebuilder()
        .arg("compare")
        .args([a, b])
        .args(options)
        .output()
        .unwrap()
}

fn written(ground: &Ground, ending: &str) -> Vec<u8> {
    let path = ground.folder().join(format!("report.{ending}"));
    let output = compared(ground, &["--write", path.to_str().unwrap()]);
    assert_eq!(common::code(&output), 1, "{}", common::text(&output));
    std::fs::read(path).unwrap()
}

fn members(ground: &Ground) -> Result<(), String> {
    both("compare", &compared(ground, &[]))?;
    let (a, b) = pair(ground);
    let mut command = ground.rebuilder();
    command.arg("compare").args([a, b]);
    shown("compare on a terminal", on_a_terminal(&command).as_bytes())
}

fn excerpts(ground: &Ground) -> Result<(), String> {
    // Lines of a file end where its line breaks are.
    let evil = EVIL.replace('\n', " ");
    let a = ground.write("a.txt", format!("1\n2 {evil}\n3\n"));
    let b = ground.write("b.txt", format!("1\n2 {evil}!\n3\n"));
    let output = ground.rebuilder().arg("compare").args([a, b]).output().unwrap();
    both("compare", &output)
}

fn html(ground: &Ground) -> Result<(), String> {
    let page = written(ground, "html");
    shown("the page", &page)?;
    let text = String::from_utf8(page).unwrap();
    must(
        !text.contains("<img") && !text.contains("<b> "),
        "an element of its own",
    )
}

fn markdown(ground: &Ground) -> Result<(), String> {
    let report = written(ground, "md");
    shown("the report", &report)?;
    let text = String::from_utf8(report).unwrap();
    // A table keeps its columns, and outside of code nothing of the archives is left.
    for line in text.lines().filter(|line| line.starts_with("| re")) {
        must(
            line.replace("\\|", "").matches('|').count() == 4,
            format!("cells: {line}"),
        )?;
    }
    let without = outside_of_code(&text);
    for part in ["SEEN", "<img", "https:", "@all", "#1", "FORGED"] {
        must(!without.contains(part), format!("{part} outside of code: {text}"))?;
    }
    Ok(())
}

/// A document of markdown without its blocks and spans of code, as CommonMark finds them.
fn outside_of_code(text: &str) -> String {
    let (mut out, mut fence) = (String::new(), None::<String>);
    let runs = regex::Regex::new("`+").unwrap();
    for line in text.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        match &fence {
            Some(open) if line.trim_end() == ticks && ticks.len() >= open.len() => fence = None,
            Some(_) => {}
            None if ticks.len() >= 3 && !line[ticks.len()..].contains('`') => fence = Some(ticks),
            None => {
                let mut rest = line;
                while let Some(at) = rest.find('`') {
                    out.push_str(&rest[..at]);
                    let ticks = rest[at..].chars().take_while(|c| *c == '`').count();
                    let body = &rest[at + ticks..];
                    let end = runs.find_iter(body).find(|run| run.len() == ticks);
                    rest = end.map_or(body, |run| &body[run.end()..]);
                }
                out.push_str(rest);
                out.push('\n');
            }
        }
    }
    out
}

fn sarif(ground: &Ground) -> Result<(), String> {
    let report = written(ground, "sarif");
    shown("the report", &report)?;
    let document: Value = serde_json::from_slice(&report).unwrap();
    for result in document["runs"][0]["results"].as_array().unwrap() {
        let message = result["message"]["text"].as_str().unwrap();
        if let Some(c) = raw(message) {
            return Err(format!("U+{:04X} in a message: {message:?}", u32::from(c)));
        }
        must(
            !message.replace("\\[", "").contains('['),
            format!("a link: {message}"),
        )?;
    }
    Ok(())
}

fn json_on_stdout(ground: &Ground) -> Result<(), String> {
    let output = compared(ground, &["--json"]);
    both("compare --json", &output)?;
    // Programs get the data as it is.
    let text = common::json(&output).to_string();
    must(
        text.contains('\u{202e}') && text.contains('\u{9b}'),
        "changed data",
    )?;
    let output = ground
        .rebuilder()
        .args(["--json", "compare", EVIL, EVIL])
        .output()
        .unwrap();
    both("an error in JSON", &output)
}

fn arguments(ground: &Ground) -> Result<(), String> {
    for arguments in [
        &["compare", EVIL, EVIL][..],
        &["inspect", EVIL],
        &["verify", EVIL],
        &["rebuild", EVIL],
        &["plan", EVIL],
        &["attest", EVIL, "--key", EVIL],
        &["evidence", "verify", EVIL],
        &["evidence", "export", EVIL],
        &["audit", "run", EVIL],
        &["log", "verify", EVIL],
        &["container", "build", EVIL],
        &["rebuild", "--plan", EVIL],
        &["inspect", "x", "--policy", EVIL],
        &["compare", "a", "b", "--write", EVIL],
        &["key", "public", "--key", EVIL],
        // What clap itself says.
        &[EVIL],
        &["compare", "a", "b", EVIL],
        &["compare", "--normalise", EVIL, "a", "b"],
        &["rebuild", "x", "--backend", EVIL],
    ] {
        let output = ground.rebuilder().args(arguments).output().unwrap();
        both(&arguments[..arguments.len().min(2)].join(" "), &output)?;
    }
    let option = ground
        .rebuilder()
        .arg(format!("--{}", evil_name()))
        .output()
        .unwrap();
    both("an option", &option)?;
    // A name that is no text at all.
    let name = std::ffi::OsStr::from_bytes(b"SEEN\xff\x1b[2J\xc2\x9b");
    both(
        "bytes",
        &ground
            .rebuilder()
            .arg("compare")
            .args([name, name])
            .output()
            .unwrap(),
    )
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

fn inspected(ground: &Ground, options: &[&str]) -> Output {
    let file = ground.write("released", "x");
    let provenance = ground.write("provenance.json", statement(b"x").to_string());
    let mut command = ground.rebuilder();
    command
        .args(options)
        .arg("inspect")
        .arg(file)
        .arg("--provenance")
        .arg(provenance);
    command.output().unwrap()
}

fn provenance(ground: &Ground) -> Result<(), String> {
    both("inspect", &inspected(ground, &[]))?;
    both("inspect --json", &inspected(ground, &["--json"]))?;
    let file = ground.write("released", "x");
    let provenance = ground.write("provenance.json", statement(b"x").to_string());
    let mut command = ground.rebuilder();
    command
        .arg("inspect")
        .arg(file)
        .arg("--provenance")
        .arg(&provenance);
    shown("inspect on a terminal", on_a_terminal(&command).as_bytes())
}

fn inspection_page(ground: &Ground) -> Result<(), String> {
    let file = ground.write(&format!("SEEN {}", evil_name()), "x");
    let provenance = ground.write("provenance.json", statement(b"x").to_string());
    let page = ground.folder().join("page.html");
    let mut command = ground.rebuilder();
    command
        .arg("inspect")
        .arg(file)
        .arg("--html")
        .arg(&page)
        .arg("--provenance")
        .arg(provenance);
    let output = command.output().unwrap();
    both("inspect", &output)?;
    shown("the page", &std::fs::read(page).unwrap())
}

fn attestations(ground: &Ground) -> Result<(), String> {
    let file = ground.write("released", "x");
    let mut other = statement(b"x");
    other["predicateType"] = json!(EVIL);
    for (number, content) in [statement(b"x").to_string(), other.to_string(), EVIL.to_owned()]
        .iter()
        .enumerate()
    {
        ground.write(
            &format!("attestations/{number}SEEN {}.json", evil_name()),
            content,
        );
    }
    let folder = ground.folder().join("attestations");
    for options in [&[][..], &["--json"]] {
        let mut command = ground.rebuilder();
        command
            .args(options)
            .arg("verify")
            .arg(&file)
            .arg("--attestation")
            .arg(&folder);
        both("verify", &command.output().unwrap())?;
    }
    Ok(())
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

fn policy(ground: &Ground) -> Result<(), String> {
    let file = ground.write("released", "x");
    for text in [
        format!("{EVIL} = 1"),
        format!("name = {}\n{EVIL}", toml_string(EVIL)),
        format!("{} = 1", toml_string(EVIL)),
    ] {
        let policy = ground.write("policy.toml", text);
        let mut command = ground.rebuilder();
        both(
            "a policy",
            &command
                .arg("inspect")
                .arg(&file)
                .arg("--policy")
                .arg(policy)
                .output()
                .unwrap(),
        )?;
    }
    Ok(())
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

fn registry(ground: &Ground) -> Result<(), String> {
    // The reason of a status cannot hold line breaks.
    let reason = "404 SEEN\u{9b}31m\u{202e}\u{200b}";
    let page = json!({"message": EVIL, "info": {"name": EVIL, "version": EVIL, "yanked": true, "yanked_reason": EVIL},
        "urls": [{"filename": format!("a-1-py3-none-any.whl{EVIL}"), "packagetype": EVIL, "url": EVIL,
            "digests": {"sha256": EVIL}, "size": 1, "upload_time_iso_8601": EVIL}], "errors": [{"detail": EVIL}]});
    for (what, answer) in [
        ("a reason", answer(reason, "text/plain", EVIL.as_bytes())),
        (
            "a page",
            answer("200 OK", "application/json", page.to_string().as_bytes()),
        ),
        (
            "no page",
            answer("200 OK", "application/json", format!("\"{EVIL}").as_bytes()),
        ),
    ] {
        let base = server(answer);
        for subject in ["pypi:a==1", "npm:a@1.0.0", "crate:a@1.0.0"] {
            let mut command = ground.rebuilder();
            for host in [
                "https://pypi.org/",
                "https://registry.npmjs.org/",
                "https://index.crates.io/",
                "https://static.crates.io/",
                "https://crates.io/",
            ] {
                command.args(["--mirror", &format!("{host}=http://{base}/")]);
            }
            let output = command.args(["plan", subject]).output().unwrap();
            let text = common::text(&output);
            must(!output.status.success(), format!("{what}: {text}"))?;
            if let Some(c) = raw(&text) {
                return Err(format!(
                    "{subject}, {what}: U+{:04X} raw in {text:?}",
                    u32::from(c)
                ));
            }
            must(
                !text.lines().any(|line| line.starts_with("FORGED")),
                format!("{subject}, {what}: {text}"),
            )?;
        }
    }
    Ok(())
}

fn git(ground: &Ground) -> Result<(), String> {
    // A refusal of the protocol, which git repeats.
    let line = |text: &str| format!("{:04x}{text}", text.len() + 4);
    let refusal = "ERR SEEN\u{1b}[31m\u{1b}]0;x\u{7}\u{202e}\u{9b}\u{200b}";
    let body = line("# service=git-upload-pack\n") + "0000" + &line(refusal);
    let kind = "application/x-git-upload-pack-advertisement";
    let base = server(answer("200 OK", kind, body.as_bytes()));
    let file = ground.write("released", "x");
    let mut claim = statement(b"x");
    let source = "git+https://github.com/example/project";
    claim["predicate"]["buildDefinition"] = json!({
        "buildType": "https://example.com/build/v1", "externalParameters": {},
        "resolvedDependencies": [{"uri": source, "digest": {"gitCommit": "0123456789012345678901234567890123456789"}}]
    });
    claim["predicate"]["runDetails"]["builder"]["id"] = json!("https://example.com/builder");
    let provenance = ground.write("provenance.json", claim.to_string());
    let mut command = ground.rebuilder();
    command.args([
        "--git-mirror",
        &format!("https://github.com/example/=http://{base}/"),
    ]);
    command
        .arg("plan")
        .arg(&file)
        .args([
            "--policy",
            "none",
            "--recipe",
            "c-make",
            "--fetch",
            "--provenance",
        ])
        .arg(provenance);
    both("git", &command.output().unwrap())
}

fn engine(ground: &Ground) -> Result<(), String> {
    let body = json!({"message": EVIL}).to_string();
    let base = server(answer(
        "500 SEEN\u{9b}\u{202e}",
        "application/json",
        body.as_bytes(),
    ));
    for options in [&[][..], &["--json"]] {
        let mut command = ground.rebuilder();
        command.env("DOCKER_HOST", format!("tcp://{base}"));
        both("doctor", &command.args(options).arg("doctor").output().unwrap())?;
    }
    Ok(())
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

fn log(ground: &Ground) -> Result<(), String> {
    let output = ground.container(
        &[],
        &format!("{}; printf '\\377\\303\\n'; {} >&2", print_evil(), print_evil()),
    );
    // Lines of a log are the command's own.
    let text = String::from_utf8_lossy(&output.stdout)
        .replace("\nFORGED", "\n(line) FORGED")
        .replace("\nerror:", "\n(line) error:");
    shown("container run", text.as_bytes())?;
    must(text.contains("<FF><C3>"), format!("bytes were dropped: {text}"))
}

fn live_line(ground: &Ground) -> Result<(), String> {
    let slowly = format!("for i in 1 2 3 4 5; do {}; sleep 0.2; done", print_evil());
    let plan = common::plan("pypi:idna==3.10");
    let file = changed(ground, &plan, &slowly);
    let mut command = ground.rebuilder();
    command
        .args(["rebuild", "--backend", ground.backend, "--plan"])
        .arg(file);
    command.arg("--out").arg(ground.folder().join("run"));
    let text = on_a_terminal(&command);
    must(
        raw(&text).is_none(),
        format!("U+{:04X} in {text:?}", raw(&text).map_or(0, u32::from)),
    )?;
    must(text.contains("FORGED"), format!("(nothing was shown) {text}"))
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

fn outputs(ground: &Ground) -> Result<(), String> {
    both("rebuild --json", &rebuilt(ground, &["--json"]))?;
    both("rebuild", &rebuilt(ground, &[]))?;
    let report = ground.folder().join("run/report.html");
    shown("the page", &std::fs::read(report).unwrap())
}

fn bundle(ground: &Ground) -> Result<(), String> {
    let _ = rebuilt(ground, &[]);
    let archive = ground.folder().join("e.tar.gz");
    let mut command = ground.rebuilder();
    command
        .args(["evidence", "export"])
        .arg(ground.folder().join("run"))
        .arg("--out")
        .arg(&archive);
    let output = command.output().unwrap();
    must(
        output.status.success(),
        format!("(no bundle) {}", common::text(&output)),
    )?;
    let changed = with_manifest(&archive, |manifest| {
        manifest["subject"] = json!(EVIL);
        manifest["verdict"] = json!(EVIL);
        manifest["run"] = json!(EVIL);
        manifest["files"][0]["path"] = json!(EVIL);
        manifest["files"][0]["what"] = json!(EVIL);
    });
    let path = ground.write(&format!("SEEN{}.tar.gz", evil_name()), changed);
    for options in [&[][..], &["--json"]] {
        let mut command = ground.rebuilder();
        both(
            "evidence verify",
            &command
                .args(options)
                .args(["evidence", "verify"])
                .arg(&path)
                .output()
                .unwrap(),
        )?;
    }
    let broken = with_manifest(&archive, |manifest| {
        *manifest = json!({"version": EVIL, EVIL: EVIL});
    });
    let path = ground.write("SEEN.tar.gz", broken);
    both(
        "a broken one",
        &ground
            .rebuilder()
            .args(["evidence", "verify"])
            .arg(&path)
            .output()
            .unwrap(),
    )
}

/// The archive with a manifest that was changed.
fn with_manifest(archive: &Path, change: impl Fn(&mut Value)) -> Vec<u8> {
    let bytes = std::fs::read(archive).unwrap();
    let mut builder = tar::Builder::new(flate2::write::GzEncoder::new(
        Vec::new(),
        flate2::Compression::fast(),
    ));
    let mut members = tar::Archive::new(flate2::read::MultiGzDecoder::new(&bytes[..]));
    for member in members.entries().unwrap() {
        let mut member = member.unwrap();
        let mut header = member.header().clone();
        let name = member.path().unwrap().into_owned();
        let mut content = Vec::new();
        member.read_to_end(&mut content).unwrap();
        if name.ends_with("manifest.json") {
            let mut manifest: Value = serde_json::from_slice(&content).unwrap();
            change(&mut manifest);
            content = manifest.to_string().into_bytes();
            header.set_size(content.len() as u64);
        }
        builder.append_data(&mut header, name, &content[..]).unwrap();
    }
    builder.into_inner().unwrap().finish().unwrap()
}
