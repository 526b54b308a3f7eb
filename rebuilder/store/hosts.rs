//! Hosts that addresses may lead to although no check shows that they are public.

use url::{Host, Url};

/// Hosts that this program asks on its own. They may resolve to any address, as in networks that have their own
/// mirrors.
pub(super) const OURS: [&str; 15] = [
    "auth.docker.io",
    "buildinfos.debian.net",
    "crates.io",
    "deb.debian.org",
    "files.pythonhosted.org",
    "index.crates.io",
    "index.docker.io",
    "nodejs.org",
    "pypi.org",
    "registry-1.docker.io",
    "registry.npmjs.org",
    "security.debian.org",
    "snapshot.debian.org",
    "static.crates.io",
    "static.rust-lang.org",
];

/// `HOST[:PORT]` that addresses from documents may lead to, although the host is not public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    pub(super) host: Host<String>,
    pub(super) port: Option<u16>,
}

/// As the user writes it.
impl std::fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => write!(f, "{}", self.host),
        }
    }
}

impl std::str::FromStr for AllowedHost {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "write it as HOST or HOST:PORT; write IPv6 addresses in brackets".to_owned();
        // The scheme has no default port, so any port that was written is visible.
        let parsed = Url::parse(&format!("https://{text}/")).map_err(|_| form())?;
        let bare = parsed.username().is_empty()
            && parsed.password().is_none()
            && parsed.path() == "/"
            && parsed.query().is_none()
            && parsed.fragment().is_none();
        let host = parsed.host().filter(|_| bare).ok_or_else(form)?.to_owned();
        let port = match text.rsplit_once(':') {
            Some((_, digits)) if !digits.ends_with(']') => Some(digits.parse().map_err(|_| form())?),
            _ => None,
        };
        Ok(Self { host, port })
    }
}
