//! The commit around that of the version's tag whose files fit the released tarball best.
//!
//! Some publishers set the tag before or after the last change that they release. `npm pack` copies most files as they
//! are, so the released ones tell the commit. It is looked for only among the commits of branches, near the tag, whose
//! `package.json` has the released version, and the result is built and compared like any other source.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::Path;

use nodejs_semver::Version as SemVer;
use sha1::{Digest as _, Sha1};

use super::manifest::Package;
use super::registry;
use super::source::{NPM_MARK, directory};
use crate::artifact::git_source::GitSource;
use crate::compare;
use crate::deadline::Deadline;
use crate::ecosystem::{PlanError, repository};
use crate::evidence::npm::Version;
use crate::plan::Origin;
use crate::store::{Fetcher, Wanted};

/// The file that has the version.
const MANIFEST: &str = "package.json";
/// Maximum number of bytes of a released file that is looked for.
const LARGEST: u64 = 16 << 20;
/// Maximum number of manifests of a source that are read to find that of the package.
const MOST_MANIFESTS: usize = 100;
/// Maximum number of released files that are looked for.
const MOST: usize = 5_000;

/// The commit to take instead of the tag's, and why; `None` if no other one has more of the released files.
pub(super) async fn commit(
    fetcher: &Fetcher,
    tagged: &GitSource,
    version: &Version,
    folder: &str,
    released: &Path,
) -> Result<Option<(GitSource, Origin)>, PlanError> {
    let Some(of_tag) = tagged.commit.as_deref() else {
        return Ok(None);
    };
    let files = contents(released);
    let fits = |text: &[u8]| {
        let package: Result<Package, _> = serde_json::from_slice(text);
        package.is_ok_and(|it| {
            it.name.as_deref() == Some(version.name.as_str())
                && it.version.as_deref() == Some(version.version.as_str())
        })
    };
    let wanted = Wanted {
        folder,
        files: &files,
        manifest: MANIFEST,
    };
    let found = fetcher
        .git_fitting(&tagged.repository, of_tag, wanted, fits)
        .await?;
    let Some(found) = found else {
        return Ok(None);
    };
    let Ok(source) = GitSource::new(&tagged.repository, None, Some(&found.commit)) else {
        return Ok(None);
    };
    let from = format!(
        "of the commits around {of_tag} whose package.json is of this version, it has most of the released files: {} of {}, \
         and that one {}",
        found.same,
        files.len(),
        found.at_first
    );
    Ok(Some((source, Origin::Inferred(from))))
}

/// The commit to take if the version has neither a tag nor a commit that set it, and why.
///
/// A commit that an earlier version was already made from, or one before it, is not taken: code that was mended since
/// could be released under a new version, and would be found there.
pub(super) async fn untagged(
    fetcher: &Fetcher,
    repository: &str,
    version: &Version,
    folder: &str,
    released: &Path,
) -> Result<Option<(GitSource, Origin)>, PlanError> {
    let Some(earlier) = Earlier::of(fetcher, repository, version).await? else {
        return Ok(None);
    };
    let fits = |text: &[u8]| {
        let package: Result<Package, _> = serde_json::from_slice(text);
        package.is_ok_and(|it| earlier.fits(it.version.as_deref()))
    };
    let files = contents(released);
    let wanted = Wanted {
        folder,
        files: &files,
        manifest: MANIFEST,
    };
    let Some(found) = fetcher
        .git_without_others(repository, wanted, &earlier.tagged, fits)
        .await?
    else {
        return Ok(None);
    };
    let Ok(source) = GitSource::new(repository, None, Some(&found.commit)) else {
        return Ok(None);
    };
    let from = format!(
        "repository in the registry's metadata, which has neither a tag nor a commit for the version; no commit has \
         more of the released files, {} of {}, without another file in the place of one",
        found.same,
        files.len()
    );
    Ok(Some((source, Origin::Inferred(from))))
}

/// What is known about the versions before the released one.
struct Earlier {
    this: SemVer,
    /// The commits of their tags.
    tagged: BTreeSet<String>,
    /// All versions that the registry has.
    others: Vec<SemVer>,
}

impl Earlier {
    /// Asks the repository for tags, and the registry for versions; `None` if the released one cannot be compared.
    async fn of(fetcher: &Fetcher, repository: &str, version: &Version) -> Result<Option<Self>, PlanError> {
        let Ok(this) = SemVer::parse(&version.version) else {
            return Ok(None);
        };
        let is_earlier = |text: &str| SemVer::parse(text).is_ok_and(|other| other < this);
        let name = version.name.rsplit('/').next().unwrap_or_default();
        let tags = fetcher.git_tags(repository).await?;
        let tagged = repository::tags_of(&tags, (name, NPM_MARK), is_earlier);
        let tagged = tagged.map(|tag| tag.commit.clone()).collect();
        let others = registry::versions(fetcher, &version.name).await?;
        let others = others.iter().filter_map(|text| SemVer::parse(text).ok());
        let others = others.collect();
        Ok(Some(Self { this, tagged, others }))
    }

    /// Whether a commit whose `package.json` has the version `found` may be the source of the released one.
    ///
    /// A number in the place of a version, such as 0.0.0-development, says nothing. Then only tags tell which commits
    /// earlier versions were made from.
    fn fits(&self, found: Option<&str>) -> bool {
        let found = found.and_then(|text| SemVer::parse(text).ok());
        let mut others = self.others.iter().filter(|other| **other < self.this);
        match found.filter(|it| (it.major(), it.minor(), it.patch()) != (0, 0, 0)) {
            Some(found) => !others.any(|other| found < *other),
            None => !self.tagged.is_empty() || others.next().is_none(),
        }
    }
}

/// Whether a commit that only the registry names, and whose `package.json` has another version, cannot be that of the
/// released version: an earlier one was made from it, or from one after it.
pub(super) async fn is_of_an_earlier_version(
    fetcher: &Fetcher,
    source: &GitSource,
    version: &Version,
) -> Result<bool, PlanError> {
    let Some(commit) = source.commit.as_deref() else {
        return Ok(false);
    };
    let checkout = fetcher.git_or_parts(source).await?;
    let named = format!("{}/{MANIFEST}", directory(version));
    let mut places = vec![named.trim_start_matches('/').to_owned(), MANIFEST.to_owned()];
    let below = format!("/{MANIFEST}");
    let others = checkout.paths()?.into_iter();
    places.extend(others.filter(|path| path.ends_with(&below)).take(MOST_MANIFESTS));
    let mut found = None;
    for place in places {
        let text = checkout.file(&place)?.unwrap_or_default();
        let package: Option<Package> = serde_json::from_slice(&text).ok();
        let package = package.filter(|it| it.name.as_deref() == Some(version.name.as_str()));
        if let Some(package) = package {
            found = package.version;
            break;
        }
    }
    if found.as_deref() == Some(version.version.as_str()) {
        return Ok(false);
    }
    let Some(earlier) = Earlier::of(fetcher, &source.repository, version).await? else {
        return Ok(true);
    };
    Ok(!earlier.fits(found.as_deref())
        || fetcher
            .git_is_before(&source.repository, commit, &earlier.tagged)
            .await?)
}

/// The files of a tarball without their first folder, with the names that git gives their contents; what cannot be
/// read is left out.
fn contents(released: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let _ = compare::each_file(released, &Deadline::default(), &mut |path, content| {
        let Some((_, below)) = path.split_once('/') else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        content.take(LARGEST + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 <= LARGEST && found.len() < MOST {
            found.insert(below.to_owned(), name_of(&bytes));
        }
        Ok::<_, io::Error>(())
    });
    found
}

/// What git calls a file with this content.
fn name_of(content: &[u8]) -> String {
    let mut digest = Sha1::new();
    digest.update(format!("blob {}\0", content.len()));
    digest.update(content);
    hex::encode(digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_before_an_earlier_version_is_not_that_of_a_later_one() {
        for (this, found, tagged, expected) in [
            ("1.0.2", Some("1.0.1"), true, true),
            ("1.0.2", Some("1.0.1"), false, true),
            ("1.0.2", Some("1.0.0"), true, false),
            ("1.0.2", Some("1.0.3-dev"), false, true),
            ("2.0.0", Some("1.0.2"), true, false),
            ("1.0.2", Some("0.0.0-development"), true, true),
            ("1.0.2", Some("0.0.0-development"), false, false),
            ("1.0.2", Some("source"), false, false),
            ("1.0.2", None, true, true),
            ("1.0.0", None, false, true),
        ] {
            let parsed = |text: &str| SemVer::parse(text).unwrap();
            let earlier = Earlier {
                this: parsed(this),
                tagged: tagged.then(|| "ab".repeat(20)).into_iter().collect(),
                others: ["1.0.0", "1.0.1", "1.0.2", "1.1.0-rc.1", "2.0.0"]
                    .map(parsed)
                    .into(),
            };
            assert_eq!(earlier.fits(found), expected, "{this} {found:?} {tagged}");
        }
    }

    #[test]
    fn contents_have_the_names_that_git_gives_them() {
        for (content, name) in [
            ("", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
            ("hello\n", "ce013625030ba8dba906f756967f9e9ca394464a"),
        ] {
            assert_eq!(name_of(content.as_bytes()), name);
        }
    }
}
