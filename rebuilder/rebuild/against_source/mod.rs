//! What only the source can tell about a difference: whether the release was made from it at all.
//!
//! A build copies many files as they are. If it copied one from the source, and the release has other bytes there that the
//! source has nowhere, then no build of this source gives the release: that is no question of tools or of time. A file
//! that only the release has, and the source neither under this name nor with these bytes, came from somewhere else.
//!
//! A file that builds write may be the same in the source and in this build, since the source archive was written by a
//! build too: `top_level.txt`, a module with the version, a minified script. It accuses nobody. Neither does a source
//! that has code of its own for the build, since that may change files on one machine and leave them on another
//! (`own_code`), nor a line that only has the version or the commit of the release.

mod own_code;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use packageurl::PackageUrl;

use crate::artifact::Sha256;
use crate::compare::{self, Cause, Comparison, Confidence, Finding, Node, Presence};
use crate::deadline::Deadline;
use crate::plan::{Origin, Plan};
use crate::run::OutputResult;

/// Endings of files that hold machine code or that of a virtual machine.
const BINARIES: [&str; 11] = [
    ".so", ".pyd", ".dll", ".dylib", ".exe", ".a", ".o", ".lib", ".jar", ".class", ".node",
];

/// What publishing tools write, such as lerna, pnpm and semantic-release.
const WRITTEN: [&str; 3] = ["package.json", "changelog", "history"];
/// Number of bytes of a build script that are searched.
const LONGEST_SCRIPT: u64 = 1 << 20;

/// Number of bytes of a file whose text is compared; longer ones accuse nobody.
const LONGEST_TEXT: u64 = 1 << 18;

/// The sources of a plan, and whether the release itself names them.
pub(super) struct Sources {
    pub(super) archives: Vec<PathBuf>,
    /// Whether a document names them, or they were released under the same version: what they hold is then the publisher's
    /// own word.
    pub(super) published: bool,
    /// Whether they come from a repository, whose workflows may have changed what they check out.
    pub(super) checked_out: bool,
    /// The name of what was released.
    pub(super) package: Option<String>,
    /// The version of what was released.
    pub(super) version: Option<String>,
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
                    | "submodules"
                    | "system that it was packed on"
            )
        };
        let guessed = plan
            .assumptions
            .iter()
            .any(|it| is_open(&it.what) && !matches!(it.origin, Origin::Declared(_)));
        let purl = plan.expected.first();
        let purl = purl.and_then(|expected| PackageUrl::from_str(&expected.purl).ok());
        let version = purl.as_ref().and_then(|purl| purl.version().map(str::to_owned));
        Self {
            archives,
            published: published && !guessed,
            checked_out: !plan.git.is_empty(),
            package: purl.map(|purl| purl.name().to_owned()),
            version,
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
        let package = self.package.as_deref().unwrap_or_default();
        let read = |path: &Path, whole: bool| Files::read(path, &wanted, whole, package, deadline);
        let (Ok(released), Ok(rebuilt)) = (read(released, false), read(rebuilt, false)) else {
            return;
        };
        let Ok(mut sources) = self
            .archives
            .iter()
            .map(|path| read(path, true))
            .collect::<Result<Vec<_>, _>>()
        else {
            return;
        };
        for files in &mut sources {
            files.rewrites |= files.workflows && self.checked_out;
        }
        comparison.attribute(&|path, node| {
            let (cause, key, sure) = judge(
                path,
                node,
                (&released, &rebuilt),
                &sources,
                self.version.as_deref(),
            )?;
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
    (released, rebuilt): (&Files, &Files),
    sources: &[Files],
    version: Option<&str>,
) -> Option<(Cause, &'static str, bool)> {
    if !is_open(node) {
        return None;
    }
    let theirs = released.at(path)?;
    let name = base_name(path);
    // Under any name: a setup may copy one of several files over another.
    if sources.iter().any(|files| files.digests.contains(&theirs.digest)) {
        return None;
    }
    if node.presence == Presence::Both {
        let own = rebuilt.at(path)?;
        let from = |files: &Files| {
            let mut copies = files.named(name).filter(|file| file.digest == own.digest);
            let copied = copies.clone().any(|file| !in_metadata(&file.path));
            let only = files.named(name).count() == 1;
            let fits = only || copies.any(|file| folder_name(&file.path) == folder_name(path));
            copied.then_some(fits)
        };
        let found: Vec<_> = sources.iter().filter_map(from).collect();
        let by_hand = match (&own.text, &theirs.text) {
            (Some(own), Some(theirs)) => text::accuses(own, theirs, version),
            _ => false,
        };
        let any = |is: fn(&Files) -> bool| sources.iter().any(is);
        let rewrites = any(|files| files.rewrites) || any(|files| files.rules) && any(|files| files.program);
        let sure = found.contains(&true) && by_hand && !rewrites && !in_metadata(path) && !is_written(name);
        let key = if sure {
            "files that every build copies are others in the release"
        } else {
            "files of the source differ in the release, and something else may have changed them"
        };
        return (!found.is_empty()).then_some((Cause::OtherSource, key, sure));
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

/// Whether publishing tools write files of this name.
fn is_written(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let stem = name.strip_suffix(".md").or(name.strip_suffix(".txt"));
    WRITTEN.contains(&stem.unwrap_or(&name))
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

struct File {
    path: String,
    digest: Sha256,
    /// What it says, if it is a short text.
    text: Option<String>,
}

/// The files of an archive that have one of some names.
#[derive(Default)]
struct Files {
    by_name: BTreeMap<String, Vec<File>>,
    /// The digests of all files, whatever their names.
    digests: BTreeSet<Sha256>,
    /// Whether code of its own may change files while they are built.
    rewrites: bool,
    /// Whether a workflow may change files once it checked them out.
    workflows: bool,
    /// Whether `debian/rules` builds it.
    rules: bool,
    /// Whether it has a program, such as a makefile, that builds and installs it.
    program: bool,
}

impl Files {
    /// Reads the files with wanted names; of a `whole` archive, the digests of all files and the build scripts of this
    /// package as well.
    fn read(
        archive: &Path,
        wanted: &BTreeSet<String>,
        whole: bool,
        package: &str,
        deadline: &Deadline,
    ) -> Result<Self, compare::MemberError> {
        let mut files = Self::default();
        let mut take = |path: &str, content: &mut dyn Read| -> io::Result<()> {
            let name = base_name(path);
            let is_script = whole && own_code::is_script(path);
            let is_wanted = wanted.contains(name);
            if !whole && !is_wanted {
                return Ok(());
            }
            let length = match (is_script, is_wanted) {
                (true, _) => LONGEST_SCRIPT,
                // One byte more shows that it is longer.
                (false, true) => LONGEST_TEXT.saturating_add(1),
                (false, false) => 0,
            };
            let mut head = Vec::new();
            Read::take(&mut *content, length).read_to_end(&mut head)?;
            let (digest, _) = Sha256::of_reader(&mut head.as_slice().chain(content))?;
            if is_script {
                let text = String::from_utf8_lossy(&head);
                files.rewrites |= own_code::changes_files(path, &text, package);
                files.workflows |= own_code::edits_checkout(path, &text);
            }
            if whole {
                files.digests.insert(digest);
                files.rules |= own_code::is_rules(path);
                files.program |= own_code::is_program(path);
            }
            if is_wanted {
                let text = !whole && head.len() as u64 <= LONGEST_TEXT && !head.contains(&0);
                let file = File {
                    path: path.to_owned(),
                    digest,
                    text: text.then(|| String::from_utf8(head).ok()).flatten(),
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
mod tests;
