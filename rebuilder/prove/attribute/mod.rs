//! Finds the process and the line of the project that a difference comes from, in a trace of the build.
//!
//! A difference has a place in an output. The output is followed backwards, into archives as long as their members were
//! files, to the process that wrote the place. Its parents lead to the makefile or script.

mod askers;
mod lines;
mod locate;

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

pub use askers::{Asker, askers};
pub use lines::{Line, Sources};

use crate::compare::{Cause, Comparison, Finding, Node};
use crate::plan::OUT;
use crate::prove::vary::SOURCE;
use crate::trace::{Command, How, Step, Writers};
use locate::{locate, makefiles, scripts};

/// The process that wrote a difference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribution {
    /// The output.
    pub output: String,
    /// The member in it, through nested archives; empty for the output itself.
    pub member: String,
    /// The place in the member.
    pub place: String,
    /// The cause of the difference.
    pub cause: Cause,
    /// The file in the build that the process wrote.
    pub path: String,
    /// Command line of the process.
    pub command: String,
    /// Command lines of its ancestors, from its parent to the first process.
    pub parents: Vec<String>,
    /// The line of the project.
    pub line: Option<Line>,
    /// The number of places with the same cause and process.
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
            Cause::Locale => "locale-dependent text",
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

/// Files of the project that contributed to these outputs, the nearest first: the scripts and makefiles of each
/// process, and the files they read.
pub fn suspects<'a>(
    outputs: impl IntoIterator<Item = &'a str>,
    writers: &Writers,
    sources: Sources<'_>,
) -> Vec<String> {
    let paths: Vec<_> = outputs.into_iter().map(|name| format!("{OUT}/{name}")).collect();
    let slice = writers.slice_of(paths.iter().map(String::as_str));
    let (mut scripted, mut asked) = (Vec::new(), HashSet::new());
    for hand in &slice.processes {
        for (above, command) in writers.chain(*hand) {
            if asked.insert(above.process) {
                scripted.extend(scripts(writers, sources, above.process, command));
                scripted.extend(makefiles(writers, sources, above.process));
            }
        }
    }
    let read = slice.sources.iter();
    let mut read: Vec<_> = read
        .filter_map(|path| sources.relative(path).map(str::to_owned))
        .collect();
    let mut all = scripted;
    all.append(&mut read);
    let mut seen = HashSet::new();
    all.retain(|name| seen.insert(name.clone()));
    all
}

/// Maximum length of a reported command line.
const TOLD: usize = 240;

/// The causes in `files`, each with the process that wrote its first place. `outputs` are the names of the compared
/// files below `/out`.
pub fn attribute<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a Comparison)>,
    writers: &Writers,
    sources: Sources<'_>,
) -> Vec<Attribution> {
    let mut found: BTreeMap<Key, Attribution> = BTreeMap::new();
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
    let upstream = Upstream::of(&found, writers);
    let mut all: Vec<_> = found.into_iter().collect();
    // What was made of another differing file comes behind it, what only follows comes last, and of the rest what is in
    // most places comes first.
    all.sort_by_key(|(key, one)| {
        (
            upstream.count(key),
            is_vague(one.cause),
            std::cmp::Reverse(one.places),
        )
    });
    all.into_iter().map(|(_, one)| one).collect()
}

/// Cause, process, output and key of an attribution.
type Key = (String, u32, String, String);

/// Which processes contributed to which output.
struct Upstream {
    parts: BTreeMap<String, HashSet<u32>>,
    wrote: Vec<(String, u32)>,
}

impl Upstream {
    fn of(found: &BTreeMap<Key, Attribution>, writers: &Writers) -> Self {
        let mut parts = BTreeMap::new();
        for one in found.values() {
            parts.entry(one.output.clone()).or_insert_with(|| {
                let slice = writers.slice(&format!("{OUT}/{}", one.output));
                slice.processes.iter().map(|hand| hand.process).collect()
            });
        }
        Self {
            parts,
            wrote: found.keys().map(|key| (key.2.clone(), key.1)).collect(),
        }
    }

    fn had_part(&self, process: u32, output: &str) -> bool {
        self.parts
            .get(output)
            .is_some_and(|processes| processes.contains(&process))
    }

    /// How many of the attributed processes contributed to the output, while the one of `key` did not contribute to
    /// theirs.
    fn count(&self, (_, process, output, _): &Key) -> usize {
        let above = self.wrote.iter().filter(|(other, writer)| {
            other != output && self.had_part(*writer, output) && !self.had_part(*process, other)
        });
        above.count()
    }
}

/// Whether a program is a part of a compiler that is not called directly.
fn is_inner(program: &str) -> bool {
    const INNER: [&str; 14] = [
        "as",
        "asm",
        "cc1",
        "cc1obj",
        "cc1plus",
        "collect2",
        "compile",
        "ld",
        "ld.bfd",
        "ld.gold",
        "ld.lld",
        "link",
        "lto1",
        "lto-wrapper",
    ];
    INNER.contains(&program)
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
    found: &'a mut BTreeMap<Key, Attribution>,
}

impl Walk<'_> {
    /// `file` is the node's file in the build, and `outer` the file of which it is a member.
    fn node(&mut self, node: &Node, member: &str, file: &str, outer: &str) {
        for finding in node.findings.iter().filter(|finding| !finding.follows) {
            if is_of_the_outer(finding, node) {
                // What wraps up all outputs stores what the files themselves have.
                self.add(finding, member, &[(outer, true), (file, outer == file)]);
            } else {
                self.add(finding, member, &[(file, false)]);
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

    /// The file that became a member, searched from each file that the archive was copied from.
    fn member_of(&self, archive: &str, name: &str) -> Option<String> {
        let ways = [archive.to_owned()]
            .into_iter()
            .chain(self.writers.whence(archive).into_iter().map(|step| step.path));
        let mut found = ways.filter_map(|path| self.writers.member(&path, name));
        found.find(|found| found != archive)
    }

    /// Names the process of the first of these files with a line in the project, or else of the first file. Each file
    /// says whether it is the archive that stores the difference.
    fn add(&mut self, finding: &Finding, member: &str, paths: &[(&str, bool)]) {
        let mut chosen: Option<(Step, Option<Line>)> = None;
        for (path, stores) in paths {
            let steps = self.writers.whence(path);
            let Some(step) = self.at_fault(&steps, finding, *stores) else {
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
        // Of a compiler, the program that was called is told, and not those that it calls.
        let outer = chain.iter().position(|(_, command)| !is_inner(command.program()));
        // The first process is the sandbox's own.
        let mut commands = chain
            .iter()
            .skip(outer.unwrap_or(0))
            .filter(|(hand, _)| hand.process > 0 || chain.len() == 1)
            .map(|(_, command)| told(command));
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

    /// The step that made the difference: the source of the first copy, except for what the copying program itself
    /// sets.
    fn at_fault<'s>(&self, steps: &'s [Step], finding: &Finding, stores: bool) -> Option<&'s Step> {
        // What several processes wrote is no copy of anything, and the source that was unpacked is the same in all builds.
        let several = steps.iter().position(|step| !step.before.is_empty());
        let own = steps
            .get(..several.map_or(steps.len(), |at| at.saturating_add(1)))
            .unwrap_or(steps);
        let given = |step: &Step| {
            let unpacks = |command: &Command| command.argv.iter().any(|word| word.ends_with(SOURCE));
            own.len() > 1 && step.from.is_none() && self.writers.command(step.by).is_some_and(unpacks)
        };
        let written = || {
            own.iter()
                .filter(|step| matches!(step.how, How::Written | How::Made) && !given(step))
        };
        if !stores && matches!(finding.cause, Cause::Permissions | Cause::Ownership) {
            // That outputs are handed out means nothing.
            let inside = written().find(|step| !step.path.starts_with(OUT));
            return inside.or_else(|| written().next());
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

/// Whether a finding is about an archive's metadata of a member, not about the member's bytes.
fn is_of_the_outer(finding: &Finding, node: &Node) -> bool {
    finding.place.is_stored()
        && !finding.key.starts_with(&format!("{}:", node.format))
        && !is_header_of_gzip(finding)
}

fn is_header_of_gzip(finding: &Finding) -> bool {
    finding.key.starts_with("gzip:")
}

/// A command line on one line: a script may be one of its words.
fn told(command: &Command) -> String {
    let line = command.line().split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= TOLD {
        return line;
    }
    line.chars().take(TOLD).chain(['…']).collect()
}
