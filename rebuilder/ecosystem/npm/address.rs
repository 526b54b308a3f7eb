//! The repository that a version names, and whether lower versions name the same.
//!
//! Whoever publishes a version writes its `package.json`, so the rebuild alone does not tell whether the source is the
//! package's own. Another repository than before may be a project that moved, or a release that somebody else made.

use std::borrow::Cow;

use nodejs_semver::Version as SemVer;
use serde_json::Value;

use super::registry;
use crate::artifact::git_source;
use crate::evidence::json::member;
use crate::evidence::npm::{REGISTRY, Version};
use crate::evidence::{Claim, Question, Standing};
use crate::store::Fetcher;
use crate::text::plural;

/// What the version says of its repository, and what lower versions say; `None` if none of them names one.
pub(super) async fn claim(fetcher: &Fetcher, version: &Version) -> Option<Claim> {
    let named = of(&version.repository);
    let all = registry::packument(fetcher, &version.name).await;
    let meaning = match &all {
        Ok(all) => lower(all, &version.version, named.as_deref()),
        Err(error) => format!("what lower versions name is not known: {error}"),
    };
    let title = format!("{}@{}", version.name, version.version);
    let claim = match &named {
        Some(named) => format!("{title} names the repository {named}"),
        None if meaning == NONE => return None,
        None => format!("{title} names no repository"),
    };
    Some(Claim {
        question: Question::Other,
        claim,
        by: Some(REGISTRY.to_owned()),
        standing: Standing::Unsigned,
        meaning,
        document: None,
    })
}

/// That there is nothing to compare with.
const NONE: &str = "no lower version names a repository";

/// How many of the versions below this one name this repository, and which is the highest that names another.
fn lower(packument: &Value, version: &str, named: Option<&str>) -> String {
    let Ok(this) = SemVer::parse(version) else {
        return format!("{version} cannot be compared with other versions");
    };
    let versions = member(packument, ["versions"]).as_object();
    let mut lower: Vec<_> = versions
        .into_iter()
        .flatten()
        .filter_map(|(other, about)| {
            let number = SemVer::parse(other).ok()?;
            let address = of(member(about, ["repository"]))?;
            (number < this).then_some((number, address))
        })
        .collect();
    lower.sort();
    // The hosts that most packages are on read names in any case.
    let is_it = |other: &str| named.is_some_and(|named| other.eq_ignore_ascii_case(named));
    let same = lower.iter().filter(|(_, other)| is_it(other)).count();
    let all = plural(lower.len(), "lower version");
    match lower.iter().rfind(|(_, other)| !is_it(other)) {
        None if lower.is_empty() => NONE.into(),
        None => format!("so does every lower version that names one ({})", lower.len()),
        Some((last, other)) => {
            format!(
                "so do {same} of {all} that name one; the highest that names another is {last}, with {other}"
            )
        }
    }
}

/// The repository in `package.json`, in any of the forms that npm accepts.
pub(super) fn of(repository: &Value) -> Option<String> {
    let text = member(repository, ["url"]).as_str().or(repository.as_str())?;
    let text = text.trim().trim_start_matches("git+");
    let short = |host: &str, path: &str| format!("https://{host}/{}", path.trim_end_matches(".git"));
    let whole = match text.split_once(':') {
        Some(("github", path)) => short("github.com", path),
        Some(("gitlab", path)) => short("gitlab.com", path),
        Some(("bitbucket", path)) => short("bitbucket.org", path),
        Some((user, path)) if user.contains('@') && !user.contains('/') => {
            short(user.split_once('@')?.1, path)
        }
        Some(_) => text.to_owned(),
        None => short("github.com", text),
    };
    // The page of a folder of the repository.
    let top = whole.split_once("/tree/").map_or(whole.as_str(), |(top, _)| top);
    git_source::address(&secured(top)).ok()
}

/// The address as npm itself reads it: the hosts that it knows are asked by HTTPS, however `package.json` spells them.
fn secured(address: &str) -> Cow<'_, str> {
    let known = |rest: &&str| HOSTS.iter().any(|host| rest.starts_with(&format!("{host}/")));
    let plain = address.strip_prefix("http://");
    let plain = plain.map(|rest| rest.strip_prefix("www.").unwrap_or(rest));
    match plain.filter(known) {
        Some(rest) => Cow::Owned(format!("https://{rest}")),
        None => Cow::Borrowed(address),
    }
}

/// Hosts of repositories that npm knows.
const HOSTS: [&str; 3] = ["github.com", "gitlab.com", "bitbucket.org"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_every_form_of_a_repository() {
        for (repository, expected) in [
            (r#""vercel/ms""#, Some("https://github.com/vercel/ms")),
            (r#""github:vercel/ms""#, Some("https://github.com/vercel/ms")),
            (
                r#"{"url": "git+https://github.com/npm/ini.git"}"#,
                Some("https://github.com/npm/ini"),
            ),
            (
                r#"{"url": "git://github.com/isaacs/once"}"#,
                Some("https://github.com/isaacs/once"),
            ),
            (
                r#"{"url": "git@github.com:o/r.git"}"#,
                Some("https://github.com/o/r"),
            ),
            (
                r#"{"url": "git+ssh://git@github.com/o/r.git"}"#,
                Some("https://github.com/o/r"),
            ),
            (
                r#""https://github.com/o/r/tree/master/packages/a""#,
                Some("https://github.com/o/r"),
            ),
            (r#""http://github.com/o/r.git""#, Some("https://github.com/o/r")),
            (r#""http://www.github.com/o/r""#, Some("https://github.com/o/r")),
            (
                r#""http://github.com.example.org/o/r""#,
                Some("http://github.com.example.org/o/r"),
            ),
            ("null", None),
        ] {
            let read: Value = serde_json::from_str(repository).unwrap();
            assert_eq!(of(&read).as_deref(), expected, "{repository}");
        }
    }

    #[test]
    fn a_repository_that_lower_versions_do_not_name_is_told() {
        let all = json!({"versions": {
            "1.0.0": {"repository": "old/it"},
            "1.1.0-rc.1": {"repository": {"url": "git+https://github.com/Old/It.git"}},
            "1.1.0": {},
            "1.2.0": {"repository": "new/it"},
            "2.0.0": {"repository": "later/it"},
            "junk": {"repository": "junk/it"},
        }});
        let [old, new] = ["https://github.com/old/it", "https://github.com/new/it"].map(Some);
        let other = "the highest that names another is";
        for (version, named, expected) in [
            ("1.0.0", old, NONE.to_owned()),
            (
                "1.1.0",
                old,
                "so does every lower version that names one (2)".into(),
            ),
            (
                "1.1.0",
                new,
                format!(
                    "so do 0 of 2 lower versions that name one; {other} 1.1.0-rc.1, with https://github.com/Old/It"
                ),
            ),
            (
                "1.3.0",
                new,
                format!(
                    "so do 1 of 3 lower versions that name one; {other} 1.1.0-rc.1, with https://github.com/Old/It"
                ),
            ),
            (
                "1.3.0",
                None,
                format!(
                    "so do 0 of 3 lower versions that name one; {other} 1.2.0, with https://github.com/new/it"
                ),
            ),
            ("junk", new, "junk cannot be compared with other versions".into()),
        ] {
            assert_eq!(lower(&all, version, named), expected, "{version} {named:?}");
        }
    }
}
