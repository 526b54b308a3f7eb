//! Mirrors of git repositories: folders and hosts that the user named.

use std::path::{Path, PathBuf};

use url::Url;

use crate::store::address::Barred;
use crate::store::mirror::{below, joined};

/// `PREFIX=PLACE`: repositories whose address begins with the prefix are fetched from a folder or URL instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitMirror {
    prefix: String,
    place: String,
}

impl std::str::FromStr for GitMirror {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((prefix, place)) if prefix.contains("://") && !place.is_empty() => Ok(Self {
                prefix: prefix.to_owned(),
                place: place.to_owned(),
            }),
            _ => Err("write it as https://host/path=FOLDER, or =URL".to_owned()),
        }
    }
}

/// As the user writes it.
impl std::fmt::Display for GitMirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.prefix, self.place)
    }
}

impl GitMirror {
    /// The place of a repository, if this mirror has it.
    pub(super) fn place(&self, repository: &str) -> Option<Result<GitPlace, Barred>> {
        let rest = below(repository, &self.prefix)?;
        let folder = match Url::parse(&self.place) {
            Ok(url) if url.scheme() == "file" => url.to_file_path().ok(),
            Ok(_) if self.place.contains("://") => None,
            _ => Some(PathBuf::from(&self.place)),
        };
        Some(match folder {
            Some(folder) => local(&folder, rest, repository),
            None => remote(&self.place, rest, repository),
        })
    }
}

/// The place that git fetches a repository from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum GitPlace {
    /// A folder of this machine, as a URL.
    Local(String),
    /// A host; its name resolves to these addresses only (`HOST:PORT:ADDRESS,…`), if any are given.
    Http { url: String, pinned: Option<String> },
}

impl GitPlace {
    pub(super) fn url(&self) -> &str {
        match self {
            Self::Local(url) | Self::Http { url, .. } => url,
        }
    }
}

/// A repository in a folder that the user named; a link must not lead out of that folder.
fn local(folder: &Path, rest: &str, repository: &str) -> Result<GitPlace, Barred> {
    let top = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let plain = match rest.trim_matches('/') {
        "" => top.clone(),
        rest => spelt(&top, rest),
    };
    let bare = PathBuf::from(format!("{}.git", plain.display()));
    let found = if !plain.exists() && bare.exists() {
        bare
    } else {
        plain
    };
    let out = || Barred::new(repository, "it leads out of the folder of its mirror");
    if let (Ok(real), Ok(real_top)) = (found.canonicalize(), top.canonicalize())
        && found != top
        && !real.starts_with(&real_top)
        // The user may have named the repository's own folder without its ending `.git`.
        && real.as_os_str() != format!("{}.git", real_top.display()).as_str()
    {
        return Err(out());
    }
    let url = Url::from_file_path(found).map_err(|()| out())?;
    Ok(GitPlace::Local(url.into()))
}

/// A path below a folder. Public hosts ignore the case of a repository's name, so if the exact path does not exist,
/// another spelling of it is used.
fn spelt(top: &Path, rest: &str) -> PathBuf {
    let mut found = top.to_owned();
    for part in rest.split('/') {
        let exact = found.join(part);
        let bare = found.join(format!("{part}.git"));
        let other = || {
            let entries = std::fs::read_dir(&found).ok()?.flatten();
            let mut names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            names.find(|name| {
                name.trim_end_matches(".git")
                    .eq_ignore_ascii_case(part.trim_end_matches(".git"))
            })
        };
        found = if exact.exists() || bare.exists() {
            exact
        } else {
            other().map_or(exact, |name| found.join(name))
        };
    }
    found
}

/// A repository of a host that the user named.
fn remote(place: &str, rest: &str, repository: &str) -> Result<GitPlace, Barred> {
    let barred = |reason: &str| Barred::new(repository, reason);
    let top = Url::parse(place).map_err(|_| barred("its mirror is not an address"))?;
    if !["http", "https"].contains(&top.scheme()) {
        return Err(barred(
            "its mirror is neither a folder nor an address of http or https",
        ));
    }
    let url = Url::parse(&joined(place, rest));
    let url = url.map_err(|_| barred("its address below the mirror is not valid"))?;
    if url.origin() != top.origin() {
        return Err(barred("it leads out of its mirror"));
    }
    Ok(GitPlace::Http {
        url: url.into(),
        pinned: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_stands_for_whole_path_parts_only() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("o/r.git")).unwrap();
        let mirror =
            |prefix: &str| -> GitMirror { format!("{prefix}={}/", folder.path().display()).parse().unwrap() };
        let place = mirror("https://github.com/")
            .place("https://github.com/o/r")
            .unwrap()
            .unwrap();
        let expected = Url::from_file_path(folder.path().join("o/r.git")).unwrap();
        assert_eq!(place, GitPlace::Local(expected.into()));
        assert_eq!(
            mirror("https://github.com/o/r").place("https://github.com/o/r2"),
            None
        );
        assert!("github.com=/srv".parse::<GitMirror>().is_err());
        for (mirror, repository, expected) in [
            (
                "https://h.example/=http://127.0.0.1:3000",
                "https://h.example/o/r",
                Some("http://127.0.0.1:3000/o/r"),
            ),
            (
                "https://h.example=http://127.0.0.1",
                "https://h.example/1/r",
                Some("http://127.0.0.1/1/r"),
            ),
            (
                "https://h.example=http://127.0.0.1",
                "https://h.example.evil.example/r",
                None,
            ),
            (
                "https://h.example/o=http://127.0.0.1/o",
                "https://h.example/other/r",
                None,
            ),
        ] {
            let place = mirror.parse::<GitMirror>().unwrap().place(repository);
            assert_eq!(
                place.map(|place| place.unwrap().url().to_owned()).as_deref(),
                expected,
                "{repository}"
            );
        }
        let remote = |place: &str| {
            format!("https://h.example/={place}")
                .parse::<GitMirror>()
                .unwrap()
        };
        assert!(
            remote("ssh://h.example/")
                .place("https://h.example/o/r")
                .unwrap()
                .is_err()
        );
    }

    #[test]
    fn a_link_leads_out_of_no_mirror() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, outside) = (folder.path().join("mirror"), folder.path().join("private"));
        std::fs::create_dir_all(inside.join("o/r")).unwrap();
        std::fs::create_dir_all(&outside).unwrap();
        std::os::unix::fs::symlink(&outside, inside.join("o/out")).unwrap();
        std::os::unix::fs::symlink("r", inside.join("o/alias")).unwrap();
        let mirror: GitMirror = format!("https://h.example/={}", inside.display())
            .parse()
            .unwrap();
        for (name, good) in [("o/r", true), ("o/alias", true), ("o/out", false)] {
            let place = mirror.place(&format!("https://h.example/{name}")).unwrap();
            assert_eq!(place.is_ok(), good, "{name}");
        }
    }
}
