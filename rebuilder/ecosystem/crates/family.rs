//! The repository of a crate that names none, but whose name begins with that of another crate.
//!
//! The crate names its commit, and the name of a commit is a digest: a repository that has it in the history of a branch
//! or a tag is the right one, however it was found.

use super::folder;
use super::package::Package;
use super::registry::{self, Version};
use crate::artifact::git_source::GitSource;
use crate::artifact::{Ecosystem, Subject};
use crate::ecosystem::repository;
use crate::plan::Origin;
use crate::store::{Checkout, Fetcher};

/// The commit of a crate in the repository of its family.
pub(super) async fn source(
    fetcher: &Fetcher,
    version: &Version,
    package: &Package,
) -> Option<(GitSource, Origin)> {
    let commit = package.commit.as_deref()?;
    for name in above(&version.name) {
        let subject = Subject::new(Ecosystem::Crates, name, None);
        let Ok((page, newest)) = registry::find(fetcher, &subject).await else {
            continue;
        };
        let Ok((_, _, relative, _)) = registry::released(fetcher, &page, &newest).await else {
            continue;
        };
        let repository = repository::of_addresses(&relative.addresses);
        let source = repository.and_then(|it| GitSource::new(&it, None, Some(commit)).ok());
        let Some(source) = source else {
            continue;
        };
        if !fetcher
            .git_is_reachable(&source.repository, commit)
            .await
            .unwrap_or(false)
        {
            continue;
        }
        let checkout = fetcher.git_or_parts(&source).await.ok();
        let has_package = |it: &Checkout| folder::has_package(it, &version.name, &version.version).ok();
        if checkout.as_ref().and_then(has_package) == Some(true) {
            let from = format!(
                "repository in Cargo.toml of {name} {}, which has the commit that .cargo_vcs_info.json of the crate names",
                newest.version
            );
            return Some((source, Origin::Inferred(from)));
        }
    }
    None
}

/// The names that a name begins with: without its last word, without its last two, and so on.
fn above(name: &str) -> impl Iterator<Item = &str> {
    let ends = name.rmatch_indices(['-', '_']).map(|(at, _)| at);
    ends.filter_map(|at| name.get(..at))
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_the_first_words_of_a_name() {
        for (name, expected) in [
            ("openssl-macros", &["openssl"][..]),
            ("a-b_c", &["a-b", "a"]),
            ("alone", &[]),
            ("-odd", &[]),
        ] {
            assert_eq!(above(name).collect::<Vec<_>>(), expected, "{name}");
        }
    }
}
