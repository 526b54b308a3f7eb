//! Package indexes that keep attestations: PyPI's integrity API (PEP 740) and npm's endpoint.

use super::{Asking, Given, STATEMENT_LIMIT, Silence, pieces};
use crate::store::Request;

/// `GET /integrity/PROJECT/VERSION/FILE/provenance`.
pub(super) async fn pypi(asking: &Asking<'_>) -> Result<Given, Silence> {
    let package = asking.subject.package(&["pypi"]).map_err(Silence::NotAsked)?;
    let file = asking.subject.file().map_err(Silence::NotAsked)?;
    let path = ["integrity", &package.name, &package.version, file, "provenance"];
    let accept = "application/vnd.pypi.integrity.v1+json";
    list(asking, &path, Some(accept)).await
}

/// `GET /-/npm/v1/attestations/NAME@VERSION`.
pub(super) async fn npm(asking: &Asking<'_>) -> Result<Given, Silence> {
    let package = asking.subject.package(&["npm"]).map_err(Silence::NotAsked)?;
    let named = format!("{}@{}", package.name, package.version);
    list(asking, &["-", "npm", "v1", "attestations", &named], None).await
}

async fn list(asking: &Asking<'_>, path: &[&str], accept: Option<&str>) -> Result<Given, Silence> {
    let url = asking.below(path)?;
    let request = Request {
        accept,
        limit: STATEMENT_LIMIT,
        ..asking.request("the attestations", &url)
    };
    let mut given = Given::default();
    if let Some(answered) = asking.fetcher.ask(request, pieces::of_json).await? {
        let texts = answered.value.iter().map(|piece| piece.to_string().into_bytes());
        asking.keep_all(&url, texts, &mut given)?;
    }
    Ok(given)
}

impl Asking<'_> {
    /// An address below the source's; each part becomes one segment, whatever is in it.
    pub(super) fn below(&self, path: &[&str]) -> Result<String, Silence> {
        let unusable = || Silence::NoAnswer(format!("{:?} is not an address", self.base));
        // A dot segment would lead elsewhere.
        if path.iter().any(|part| matches!(*part, "" | "." | "..")) {
            return Err(Silence::NotAsked("its name cannot be part of an address".into()));
        }
        let mut url = url::Url::parse(&self.base).map_err(|_| unusable())?;
        url.path_segments_mut()
            .map_err(|()| unusable())?
            .pop_if_empty()
            .extend(path);
        Ok(url.to_string())
    }

    pub(super) fn request<'r>(&'r self, name: &'r str, url: &'r str) -> Request<'r> {
        Request {
            name,
            url,
            accept: None,
            token: self.token.as_deref(),
            limit: STATEMENT_LIMIT,
        }
    }
}
