//! Mirrors: addresses that the user has fetched from elsewhere.

use url::Url;

use super::address::{AddressTrust, Barred, Route, parsed};

/// `PREFIX=REPLACEMENT`: addresses below the prefix are fetched from the replacement instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorMap {
    pub(super) prefix: String,
    pub(super) replacement: Url,
}

impl std::str::FromStr for MirrorMap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form =
            || "write it as https://host/path=URL, with http, https, file or (for images) docker".to_owned();
        let (prefix, replacement) = text.split_once('=').ok_or_else(form)?;
        let known = |scheme: &str| ["http", "https", "file", "docker"].contains(&scheme);
        let parsed = Url::parse(prefix).map_err(|_| form())?;
        let replacement = Url::parse(replacement).map_err(|_| form())?;
        let is_folder = replacement.scheme() != "file" || replacement.to_file_path().is_ok();
        if !prefix.contains("://") || !known(replacement.scheme()) || !is_folder {
            return Err(form());
        }
        // A parsed address ends in a slash if nothing follows the host, whether the user wrote the slash or not.
        let mut canonical = parsed.to_string();
        if !prefix.ends_with('/') && canonical.ends_with('/') {
            canonical.pop();
        }
        Ok(Self {
            prefix: canonical,
            replacement,
        })
    }
}

/// As the user writes it.
impl std::fmt::Display for MirrorMap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.prefix, self.replacement)
    }
}

/// The part of an address after a prefix, if the prefix ends at the end of a path component: `https://h/a` is not a
/// prefix of `https://h/ab`, nor `https://h` of `https://h.evil.example` or `https://h@evil.example`.
pub(super) fn below<'a>(address: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = address.strip_prefix(prefix)?;
    let whole = rest.is_empty() || prefix.ends_with('/') || rest.starts_with(['/', '?', '#']);
    whole.then_some(rest)
}

/// Joins two parts of an address with one slash.
pub(super) fn joined(front: &str, rest: &str) -> String {
    if rest.is_empty() || rest.starts_with(['?', '#']) {
        return format!("{front}{rest}");
    }
    format!("{}/{}", front.trim_end_matches('/'), rest.trim_start_matches('/'))
}

impl MirrorMap {
    /// Where an address leads that has `rest` after the prefix.
    pub(super) fn lead(&self, rest: &str, address: &str) -> Result<Route, Barred> {
        match self.replacement.scheme() {
            "file" => {
                let root = self.replacement.to_file_path();
                let root = root.map_err(|()| Barred::new(address, "its mirror is not a folder"))?;
                let path = rest.split(['?', '#']).next().unwrap_or_default();
                let parts = path.split('/').filter(|part| !part.is_empty()).map(|part| {
                    let part = percent_encoding::percent_decode_str(part).decode_utf8().ok()?;
                    let is_name = part != "." && part != ".." && !part.contains(['/', '\0']);
                    is_name.then(|| part.into_owned())
                });
                let parts = parts.collect::<Option<Vec<_>>>();
                let parts =
                    parts.ok_or_else(|| Barred::new(address, "its path leads out of the mirror's folder"))?;
                Ok(Route::File { root, parts })
            }
            "docker" => Err(Barred::new(address, "its mirror is a registry of images")),
            _ => {
                let path = rest.split(['?', '#']).next().unwrap_or_default();
                let climbs = |part: &str| {
                    let part = percent_encoding::percent_decode_str(part).decode_utf8_lossy();
                    part.split(['/', '\\']).any(|part| part == "..")
                };
                if path.split('/').any(climbs) {
                    return Err(Barred::new(address, "its path leads out of the mirror's folder"));
                }
                let url = parsed(&joined(self.replacement.as_str(), rest))?;
                let trust = AddressTrust::Chosen;
                // The joined address must still be on the mirror's own host.
                if url.origin() == self.replacement.origin() {
                    Ok(Route::Http { url, trust })
                } else {
                    Err(Barred::new(address, "it leads out of its mirror"))
                }
            }
        }
    }
}
