//! A place in a git repository, as provenance names it: `git+https://HOST/PATH@REF` and a commit.
//!
//! What is read here is later given to git, so everything that git could take for something else is refused.

use serde::{Deserialize, Serialize};

/// A repository, and a commit in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GitSource {
    /// `https://HOST/PATH`, without `.git` and trailing slash.
    pub repository: String,
    /// Ref that was built, such as `refs/tags/v1.0.1`.
    #[serde(rename = "ref", default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Name of the commit: 40 or 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// A source that must not be given to git.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SourceError {
    #[error("{0:?} is not the address of a git repository (https://HOST/PATH)")]
    Address(String),
    #[error("the address of its repository contains credentials")]
    Credentials,
    #[error("{0:?} is not a git ref")]
    Ref(String),
    #[error("{0:?} is not a commit (40 or 64 hexadecimal digits)")]
    Commit(String),
}

impl GitSource {
    /// From a `git+` URI with an optional ref, as in-toto descriptors write it, and the commit among their digests.
    pub fn from_uri(uri: &str, commit: Option<&str>) -> Result<Self, SourceError> {
        let address = uri.strip_prefix("git+").unwrap_or(uri);
        // The ref follows the last `@` of the path; an earlier one would belong to credentials. BuildKit uses `#`.
        let path_from = address.find("://").map_or(0, |at| at.saturating_add(3));
        let path_from = address[path_from..]
            .find('/')
            .map_or(address.len(), |at| path_from.saturating_add(at));
        let split = address[path_from..]
            .find(['@', '#'])
            .map(|at| path_from.saturating_add(at));
        let (repository, reference) = match split.and_then(|at| address.split_at_checked(at)) {
            Some((repository, reference)) => (repository, reference.get(1..)),
            None => (address, None),
        };
        Self::new(repository, reference, commit)
    }

    /// Checks every part.
    pub fn new(repository: &str, reference: Option<&str>, commit: Option<&str>) -> Result<Self, SourceError> {
        let reference = reference.filter(|text| !text.is_empty());
        if let Some(reference) = reference.filter(|text| !is_ref(text)) {
            return Err(SourceError::Ref(reference.to_owned()));
        }
        let is_commit =
            |text: &&str| [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if let Some(commit) = commit.filter(|text| !is_commit(text)) {
            return Err(SourceError::Commit(commit.to_owned()));
        }
        Ok(Self {
            repository: address(repository)?,
            reference: reference.map(str::to_owned),
            commit: commit.map(str::to_ascii_lowercase),
        })
    }

    /// The last part of the repository's path.
    pub fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }

    /// The branch, if the ref is one.
    pub fn branch(&self) -> Option<&str> {
        self.reference.as_deref()?.strip_prefix("refs/heads/")
    }

    /// The tag, if the ref is one.
    pub fn tag(&self) -> Option<&str> {
        self.reference.as_deref()?.strip_prefix("refs/tags/")
    }
}

/// The repository's address in one spelling, so that two mentions of it compare equal.
pub fn address(text: &str) -> Result<String, SourceError> {
    let bad = || SourceError::Address(crate::text::redacted(text));
    let text = text.strip_prefix("git+").unwrap_or(text);
    // npm's packages write `git://`; hosts answer under https.
    let text = text
        .strip_prefix("git://")
        .or_else(|| text.strip_prefix("ssh://git@"))
        .map_or_else(|| text.to_owned(), |rest| format!("https://{rest}"));
    if is_rewritten(&text) {
        return Err(bad());
    }
    let url = url::Url::parse(&text).map_err(|_| bad())?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SourceError::Credentials);
    }
    let usable = ["https", "http"].contains(&url.scheme())
        && url.host_str().is_some_and(|host| !host.starts_with('-'))
        && url.query().is_none()
        && url.fragment().is_none();
    let text = url.as_str().trim_end_matches('/');
    let text = text.strip_suffix(".git").unwrap_or(text).trim_end_matches('/');
    // A path of slashes alone, or of `.git`, names no repository; backslashes are slashes to a URL.
    let host = url::Url::parse(text).map_err(|_| bad())?;
    if !usable || host.path().trim_matches('/').is_empty() {
        return Err(bad());
    }
    Ok(text.to_owned())
}

/// Whether a URL parser would make another address of this one without an error: it drops tabs and line ends, takes
/// backslashes for slashes, and resolves `..`. A reader who sees the text would think of another repository.
fn is_rewritten(text: &str) -> bool {
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '\\';
    let dots = |part: &str| matches!(part.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    text.trim().contains(odd) || text.split('/').any(dots)
}

/// A folder below the top of a repository, without slashes around it; `None` if it would lead out of it.
pub fn folder(text: &str) -> Option<&str> {
    let text = text.trim_matches('/');
    text.split('/').all(|part| part != "..").then_some(text)
}

/// What `git check-ref-format` takes, and nothing that could be taken for an option.
fn is_ref(text: &str) -> bool {
    let bad = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    !text.starts_with(['-', '/', '.'])
        && !text.ends_with(['/', '.'])
        && !text.ends_with(".lock")
        && !text.contains("..")
        && !text.contains("@{")
        && !text.contains("//")
        && !text.contains(bad)
        && text.split('/').all(|part| !part.starts_with(['.', '-']))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str, commit: &str) -> Result<GitSource, SourceError> {
        GitSource::from_uri(uri, Some(commit).filter(|commit| !commit.is_empty()))
    }

    // Long, as it is one table.
    #[test]
    fn reads_addresses_and_refuses_what_git_could_misread() {
        let commit = "5995008213440709027a5666064bfdaba715df00";
        let good = read("git+https://github.com/o/r.git@refs/tags/@scope/v1", commit).unwrap();
        assert_eq!(
            (good.repository.as_str(), good.tag(), good.commit.as_deref()),
            ("https://github.com/o/r", Some("@scope/v1"), Some(commit))
        );
        assert_eq!(read("git+https://github.com/o/r", "").unwrap().reference, None);
        for (uri, commit, expected) in [
            (
                "git+https://me:secret@github.com/o/r@refs/heads/main",
                "",
                SourceError::Credentials,
            ),
            ("git+https://token@github.com/o/r", "", SourceError::Credentials),
            (
                "git+https://github.com/o/r@--upload-pack=evil",
                "",
                SourceError::Ref("--upload-pack=evil".into()),
            ),
            (
                "git+https://github.com/o/r@refs/heads/-x",
                "",
                SourceError::Ref("refs/heads/-x".into()),
            ),
            (
                "git+https://github.com/o/r@refs/../x",
                "",
                SourceError::Ref("refs/../x".into()),
            ),
            (
                "git+https://github.com/o/r",
                "HEAD",
                SourceError::Commit("HEAD".into()),
            ),
            (
                "git+https://github.com/o/r",
                "--output=x",
                SourceError::Commit("--output=x".into()),
            ),
            ("git+file:///etc", "", SourceError::Address("file:///etc".into())),
            (
                "git+ext::sh -c evil",
                "",
                SourceError::Address("ext::sh -c evil".into()),
            ),
            (
                "--upload-pack=evil",
                "",
                SourceError::Address("--upload-pack=evil".into()),
            ),
            (
                "git+https://github.com",
                "",
                SourceError::Address("https://github.com".into()),
            ),
            (
                "git+https://github.com/trusted/r/../../evil/r",
                "",
                SourceError::Address("https://github.com/trusted/r/../../evil/r".into()),
            ),
            (
                "git+https://github.com/trusted/%2E./evil",
                "",
                SourceError::Address("https://github.com/trusted/%2E./evil".into()),
            ),
            (
                "git+https://github.com/o/r\r\nx",
                "",
                SourceError::Address("https://github.com/o/r\r\nx".into()),
            ),
            (
                "git+https://github.com\\o/r",
                "",
                SourceError::Address("https://github.com\\o/r".into()),
            ),
            ("git://.(\\\\", "", SourceError::Address("git://.(\\\\".into())),
            (
                "https://github.com/.git",
                "",
                SourceError::Address("https://github.com/.git".into()),
            ),
        ] {
            assert_eq!(read(uri, commit), Err(expected), "{uri}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(uri in ".{0,60}", commit in ".{0,45}") {
            let _ = read(&uri, &commit);
        }
    }
}
