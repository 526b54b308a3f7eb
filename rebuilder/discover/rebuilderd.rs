//! Instances of rebuilderd: which builds they have of a package, and the link that was signed for each.
//!
//! Two versions of its API are in use; v0 is asked if there is no v1. The status that a list names (GOOD, BAD) is
//! signed by nobody, so it is only told.

use serde::Deserialize;
use url::Url;

use super::subject::Package;
use super::{Asking, Given, MOST_STATEMENTS, Silence};
use crate::store::Request;
use crate::text::plural;

/// Maximum number of bytes of a list in v1, which is filtered by the server.
const LIST_LIMIT: u64 = 4 << 20;
/// Maximum number of bytes of a list in v0: some servers give the whole list whatever is asked.
const WHOLE_LIST_LIMIT: u64 = 64 << 20;

/// A list in v1.
#[derive(Deserialize)]
pub(super) struct Page {
    records: Vec<Record>,
}

/// One package of a list. Fields that are not needed may be absent or of any form.
#[derive(Deserialize)]
pub(super) struct Record {
    name: String,
    version: String,
    architecture: String,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    build_id: Option<u64>,
    #[serde(default)]
    artifact_id: Option<u64>,
    /// Only v0 has it.
    #[serde(default)]
    has_attestation: Option<bool>,
}

pub(super) async fn ask(asking: &Asking<'_>) -> Result<Given, Silence> {
    let package = asking
        .subject
        .package(&["deb", "alpm", "rpm"])
        .map_err(Silence::NotAsked)?;
    let url = asking.below(&["api", "v1", "packages", "binary"])?;
    let url = query(&url, package, true)?;
    let request = Request {
        limit: LIST_LIMIT,
        ..asking.request("the list of packages", &url)
    };
    if let Some(answered) = asking.fetcher.ask(request, page).await? {
        let wanted = wanted(answered.value.records, package);
        let path = |record: &Record| {
            let (build, artifact) = (record.build_id?.to_string(), record.artifact_id?.to_string());
            Some(
                ["v1", "builds", &build, "artifacts", &artifact]
                    .map(str::to_owned)
                    .to_vec(),
            )
        };
        return attestations(asking, &wanted, path).await;
    }
    let url = asking.below(&["api", "v0", "pkgs", "list"])?;
    let url = query(&url, package, false)?;
    let request = Request {
        limit: WHOLE_LIST_LIMIT,
        ..asking.request("the list of packages", &url)
    };
    let answered = asking.fetcher.ask(request, records).await?;
    let answered = answered
        .ok_or_else(|| Silence::NoAnswer("it supports neither version of rebuilderd's API".to_owned()))?;
    let wanted = wanted(answered.value, package);
    let path = |record: &Record| {
        let build = record.build_id?.to_string();
        (record.has_attestation != Some(false)).then(|| ["v0", "builds", &build].map(str::to_owned).to_vec())
    };
    attestations(asking, &wanted, path).await
}

/// A list of v1.
pub(super) fn page(bytes: &[u8]) -> Result<Page, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

/// A list of v0.
pub(super) fn records(bytes: &[u8]) -> Result<Vec<Record>, String> {
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

fn query(url: &str, package: &Package, with_version: bool) -> Result<String, Silence> {
    let mut url = Url::parse(url).map_err(|error| Silence::NoAnswer(error.to_string()))?;
    {
        let mut query = url.query_pairs_mut();
        query.append_pair("name", &package.name);
        if with_version {
            query.append_pair("version", &package.version);
        }
        if let Some(architecture) = &package.architecture {
            query.append_pair("architecture", architecture);
        }
    }
    Ok(url.into())
}

/// The records about this very package: a server may have given others.
fn wanted(records: Vec<Record>, package: &Package) -> Vec<Record> {
    let architecture = package.architecture.as_deref();
    let is_it = |record: &Record| {
        record.name == package.name
            && record.version == package.version
            && architecture.is_none_or(|known| record.architecture == known)
    };
    records.into_iter().filter(is_it).collect()
}

/// Fetches the link of each record that has one.
async fn attestations(
    asking: &Asking<'_>,
    records: &[Record],
    path: impl Fn(&Record) -> Option<Vec<String>>,
) -> Result<Given, Silence> {
    let mut given = Given::default();
    for record in records.iter().take(MOST_STATEMENTS) {
        if let Some(status) = &record.status {
            given.says.push(format!(
                "{} {} {}: {}, which is not signed",
                record.name,
                record.version,
                record.architecture,
                status.chars().take(20).collect::<String>()
            ));
        }
        let Some(parts) = path(record) else {
            continue;
        };
        let mut parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        parts.insert(0, "api");
        parts.push("attestation");
        let url = asking.below(&parts)?;
        let request = asking.request("the attestation", &url);
        let read = |bytes: &[u8]| Ok(bytes.to_vec());
        match asking.fetcher.ask(request, read).await {
            Ok(Some(answered)) => asking.keep_all(&url, [answered.value], &mut given)?,
            Ok(None) => {}
            // Another build's link may be there.
            Err(error) => Asking::miss(&url, &crate::error::with_causes(&error), &mut given),
        }
    }
    let more = records.len().saturating_sub(MOST_STATEMENTS);
    if more > 0 {
        given
            .says
            .push(format!("{} more were not read", plural(more, "build")));
    }
    given.says.dedup();
    Ok(given)
}
