//! The repository that a version names, and whether the versions before it named the same.
//!
//! Whoever publishes a version writes its `package.json`, so the rebuild alone does not tell whether the source is the
//! package's own. That it is another one than before is the first sign of a release that somebody else made.

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

/// What the version says of its repository; `None` if it names none.
pub(super) async fn claim(fetcher: &Fetcher, version: &Version) -> Option<Claim> {
    let named = of(&version.repository)?;
    let meaning = match registry::packument(fetcher, &version.name).await {
        Ok(all) => before(&all, &version.version, &named),
        Err(error) => format!("what earlier versions name is not known: {error}"),
    };
    Some(Claim {
        question: Question::Other,
        claim: format!(
            "{}@{} names the repository {named}",
            version.name, version.version
        ),
        by: Some(REGISTRY.to_owned()),
        standing: Standing::Unsigned,
        meaning,
        document: None,
    })
}

/// How many of the versions before this one named this repository, and which was the last that did not.
fn before(packument: &Value, version: &str, named: &str) -> String {
    let this = SemVer::parse(version).ok();
    let versions = member(packument, ["versions"]).as_object();
    let mut earlier: Vec<_> = versions
        .into_iter()
        .flatten()
        .filter_map(|(other, about)| {
            let number = SemVer::parse(other).ok()?;
            let is_earlier = this.as_ref().is_some_and(|this| number < *this);
            is_earlier.then_some(())?;
            Some((number, of(member(about, ["repository"]))?))
        })
        .collect();
    earlier.sort();
    // The hosts that most packages are on read names in any case.
    let is_it = |other: &str| other.eq_ignore_ascii_case(named);
    let same = earlier.iter().filter(|(_, other)| is_it(other)).count();
    let all = plural(earlier.len(), "earlier version");
    match earlier.iter().rfind(|(_, other)| !is_it(other)) {
        None if earlier.is_empty() => "no earlier version names a repository".into(),
        None => format!("{all} named it too"),
        Some((last, other)) => format!("{same} of {all} named it; {last} named {other}"),
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
    fn a_repository_that_earlier_versions_did_not_name_is_told() {
        let all = json!({"versions": {
            "1.0.0": {"repository": "old/it"},
            "1.1.0-rc.1": {"repository": {"url": "git+https://github.com/Old/It.git"}},
            "1.1.0": {},
            "1.2.0": {"repository": "new/it"},
            "2.0.0": {"repository": "later/it"},
            "junk": {"repository": "junk/it"},
        }});
        let [old, new] = ["https://github.com/old/it", "https://github.com/new/it"];
        let none = "no earlier version names a repository";
        for (version, named, expected) in [
            ("1.0.0", old, none),
            ("1.1.0", old, "2 earlier versions named it too"),
            (
                "1.1.0",
                new,
                "0 of 2 earlier versions named it; 1.1.0-rc.1 named https://github.com/Old/It",
            ),
            (
                "1.3.0",
                new,
                "1 of 3 earlier versions named it; 1.1.0-rc.1 named https://github.com/Old/It",
            ),
            ("junk", new, none),
        ] {
            assert_eq!(before(&all, version, named), expected, "{version} {named}");
        }
    }
}
