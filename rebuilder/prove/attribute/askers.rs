//! Finds the processes that read a varied value: programs such as `uname`, `date` or `nproc`, whose answers can reach
//! an output without passing through a file.

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::lines::{self, Line, Sources};
use super::locate::locate;
use super::told;
use crate::prove::Knob;
use crate::prove::fix::Kind;
use crate::trace::{Command, Writers};

/// A process that read a varied value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// Its command line.
    pub command: String,
    /// The line of the project that runs it.
    pub line: Line,
}

impl Asker {
    /// A sentence for reports.
    pub fn sentence(&self) -> String {
        let program = self.command.rsplit('/').next().unwrap_or_default();
        if BUILD_SCRIPTS.contains(&program) {
            return format!("`{}` read it in {}", self.command, self.line);
        }
        format!("`{}`, called from {}, read it", self.command, self.line)
    }
}

/// Maximum number of reported processes.
const MOST: usize = 8;
/// Maximum number of a project's files to search for a program that was not started by a script.
const FILES: usize = 2000;

/// Programs that print what a knob varies.
fn programs(knob: Knob) -> &'static [&'static str] {
    match knob {
        Knob::Clock | Knob::Timezone => &["date"],
        Knob::SourceTimes => &["stat", "date"],
        Knob::ListingOrder => &["find", "ls"],
        Knob::User | Knob::Ids => &["id", "whoami", "logname", "groups"],
        Knob::Locale => &["sort", "locale", "date", "ls"],
        Knob::Hostname => &["hostname", "uname", "hostnamectl"],
        Knob::Domain => &["hostname", "domainname", "dnsdomainname"],
        Knob::Kernel => &["uname"],
        Knob::Processors => &["nproc", "getconf", "lscpu"],
        Knob::ProcessorModel => &["lscpu"],
        Knob::Temporary => &["mktemp"],
        Knob::Environment => &["env", "printenv"],
        Knob::Load => &["ps", "uptime", "free"],
        Knob::BuildPath => &["pwd", "realpath", "readlink"],
        _ => &[],
    }
}

/// Programs that print random values.
const RANDOM: &[&str] = &["uuidgen", "mktemp", "shuf", "openssl"];

/// What cargo calls the programs that it compiles from `build.rs`.
const BUILD_SCRIPTS: &[&str] = &["build-script-build", "build-script-main"];

/// How a program in Rust asks for what a knob varies.
fn calls(knob: Knob) -> Option<&'static str> {
    Some(match knob {
        Knob::Clock => r"\b(?:SystemTime|Utc|Local|OffsetDateTime|Zoned|Timestamp)::now",
        Knob::Timezone => r"\b(?:Local|Zoned)::now|now_local",
        Knob::SourceTimes => r"\.modified\(\)|\bmtime\b",
        Knob::ListingOrder => r"\bread_dir\(|\bWalkDir::new|\bglob\(",
        Knob::User => r#""(?:USER|LOGNAME)"|\bwhoami::"#,
        Knob::Hostname => r#"\bgethostname\b|\bhostname::get|"HOSTNAME""#,
        Knob::Processors => r"\bavailable_parallelism\b|\bnum_cpus::get",
        Knob::Parallelism => r#""NUM_JOBS""#,
        Knob::Home => r#""HOME"|\bhome_dir\("#,
        Knob::Temporary => r#""TMPDIR"|\btemp_dir\("#,
        Knob::BuildPath => r#""CARGO_MANIFEST_DIR"|\bcurrent_dir\("#,
        Knob::Environment => r"\benv::vars(?:_os)?\(",
        _ => return None,
    })
}

/// The first line of a build script that asks for it.
fn called(knob: Knob, command: &Command, sources: Sources<'_>) -> Option<Line> {
    let pattern = Regex::new(calls(knob)?).ok()?;
    let place = format!("{}/build.rs", command.cwd);
    let file = sources.relative(&place)?.to_owned();
    let text = sources.text(&file)?;
    let (line, found) = (1..).zip(text.lines()).find(|(_, line)| pattern.is_match(line))?;
    Some(Line {
        file,
        line,
        text: found.trim().to_owned(),
    })
}

/// Whether the program was asked for this; `uname -m`, for example, does not print the host name.
fn asks(knob: Option<Knob>, command: &Command) -> bool {
    let told = match knob {
        Some(Knob::Hostname) => ['n', 'a'],
        Some(Knob::Kernel) => ['r', 'v'],
        _ => return true,
    };
    if command.program() != "uname" {
        return true;
    }
    let words = command.argv.iter().skip(1);
    words
        .clone()
        .any(|word| word.contains(told) || word.contains('a'))
}

/// The processes that read the value, each line of the project once.
pub fn askers(knobs: &[Knob], writers: &Writers, sources: Sources<'_>, files: &[String]) -> Vec<Asker> {
    let mut found: Vec<Asker> = Vec::new();
    let mut look = |knob: Option<Knob>, programs: &[&str]| {
        for hand in writers.that_ran(programs) {
            let chain = writers.chain(hand);
            let Some((_, command)) = chain.first().filter(|(_, command)| asks(knob, command)) else {
                continue;
            };
            let line = locate(writers, sources, &chain, "").or_else(|| only_line(command, sources, files));
            let known = |line: &Line| found.iter().any(|one| one.line == *line);
            if let Some(line) = line.filter(|line| !known(line))
                && found.len() < MOST
            {
                found.push(Asker {
                    command: told(command),
                    line,
                });
            }
        }
    };
    for knob in knobs {
        look(Some(*knob), programs(*knob));
    }
    if knobs.is_empty() {
        look(None, RANDOM);
    }
    for knob in knobs {
        for hand in writers.that_ran(BUILD_SCRIPTS) {
            let Some((_, command)) = writers.chain(hand).first().copied() else {
                continue;
            };
            let line = called(*knob, command, sources);
            let known = |line: &Line| found.iter().any(|one| one.line == *line);
            if let Some(line) = line.filter(|line| !known(line)) {
                found.push(Asker {
                    command: told(command),
                    line,
                });
            }
        }
    }
    found.truncate(MOST);
    found
}

/// The line of the project with the words of a command, if there is exactly one. This finds calls from compiled
/// programs, which have no script.
fn only_line(command: &Command, sources: Sources<'_>, files: &[String]) -> Option<Line> {
    let mut found = None;
    for file in files.iter().take(FILES) {
        let Some(text) = sources.text(file).filter(|text| Kind::of(file, text).is_some()) else {
            continue;
        };
        let Some(one) = lines::in_script(&text, &command.argv) else {
            continue;
        };
        if found.is_some() {
            return None;
        }
        found = Some(one.of(file));
    }
    found
}
