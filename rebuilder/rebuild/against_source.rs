//! What only the source can tell about a difference: whether the release was made from it at all.
//!
//! A build copies many files as they are. If it copied one from the source, and the release has other bytes there that the
//! source has nowhere, then no build of this source gives the release: that is no question of tools or of time. A file
//! that only the release has, and the source neither under this name nor with these bytes, came from somewhere else.
//!
//! A file that builds write may be the same in the source and in this build, since the source archive was written by a
//! build too: `top_level.txt`, a module with the version. It accuses nobody, and neither does a build that rewrites code
//! with some tools and copies it with others (`2to3`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::artifact::Sha256;
use crate::compare::{self, Cause, Comparison, Confidence, Finding, Node, Presence};
use crate::deadline::Deadline;
use crate::plan::{Origin, Plan};
use crate::run::OutputResult;

/// Endings of files that hold machine code or that of a virtual machine.
const BINARIES: [&str; 11] = [
    ".so", ".pyd", ".dll", ".dylib", ".exe", ".a", ".o", ".lib", ".jar", ".class", ".node",
];

/// Files that say how a Python package is built, and words in them which say that building rewrites modules.
const BUILD_SCRIPTS: [&str; 3] = ["setup.py", "setup.cfg", "pyproject.toml"];
const REWRITES: [&str; 3] = ["2to3", "3to2", "build_py"];
/// Number of bytes of a build script that are searched.
const LONGEST_SCRIPT: u64 = 1 << 20;

/// What programs write into files that they generate, in lower case.
const MARKS: [&str; 4] = ["generated", "do not edit", "do not modify", "don't edit"];
/// Number of bytes at the beginning of a file that are searched for these marks.
const HEAD: usize = 4096;
/// Number of visible bytes that a file must have at least: what is shorter may be the same by chance.
const LEAST: usize = 8;

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
                "publish tool"
                    | "state of the checkout"
                    | "files that the source lacks"
                    | "left out"
                    | "system that it was packed on"
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
        if let Some(comparison) = &mut output.differs {
            self.explain(comparison, released, rebuilt, deadline);
        }
    }

    fn explain(&self, comparison: &mut Comparison, released: &Path, rebuilt: &Path, deadline: &Deadline) {
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
        comparison.attribute(&|path, node| {
            let (cause, key, sure) = judge(path, node, &released, &rebuilt, &sources)?;
            let confidence = if self.published && sure {
                Confidence::Proven
            } else {
                Confidence::Likely
            };
            Some((cause, key, confidence))
        });
    }
}

/// Whether something in a file is not explained.
fn is_open(node: &Node) -> bool {
    node.presence != Presence::OnlyRebuilt && node.findings.iter().any(Finding::is_content)
}

/// What the sources say of a file that differs, and whether they leave no doubt.
fn judge(
    path: &str,
    node: &Node,
    released: &Files,
    rebuilt: &Files,
    sources: &[Files],
) -> Option<(Cause, &'static str, bool)> {
    if !is_open(node) {
        return None;
    }
    let theirs = released.at(path)?.digest;
    let name = base_name(path);
    if sources
        .iter()
        .any(|files| files.named(name).any(|file| file.digest == theirs))
    {
        return None;
    }
    if node.presence == Presence::Both {
        let own = rebuilt.at(path)?;
        let from = |files: &Files| {
            let mut copies = files.named(name).filter(|file| file.digest == own.digest);
            let copied = copies.clone().any(|file| !in_metadata(&file.path));
            let only = files.named(name).count() == 1;
            let fits = only || copies.any(|file| folder_name(&file.path) == folder_name(path));
            copied.then_some(fits && !files.rewrites)
        };
        let found: Vec<_> = sources.iter().filter_map(from).collect();
        let sure = found.contains(&true) && own.is_written && !in_metadata(path);
        return (!found.is_empty()).then_some((
            Cause::OtherSource,
            "files that every build copies are others in the release",
            sure,
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
            true,
        )
    } else {
        (
            Cause::MissingFromSource,
            "files that the source does not have",
            true,
        )
    })
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The name of the folder that a file is in.
fn folder_name(path: &str) -> Option<&str> {
    path.rsplit('/').nth(1)
}

/// Whether a file is in a folder that builds of Python packages write.
fn in_metadata(path: &str) -> bool {
    let mut folders = path.rsplit('/').skip(1);
    folders.any(|name| name.ends_with(".dist-info") || name.ends_with(".egg-info") || name == "EGG-INFO")
}

/// Whether somebody wrote a file that begins like this: it has some content, and does not say that a program made it.
fn is_written(head: &[u8]) -> bool {
    let visible = head.iter().filter(|byte| !byte.is_ascii_whitespace()).count();
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    visible >= LEAST && !MARKS.iter().any(|mark| text.contains(mark))
}

struct File {
    path: String,
    digest: Sha256,
    is_written: bool,
}

/// The files of an archive that have one of some names.
#[derive(Default)]
struct Files {
    by_name: BTreeMap<String, Vec<File>>,
    /// Whether a build script speaks of rewriting modules.
    rewrites: bool,
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
            let is_script = BUILD_SCRIPTS.contains(&name) && path.split('/').count() <= 2;
            if !is_script && !wanted.contains(name) {
                return Ok(());
            }
            let mut head = Vec::new();
            let length = if is_script { LONGEST_SCRIPT } else { HEAD as u64 };
            Read::take(&mut *content, length).read_to_end(&mut head)?;
            if is_script {
                let text = String::from_utf8_lossy(&head);
                files.rewrites |= REWRITES.iter().any(|word| text.contains(word));
            }
            if wanted.contains(name) {
                let (digest, _) = Sha256::of_reader(&mut head.as_slice().chain(content))?;
                let beginning = head.get(..HEAD).unwrap_or(&head);
                let file = File {
                    path: path.to_owned(),
                    digest,
                    is_written: is_written(beginning),
                };
                files.by_name.entry(name.to_owned()).or_default().push(file);
            }
            Ok(())
        };
        compare::each_file(archive, deadline, &mut take)?;
        Ok(files)
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &File> + Clone {
        self.by_name.get(name).into_iter().flatten()
    }

    /// The file at this path of a comparison, which may begin with the names of outer archives.
    fn at(&self, path: &str) -> Option<&File> {
        self.named(base_name(path)).find(|file| {
            let own = file.path.trim_start_matches("./");
            path.strip_suffix(own)
                .is_some_and(|above| above.is_empty() || above.ends_with('/'))
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

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
            // Git may give files other line ends there.
            (
                Some("declared"),
                true,
                Some(("system that it was packed on", "inferred")),
                false,
            ),
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
    /// Writes a tar archive with these files.
    fn archive(path: &Path, files: &[(&str, &str)]) {
        let mut tar = tar::Builder::new(std::fs::File::create(path).unwrap());
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        tar.finish().unwrap();
    }

    #[test]
    fn only_a_file_that_somebody_wrote_and_every_build_copies_accuses() {
        const CODE: &str = "import sys\n";
        const OTHER: &str = "import subprocess\n";
        const METADATA: &str = "p-1.dist-info/top_level.txt";
        let proven = Some(Confidence::Proven);
        let likely = Some(Confidence::Likely);
        let setup = ("p-1/setup.py", "setup(cmdclass={'build_py': build_py_2to3})");
        let module = |name: &'static str| (name, CODE);
        for (what, source, path, rebuilt, released, expected) in [
            ("code", vec![module("p-1/p/x.py")], "p/x.py", CODE, OTHER, proven),
            (
                "another folder, as in a layout with src",
                vec![module("p-1/src/x.py")],
                "p/x.py",
                CODE,
                OTHER,
                proven,
            ),
            (
                "one of two, in this folder",
                vec![module("p-1/p/x.py"), ("p-1/q/x.py", "a = 'another'\n")],
                "p/x.py",
                CODE,
                OTHER,
                proven,
            ),
            (
                "one of two, in another folder",
                vec![module("p-1/q/x.py"), ("p-1/r/x.py", "a = 'another'\n")],
                "p/x.py",
                CODE,
                OTHER,
                likely,
            ),
            (
                "rewritten by some tools",
                vec![module("p-1/p/x.py"), setup],
                "p/x.py",
                CODE,
                OTHER,
                likely,
            ),
            (
                "written by a program",
                vec![(
                    "p-1/p/_version.py",
                    "# file generated by setuptools-scm\nversion = '1'\n",
                )],
                "p/_version.py",
                "# file generated by setuptools-scm\nversion = '1'\n",
                "# file generated by setuptools-scm\nversion = '1'\nTYPE = str\n",
                likely,
            ),
            (
                "next to nothing",
                vec![("p-1/p/__init__.py", "\n")],
                "p/__init__.py",
                "\n",
                OTHER,
                likely,
            ),
            (
                "metadata that builds write",
                vec![("p-1/p.egg-info/top_level.txt", "\n")],
                METADATA,
                "\n",
                "azure\n",
                None,
            ),
            (
                "metadata that builds write, with a file of the same name beside it",
                vec![("p-1/top_level.txt", "azure and others\n")],
                METADATA,
                "azure and others\n",
                "azure\n",
                likely,
            ),
            (
                "built",
                vec![("p-1/p/x.py", "# x\n")],
                "p/x.py",
                CODE,
                OTHER,
                None,
            ),
            (
                "in the source under another path",
                vec![module("p-1/p/x.py"), ("p-1/tests/x.py", OTHER)],
                "p/x.py",
                CODE,
                OTHER,
                None,
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let place = |name: &str| folder.path().join(name);
            archive(&place("source.tar"), &source);
            archive(&place("released.tar"), &[(path, released)]);
            archive(&place("rebuilt.tar"), &[(path, rebuilt)]);
            let sources = Sources {
                archives: vec![place("source.tar")],
                published: true,
            };
            let (released, rebuilt) = (place("released.tar"), place("rebuilt.tar"));
            let mut comparison = compare::compare(&released, &rebuilt, &compare::Options::default()).unwrap();
            sources.explain(
                &mut comparison,
                &released,
                &rebuilt,
                &Deadline::within(std::time::Duration::from_mins(1)),
            );
            let causes = comparison.open_causes();
            let found = causes.iter().find(|(cause, _)| *cause == Cause::OtherSource);
            assert_eq!(found.map(|(_, sure)| *sure), expected, "{what}: {causes:?}");
        }
    }
}
