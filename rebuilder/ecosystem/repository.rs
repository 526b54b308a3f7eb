//! The repository that a package's metadata leads to, and the tag of a version; for packages that name no commit.

use super::PlanError;
use crate::artifact::git_source;
use crate::artifact::git_source::GitSource;
use crate::store::{Fetcher, Tag};

/// Hosts of public repositories, whose addresses have the form `HOST/OWNER/NAME`.
const HOSTS: [&str; 5] = [
    "github.com",
    "gitlab.com",
    "codeberg.org",
    "bitbucket.org",
    "git.sr.ht",
];

/// The first address that is a repository on a known public host, or on any host if its path ends in `.git`.
pub(super) fn of_addresses(addresses: &[String]) -> Option<String> {
    let of_host = |address: &String| {
        let url = url::Url::parse(address).ok()?;
        let host = url.host_str()?.trim_start_matches("www.");
        let parts: Vec<_> = url
            .path()
            .split('/')
            .filter(|part| !part.is_empty())
            .take(2)
            .collect();
        let [owner, name] = parts[..] else { return None };
        let known = HOSTS.contains(&host) && owner != "sponsors" && owner != "orgs";
        known.then(|| format!("https://{host}/{owner}/{name}"))
    };
    addresses
        .iter()
        .find_map(|address| git_source::address(&of_host(address)?).ok())
}

/// Whether an address is of a repository with the name of the package, or below one.
pub(super) fn is_named(address: &str, package: &str) -> bool {
    let repository = of_addresses(&[address.to_owned()]);
    let name = repository
        .as_deref()
        .and_then(|repository| repository.rsplit('/').next());
    name.is_some_and(|name| plain(name.trim_end_matches(".git")) == plain(package))
}

/// The commit of a version's tag, and the tag's name; `mark` is what a tag for this registry alone may end in, and
/// `cannot` makes an error from a reason.
pub(super) async fn tagged(
    fetcher: &Fetcher,
    repository: &str,
    (package, version, mark): (&str, &str, &str),
    fits: impl Fn(&str) -> bool,
    cannot: impl Fn(String) -> PlanError,
) -> Result<(GitSource, String), PlanError> {
    let tags = fetcher.git_tags(repository).await?;
    let tag = tag_of_version(&tags, (package, mark), fits)
        .ok_or_else(|| cannot(format!("{repository} has no tag for {version}")))?;
    let reference = format!("refs/tags/{}", tag.name);
    let source = GitSource::new(repository, Some(&reference), Some(&tag.commit))
        .map_err(|error| cannot(error.to_string()))?;
    Ok((source, tag.name.clone()))
}

/// What is wrong with a commit that does not belong to the repository.
pub(super) fn foreign(repository: &str, commit: &str, named_by: &str) -> String {
    format!(
        "{named_by} names {commit}, which is in the history of no branch and no tag of {repository} (anyone can add such \
         a commit with a pull request)"
    )
}

/// The rank of a tag that names nothing but the version.
const PLAIN: usize = 10;

/// The tag whose name ends in a version that `fits`, with nothing before it but a usual word or the package's name.
///
/// A project that keeps what it releases to a registry apart from its source marks the tag of it. Such a tag is
/// preferred.
fn tag_of_version<'a>(
    tags: &'a [Tag],
    (package, mark): (&str, &str),
    fits: impl Fn(&str) -> bool,
) -> Option<&'a Tag> {
    let own = plain(package);
    let ranked = tags
        .iter()
        .filter_map(|tag| Some((rank(tag, (&own, mark), &fits)?, tag)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, tag)| tag)
}

/// All tags of versions of a package that `fits` accepts.
pub(super) fn tags_of<'a>(
    tags: &'a [Tag],
    (package, mark): (&str, &str),
    fits: impl Fn(&str) -> bool,
) -> impl Iterator<Item = &'a Tag> {
    let own = plain(package);
    tags.iter()
        .filter(move |tag| rank(tag, (&own, mark), &fits).is_some())
}

/// How little a tag may be that of a version that `fits`; `None` if it cannot be. `own` is the plain name of the package.
fn rank(tag: &Tag, (own, mark): (&str, &str), fits: impl Fn(&str) -> bool) -> Option<(bool, usize)> {
    let marked = tag.name.strip_suffix(mark).filter(|_| !mark.is_empty());
    let name = marked.unwrap_or(&tag.name);
    let rest = |at: usize| &name[at..];
    let starts = name.char_indices().map(|(at, _)| at);
    let at = starts
        .filter(|at| starts_version(name, *at))
        .find(|at| fits(rest(*at)))?;
    let before = &name[..at];
    let scoped = before.strip_prefix('@').and_then(|it| it.split_once('/'));
    let before = plain(scoped.map_or(before, |(_, name)| name));
    let before = before.strip_suffix('v').unwrap_or(&before).trim_matches('-');
    // A tag that names the package is of it. One that names none may be of another package of the repository.
    let rank = match before {
        before if before == own => 0,
        "" => PLAIN,
        "release" | "rel" | "version" | "ver" | "r" | "releases" => PLAIN + 1,
        // Members of a family of packages are often named without what all of them begin with.
        before => {
            let family = own.strip_suffix(before)?.strip_suffix('-')?;
            family.split('-').count().min(PLAIN - 1)
        }
    };
    Some((marked.is_none(), rank))
}

/// Whether a version may begin here: with a digit that is not part of an earlier number.
fn starts_version(name: &str, at: usize) -> bool {
    let digit = name[at..].starts_with(|c: char| c.is_ascii_digit());
    digit && !name[..at].ends_with(|c: char| c.is_ascii_digit() || c == '.')
}

/// Lower case, with dashes for all separators.
fn plain(text: &str) -> String {
    let dashed = text
        .to_ascii_lowercase()
        .replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    dashed.trim_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_tag_however_it_is_spelt() {
        let tags = |names: &[&str]| -> Vec<Tag> {
            let tag = |name: &&str| Tag {
                name: (*name).to_owned(),
                commit: "0".repeat(40),
            };
            names.iter().map(tag).collect()
        };
        for (names, expected) in [
            (&["v1.2.3", "v1.2.2"][..], Some("v1.2.3")),
            (&["1.2.3"], Some("1.2.3")),
            (&["other-1.2.3", "my-pkg-1.2.3"], Some("my-pkg-1.2.3")),
            (&["my_pkg@1.2.3", "11.2.3"], Some("my_pkg@1.2.3")),
            (&["release-1.2.3"], Some("release-1.2.3")),
            (&["other-v1.2.3", "v1.2.3"], Some("v1.2.3")),
            (&["other/v1.2.3"], None),
            (&["pkg-v1.2.3", "v1.2.2"], Some("pkg-v1.2.3")),
            (&["kg-v1.2.3", "y-pkg-v1.2.3"], None),
            (&["v1.2.3", "@scope/my.pkg@1.2.3"], Some("@scope/my.pkg@1.2.3")),
            (&["v1.2.3", "pkg-v1.2.3"], Some("pkg-v1.2.3")),
            (&["v1.2.3", "pkg-v1.2.3", "my-pkg-v1.2.3"], Some("my-pkg-v1.2.3")),
            (&["release-1.2.3", "v1.2.3"], Some("v1.2.3")),
            (&["v1.2.3.1", "v11.2.3"], None),
            (&["1.2.3", "1.2.3-npm", "1.2.3-es"], Some("1.2.3-npm")),
            (&["other-1.2.3-npm", "v1.2.3"], Some("v1.2.3")),
            (&["1.2.3-es"], None),
        ] {
            let tags = tags(names);
            let found = tag_of_version(&tags, ("my.pkg", "-npm"), |text| text == "1.2.3");
            assert_eq!(found.map(|tag| tag.name.as_str()), expected, "{names:?}");
        }
    }

    #[test]
    fn a_repository_is_named_for_a_package_however_it_is_spelt() {
        for (address, named) in [
            ("https://github.com/o/my-pkg", true),
            ("https://github.com/o/My_Pkg.git", true),
            ("https://github.com/o/my.pkg/blob/main/README.md", true),
            ("https://github.com/o/my-pkg-docs", false),
            ("https://example.org/o/my-pkg", false),
        ] {
            assert_eq!(is_named(address, "my.pkg"), named, "{address}");
        }
    }

    #[test]
    fn finds_the_repository_among_addresses() {
        for (addresses, expected) in [
            (
                &["https://docs.example.org", "https://github.com/o/r/issues"][..],
                Some("https://github.com/o/r"),
            ),
            (
                &["https://www.github.com/o/r.git"],
                Some("https://github.com/o/r"),
            ),
            (
                &["https://github.com/sponsors/o", "https://gitlab.com/a/b"],
                Some("https://gitlab.com/a/b"),
            ),
            (&["https://github.com/o", "mailto:o@example.org"], None),
        ] {
            let addresses: Vec<_> = addresses.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(of_addresses(&addresses).as_deref(), expected, "{addresses:?}");
        }
    }
}
