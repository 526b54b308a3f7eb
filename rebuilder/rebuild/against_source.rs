//! What only the source can tell about a difference: whether the release was made from it at all.
//!
//! A build copies many files as they are. If it copied one from the source, and the release has other bytes there that the
//! source has nowhere, then no build of this source gives the release: that is no question of tools or of time. A file
//! that only the release has, and the source neither under this name nor with these bytes, came from somewhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::artifact::Sha256;
use crate::compare::{self, Cause, Confidence, Finding, Node, Presence};
use crate::deadline::Deadline;
use crate::plan::{Origin, Plan};
use crate::run::OutputResult;

/// Endings of files that hold machine code or that of a virtual machine.
const BINARIES: [&str; 11] = [
    ".so", ".pyd", ".dll", ".dylib", ".exe", ".a", ".o", ".lib", ".jar", ".class", ".node",
];

/// The sources of a plan, and whether the release itself names them.
pub(super) struct Sources {
    pub(super) archives: Vec<PathBuf>,
    /// Whether a document names them, or they were released under the same version: what they hold is then the publisher's
    /// own word.
    pub(super) published: bool,
}

impl Sources {
    pub(super) fn of(plan: &Plan, archives: Vec<PathBuf>) -> Self {
        let origin = plan.assumptions.iter().find(|it| it.what == "source");
        let published = match origin.map(|it| &it.origin) {
            None | Some(Origin::Declared(_)) => true,
            // The source distribution beside a wheel.
            Some(Origin::Convention(_)) => plan.git.is_empty(),
            Some(_) => false,
        };
        // Whoever published may have changed files in a way that the plan only guesses, or lacks the files themselves.
        let is_open = |what: &str| {
            matches!(
                what,
                "publish tool" | "state of the checkout" | "files that the source lacks" | "left out"
            )
        };
        let guessed = plan
            .assumptions
            .iter()
            .any(|it| is_open(&it.what) && !matches!(it.origin, Origin::Declared(_)));
        Self {
            archives,
            published: published && !guessed,
        }
    }

    /// Says of the files that differ in one output which of them the source explains.
    pub(super) fn attribute(
        &self,
        output: &mut OutputResult,
        released: &Path,
        rebuilt: &Path,
        deadline: &Deadline,
    ) {
        let Some(comparison) = &mut output.differs else {
            return;
        };
        let mut wanted = BTreeSet::new();
        if let Some(tree) = &comparison.tree {
            tree.each("", &mut |path, node| {
                if is_open(node) {
                    wanted.insert(base_name(path).to_owned());
                }
            });
        }
        if wanted.is_empty() || self.archives.is_empty() {
            return;
        }
        // Without all three, nothing is known.
        let read = |path: &Path| Files::read(path, &wanted, deadline);
        let (Ok(released), Ok(rebuilt)) = (read(released), read(rebuilt)) else {
            return;
        };
        let Ok(sources) = self
            .archives
            .iter()
            .map(|path| read(path))
            .collect::<Result<Vec<_>, _>>()
        else {
            return;
        };
        let confidence = if self.published {
            Confidence::Proven
        } else {
            Confidence::Likely
        };
        comparison.attribute(&|path, node| {
            let (cause, key) = judge(path, node, &released, &rebuilt, &sources)?;
            Some((cause, key, confidence))
        });
    }
}

/// Whether something in a file is not explained.
fn is_open(node: &Node) -> bool {
    node.presence != Presence::OnlyRebuilt && node.findings.iter().any(Finding::is_content)
}

fn judge(
    path: &str,
    node: &Node,
    released: &Files,
    rebuilt: &Files,
    sources: &[Files],
) -> Option<(Cause, &'static str)> {
    if !is_open(node) {
        return None;
    }
    let theirs = released.digest(path)?;
    let name = base_name(path);
    let in_source = |digest: Sha256| sources.iter().any(|files| files.has(name, digest));
    if in_source(theirs) {
        return None;
    }
    if node.presence == Presence::Both {
        let copied = rebuilt.digest(path).is_some_and(in_source);
        return copied.then_some((
            Cause::OtherSource,
            "files that every build copies are others in the release",
        ));
    }
    if sources.iter().any(|files| files.by_name.contains_key(name)) {
        return None;
    }
    // `x.cpython-311-x86_64-linux-gnu.so` and `libx.so.5` are binaries too.
    let binary = BINARIES
        .iter()
        .any(|ending| name.ends_with(ending) || name.contains(&format!("{ending}.")));
    Some(if binary {
        (
            Cause::NotFromSource,
            "binaries that the source neither holds nor makes",
        )
    } else {
        (Cause::MissingFromSource, "files that the source does not have")
    })
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The files of an archive that have one of some names.
#[derive(Default)]
struct Files {
    /// Path and digest, by base name.
    by_name: BTreeMap<String, Vec<(String, Sha256)>>,
}

impl Files {
    fn read(
        archive: &Path,
        wanted: &BTreeSet<String>,
        deadline: &Deadline,
    ) -> Result<Self, compare::MemberError> {
        let mut files = Self::default();
        let mut take = |path: &str, content: &mut dyn Read| -> io::Result<()> {
            let name = base_name(path);
            if wanted.contains(name) {
                let (digest, _) = Sha256::of_reader(content)?;
                let known = files.by_name.entry(name.to_owned()).or_default();
                known.push((path.to_owned(), digest));
            }
            Ok(())
        };
        compare::each_file(archive, deadline, &mut take)?;
        Ok(files)
    }

    /// The digest of the file at this path of a comparison, which may begin with the names of outer archives.
    fn digest(&self, path: &str) -> Option<Sha256> {
        let mut files = self.by_name.get(base_name(path))?.iter();
        let (_, digest) = files.find(|(own, _)| {
            let own = own.trim_start_matches("./");
            path.strip_suffix(own)
                .is_some_and(|above| above.is_empty() || above.ends_with('/'))
        })?;
        Some(*digest)
    }

    fn has(&self, name: &str, digest: Sha256) -> bool {
        let files = self.by_name.get(name);
        files.is_some_and(|files| files.iter().any(|(_, own)| *own == digest))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::sample;

    /// Whether the source counts as the publisher's own word, with these assumptions beside it.
    fn published(assumptions: &serde_json::Value, git: bool) -> bool {
        let archive = json!({"place": "source.tar", "source": {"repository": "https://example.org/x"}, "submodules": false});
        let git = if git { vec![archive] } else { Vec::new() };
        let plan = sample::plan(&json!({"git": git, "assumptions": assumptions}));
        Sources::of(&plan, Vec::new()).published
    }

    #[test]
    fn nobody_is_accused_by_a_source_that_is_guessed_or_may_have_been_changed() {
        let said = |what: &str, origin: &str| json!({"what": what, "value": "v", "origin": {origin: "it"}});
        for (source, git, more, expected) in [
            (None, true, None, true),
            (Some("declared"), true, None, true),
            (Some("convention"), false, None, true),
            (Some("convention"), true, None, false),
            (Some("inferred"), true, None, false),
            (Some("tried"), true, None, false),
            (Some("declared"), true, Some(("clock", "inferred")), true),
            (Some("declared"), true, Some(("publish tool", "declared")), true),
            (Some("declared"), true, Some(("publish tool", "inferred")), false),
            (
                Some("declared"),
                true,
                Some(("state of the checkout", "inferred")),
                false,
            ),
            (
                Some("declared"),
                true,
                Some(("state of the checkout", "tried")),
                false,
            ),
            (
                Some("declared"),
                true,
                Some(("files that the source lacks", "convention")),
                false,
            ),
            (Some("declared"), true, Some(("left out", "inferred")), false),
            (
                Some("convention"),
                false,
                Some(("publish tool", "inferred")),
                false,
            ),
        ] {
            let source = source.map(|origin| said("source", origin));
            let more_said = more.map(|(what, origin)| said(what, origin));
            let all: Vec<_> = source.clone().into_iter().chain(more_said).collect();
            assert_eq!(published(&json!(all), git), expected, "{source:?} {git} {more:?}");
        }
    }
}
