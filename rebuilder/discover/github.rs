//! GitHub's artifact attestations: `GET /repos/OWNER/NAME/attestations/sha256:HEX`, or `/orgs/OWNER/…`.
//!
//! An entry has its bundle in it, or else an address with the bundle compressed by Snappy: newer versions of the API
//! leave it out.

use serde_json::Value;

use super::{Asking, Given, STATEMENT_LIMIT, Silence};
use crate::evidence::json;
use crate::store::Request;
use crate::text::plural;

/// Maximum number of pages that are read; each has up to a hundred entries.
const PAGES: usize = 3;

pub(super) async fn ask(asking: &Asking<'_>) -> Result<Given, Silence> {
    let repository = asking.source.repository.as_deref().unwrap_or_default();
    let digest = format!("sha256:{}", asking.subject.sha256);
    let path = match repository.split_once('/') {
        Some((owner, name)) => vec!["repos", owner, name, "attestations", &digest],
        None => vec!["orgs", repository, "attestations", &digest],
    };
    let mut url = format!("{}?per_page=100", asking.below(&path)?);
    let mut given = Given::default();
    for page in 1_usize.. {
        let request = Request {
            accept: Some("application/vnd.github+json"),
            ..asking.request("the attestations", &url)
        };
        let Some(answered) = asking.fetcher.ask(request, entries).await? else {
            break;
        };
        for entry in answered.value {
            let bundle = match entry.get("bundle").filter(|bundle| bundle.is_object()) {
                Some(bundle) => bundle.to_string().into_bytes(),
                None => match elsewhere(asking, &entry).await {
                    Ok(bundle) => bundle,
                    Err(reason) => {
                        Asking::miss("one of its bundles", &reason, &mut given);
                        continue;
                    }
                },
            };
            asking.keep_all(&url, [bundle], &mut given)?;
        }
        match answered.next {
            Some(_) if page == PAGES => {
                given
                    .says
                    .push(format!("entries after {} were not read", plural(PAGES, "page")));
                break;
            }
            Some(next) => url = next,
            None => break,
        }
    }
    Ok(given)
}

pub(super) fn entries(bytes: &[u8]) -> Result<Vec<Value>, String> {
    let mut value = json::parse_evidence(bytes).map_err(|error| error.to_string())?;
    match value.get_mut("attestations").map(Value::take) {
        Some(Value::Array(entries)) => Ok(entries),
        _ => Err("it is not a list of attestations".to_owned()),
    }
}

/// A bundle that the entry names by an address. GitHub chose it, so it must lead to a public host.
async fn elsewhere(asking: &Asking<'_>, entry: &Value) -> Result<Vec<u8>, String> {
    let url = entry.get("bundle_url").and_then(Value::as_str);
    let url = url.ok_or("it has neither a bundle nor the address of one")?;
    let request = Request {
        name: "the bundle",
        url,
        accept: None,
        token: None,
        limit: STATEMENT_LIMIT,
    };
    let answered = asking.fetcher.ask(request, plain).await;
    let answered = answered.map_err(|error| crate::error::with_causes(&error))?;
    answered
        .map(|answered| answered.value)
        .ok_or_else(|| "its bundle is gone".to_owned())
}

/// Bytes without Snappy's compression, if they have it.
pub(super) fn plain(bytes: &[u8]) -> Result<Vec<u8>, String> {
    if bytes.trim_ascii_start().starts_with(b"{") {
        return Ok(bytes.to_vec());
    }
    let length = snap::raw::decompress_len(bytes).map_err(|error| error.to_string())?;
    if length as u64 > STATEMENT_LIMIT {
        return Err(format!("it unpacks to more than {STATEMENT_LIMIT} bytes"));
    }
    let unpacked = snap::raw::Decoder::new().decompress_vec(bytes);
    unpacked.map_err(|error| error.to_string())
}
