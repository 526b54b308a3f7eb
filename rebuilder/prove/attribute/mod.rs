//! Which process and which line of the project a difference comes from, by a trace of the build that has it.
//!
//! A difference has a place in an output. The way of the output is followed backwards, into archives as far as their
//! members were files, to the process that wrote the place itself; its parents lead to the makefile or script.

mod lines;

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

pub use lines::{Line, Sources};

use crate::compare::{Cause, Comparison, Finding, Node};
use crate::plan::OUT;
use crate::trace::{Command, Hand, How, Step, Writers};

/// Who wrote what differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribution {
    /// The output.
    pub output: String,
    /// The member in it, through all archives; empty for the output itself.
    pub member: String,
    /// Where in that.
    pub place: String,
    /// Why it differs.
    pub cause: Cause,
    /// The file in the build that the process wrote.
    pub path: String,
    /// Command line of the process.
    pub command: String,
    /// Command lines of those above it, its own parent first, up to the first process.
    pub parents: Vec<String>,
    /// Where the project says so.
    pub line: Option<Line>,
    /// How many places have the same cause and process.
    pub places: u64,
}

impl Attribution {
    /// A sentence for reports.
    pub fn sentence(&self) -> String {
        let what = match self.cause {
            Cause::Timestamp | Cause::SourceDateEpoch | Cause::Timezone => "a time",
            Cause::BuildPath => "the build path",
            Cause::BuildHost => "the host or user",
            Cause::HostSystem => "facts of the machine",
            Cause::Ownership => "an owner or group",
            Cause::Permissions => "permissions",
            Cause::Order => "the order of entries",
            Cause::Randomness => "a random value",
            Cause::Locale => "what depends on the locale",
            _ => "what differs",
        };
        let called = match &self.line {
            Some(line) => format!("called from {line} "),
            None => String::new(),
        };
        let file = if self.member.is_empty() {
            &self.output
        } else {
            &self.member
        };
        format!(
            "`{}` {called}wrote {what} into `{file}` ({})",
            self.command, self.place
        )
    }
}

/// Files of the project that had a part in these outputs, those nearest to them first: the scripts and makefiles of each
/// process that did, and what they read.
pub fn suspects<'a>(
    outputs: impl IntoIterator<Item = &'a str>,
    writers: &Writers,
    sources: Sources<'_>,
) -> Vec<String> {
    let (mut scripted, mut read) = (Vec::new(), Vec::new());
    for name in outputs {
        let slice = writers.slice(&format!("{OUT}/{name}"));
        let mut asked = HashSet::new();
        for hand in &slice.processes {
            for (above, command) in writers.chain(*hand) {
                if asked.insert(above.process) {
                    scripted.extend(scripts(writers, sources, above.process, command));
                    scripted.extend(makefiles(writers, sources, above.process));
                }
            }
        }
        read.extend(
            slice
                .sources
                .iter()
                .filter_map(|path| sources.relative(path).map(str::to_owned)),
        );
    }
    let mut all = scripted;
    all.append(&mut read);
    let mut seen = HashSet::new();
    all.retain(|name| seen.insert(name.clone()));
    all
}

/// Longest command line that is told.
const TOLD: usize = 400;

/// The causes in `files`, each with the process that wrote the first of its places. `outputs` are the names of the
/// compared files below `/out`.
pub fn attribute<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a Comparison)>,
    writers: &Writers,
    sources: Sources<'_>,
) -> Vec<Attribution> {
    let mut found: BTreeMap<(String, u32, String, String), Attribution> = BTreeMap::new();
    for (name, comparison) in files {
        let Some(tree) = &comparison.tree else { continue };
        let output = format!("{OUT}/{name}");
        let mut walk = Walk {
            name,
            writers,
            sources,
            found: &mut found,
        };
        walk.node(tree, "", &output, &output);
    }
    let mut all: Vec<_> = found.into_values().collect();
    // What only follows comes last, and of the rest what is in most places first.
    all.sort_by_key(|one| (is_vague(one.cause), std::cmp::Reverse(one.places)));
    all
}

fn is_vague(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Content | Cause::Compression | Cause::Checksum | Cause::BuildId
    )
}

struct Walk<'a> {
    name: &'a str,
    writers: &'a Writers,
    sources: Sources<'a>,
    found: &'a mut BTreeMap<(String, u32, String, String), Attribution>,
}

impl Walk<'_> {
    /// `file` is the file in the build that the node was, and `outer` the one that it is a member of.
    fn node(&mut self, node: &Node, member: &str, file: &str, outer: &str) {
        for finding in node.findings.iter().filter(|finding| !finding.follows) {
            if is_of_the_outer(finding, node) {
                // What wraps up all outputs stores what the files themselves have.
                self.add(finding, member, &[outer, file]);
            } else {
                self.add(finding, member, &[file]);
            }
        }
        for child in &node.children {
            let below = if member.is_empty() {
                child.name.clone()
            } else {
                format!("{member}/{}", child.name)
            };
            let inside = self.member_of(file, &child.name);
            // What is no file of its own, such as the tar file in a compressed one, was written by who wrote the whole.
            let inside = inside.as_deref().unwrap_or(file);
            self.node(child, &below, inside, file);
        }
    }

    /// The file that a member was, asked of each file that the archive was on its way.
    fn member_of(&self, archive: &str, name: &str) -> Option<String> {
        let ways = [archive.to_owned()]
            .into_iter()
            .chain(self.writers.whence(archive).into_iter().map(|step| step.path));
        let mut found = ways.filter_map(|path| self.writers.member(&path, name));
        found.find(|found| found != archive)
    }

    /// Names the process of the first of these files that has a line in the project, or else of the first.
    fn add(&mut self, finding: &Finding, member: &str, paths: &[&str]) {
        let mut chosen: Option<(Step, Option<Line>)> = None;
        for path in paths {
            let steps = self.writers.whence(path);
            let Some(step) = self.at_fault(&steps, finding) else {
                continue;
            };
            let chain = self.writers.chain(step.by);
            let line = locate(self.writers, self.sources, &chain, &step.path);
            let found = line.is_some();
            if chosen.is_none() || found {
                chosen = Some((step.clone(), line));
            }
            if found {
                break;
            }
        }
        let Some((step, line)) = chosen else { return };
        let key = (
            format!("{:?}", finding.cause),
            step.by.process,
            self.name.to_owned(),
            finding.key.clone(),
        );
        if let Some(known) = self.found.get_mut(&key) {
            known.places = known.places.saturating_add(finding.places);
            return;
        }
        let chain = self.writers.chain(step.by);
        let mut commands = chain.iter().map(|(_, command)| told(command));
        let attribution = Attribution {
            output: self.name.to_owned(),
            member: member.to_owned(),
            place: finding.place.to_string(),
            cause: finding.cause,
            path: step.path,
            command: commands.next().unwrap_or_default(),
            parents: commands.collect(),
            line,
            places: finding.places,
        };
        self.found.insert(key, attribution);
    }

    /// The step that made what differs: the first copy's source, but for what a copier itself sets.
    fn at_fault<'s>(&self, steps: &'s [Step], finding: &Finding) -> Option<&'s Step> {
        let written = || {
            steps
                .iter()
                .filter(|step| matches!(step.how, How::Written | How::Made))
        };
        if matches!(finding.cause, Cause::Permissions | Cause::Ownership) {
            return written().next();
        }
        // A compressor writes its own header; what it compresses it only copies.
        let compresses = |step: &&Step| {
            self.writers
                .command(step.by)
                .is_some_and(|command| ["gzip", "pigz", "zopfli"].contains(&command.program()))
        };
        if is_header_of_gzip(finding) {
            return written().find(compresses).or_else(|| written().next());
        }
        written().next_back()
    }
}

/// Whether a finding is about what an archive says of a member, not about the member's own bytes.
fn is_of_the_outer(finding: &Finding, node: &Node) -> bool {
    finding.place.is_stored()
        && !finding.key.starts_with(&format!("{}:", node.format))
        && !is_header_of_gzip(finding)
}

fn is_header_of_gzip(finding: &Finding) -> bool {
    finding.key.starts_with("gzip:")
}

fn told(command: &Command) -> String {
    let line = command.line();
    if line.chars().count() <= TOLD {
        return line;
    }
    line.chars().take(TOLD).chain(['…']).collect()
}

/// The line of the project that has a process run: the nearest in its chain that can be found. A script that writes the
/// file itself is searched for the name of the file.
fn locate(writers: &Writers, sources: Sources<'_>, chain: &[(Hand, &Command)], path: &str) -> Option<Line> {
    let line = |file: &str, (line, text): (usize, String)| Line {
        file: file.to_owned(),
        line,
        text,
    };
    for (index, (hand, command)) in chain.iter().enumerate() {
        if index == 0 {
            let named = scripts(writers, sources, hand.process, command)
                .into_iter()
                .find_map(|file| {
                    let text = sources.text(&file)?;
                    Some(line(&file, lines::naming(&text, path)?))
                });
            if named.is_some() {
                return named;
            }
        }
        let Some((parent, above)) = chain.get(index + 1) else {
            break;
        };
        let leaf = command_word(command);
        let found = if ["make", "gmake"].contains(&above.program()) {
            let text = shell_text(command).map_or_else(|| command.line(), str::to_owned);
            makefiles(writers, sources, parent.process)
                .into_iter()
                .find_map(|file| {
                    Some(line(
                        &file,
                        lines::in_makefile(&sources.text(&file)?, &text, leaf)?,
                    ))
                })
        } else {
            scripts(writers, sources, parent.process, above)
                .into_iter()
                .find_map(|file| {
                    Some(line(
                        &file,
                        lines::in_script(&sources.text(&file)?, &command.argv)?,
                    ))
                })
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The program to look for: of a shell with a text none, as any may be meant.
fn command_word(command: &Command) -> &str {
    if shell_text(command).is_some() {
        ""
    } else {
        command.program()
    }
}

/// The text that a shell was given (`sh -c TEXT`).
fn shell_text(command: &Command) -> Option<&str> {
    if !command.is_shell() {
        return None;
    }
    let mut words = command
        .argv
        .iter()
        .skip(1)
        .skip_while(|word| !(word.starts_with('-') && word.ends_with('c')));
    words.next()?;
    words.next().map(String::as_str)
}

/// The makefiles of the project that a process read, by their names in the project.
fn makefiles(writers: &Writers, sources: Sources<'_>, make: u32) -> Vec<String> {
    let is_makefile = |name: &str| {
        let base = name.rsplit('/').next().unwrap_or(name);
        base.to_ascii_lowercase().contains("makefile") || base.ends_with(".mk") || base == "rules"
    };
    let read = writers.reads(make).filter_map(|path| sources.relative(path));
    let mut read: Vec<_> = read.filter(|name| is_makefile(name)).map(str::to_owned).collect();
    // A makefile that another program made is named only if the project has the text that it was made from.
    let templates: Vec<_> = read
        .iter()
        .flat_map(|name| [format!("{name}.am"), format!("{name}.in")])
        .collect();
    read.extend(templates);
    read
}

/// The scripts of the project that a process ran: the one that it was given, then what it read as source.
fn scripts(writers: &Writers, sources: Sources<'_>, process: u32, command: &Command) -> Vec<String> {
    const ENDS: [&str; 10] = [
        ".py", ".sh", ".pl", ".js", ".mjs", ".cjs", ".rb", ".cmake", ".bash", ".go",
    ];
    let absolute = |word: &str| {
        if word.starts_with('/') {
            word.to_owned()
        } else {
            format!("{}/{}", command.cwd, word.trim_start_matches("./"))
        }
    };
    let mut found = Vec::new();
    if shell_text(command).is_none() {
        let given = command
            .argv
            .iter()
            .skip(1)
            .filter(|word| !word.starts_with('-'))
            .take(2);
        let given = given.map(|word| absolute(word));
        found.extend(given.filter_map(|path| sources.relative(&path).map(str::to_owned)));
    }
    let read = writers.reads(process).filter_map(|path| sources.relative(path));
    found.extend(
        read.filter(|name| ENDS.iter().any(|end| name.ends_with(end)))
            .map(str::to_owned),
    );
    found.retain(|name| sources.text(name).is_some());
    let mut seen = HashSet::new();
    found.retain(|name| seen.insert(name.clone()));
    found
}
