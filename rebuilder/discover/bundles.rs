//! Files below an address: OSS Rebuild's bucket, and bundles by digest; and folders of this machine.

use jiff::Timestamp;

use super::{Answer, Asked, Asking, Found, Given, Silence, pieces};
use crate::policy::StatementSource;

/// `BUCKET/ECOSYSTEM/PACKAGE/VERSION/ARTIFACT/rebuild.intoto.jsonl`, each envelope on a line.
pub(super) async fn oss_rebuild(asking: &Asking<'_>) -> Result<Given, Silence> {
    // Its Debian packages lie under the component and the name of the source package, which a binary package does not
    // have.
    let package = asking.subject.package(&["pypi", "npm", "cargo"]);
    let package = package.map_err(Silence::NotAsked)?;
    let file = asking.subject.file().map_err(Silence::NotAsked)?;
    let folder = match package.kind.as_str() {
        "cargo" => "cratesio",
        other => other,
    };
    // A scope is a folder of its own.
    let mut path = vec![folder];
    path.extend(package.name.split('/'));
    path.extend([package.version.as_str(), file, "rebuild.intoto.jsonl"]);
    lines(asking, &path).await
}

/// `ADDRESS/SHA256.intoto.jsonl`: each bundle on a line.
pub(super) async fn by_digest(asking: &Asking<'_>) -> Result<Given, Silence> {
    let name = format!("{}.intoto.jsonl", asking.subject.sha256);
    lines(asking, &[&name]).await
}

async fn lines(asking: &Asking<'_>, path: &[&str]) -> Result<Given, Silence> {
    let url = asking.below(path)?;
    let request = asking.request("the statements", &url);
    let mut given = Given::default();
    if let Some(answered) = asking.fetcher.ask(request, pieces::of_lines).await? {
        asking.keep_all(&url, answered.value, &mut given)?;
    }
    Ok(given)
}

/// A folder: all its files are read, as they are now.
pub(super) fn folder(source: &StatementSource, now: Timestamp) -> Asked {
    let folder = source.folder.clone().unwrap_or_default();
    let address = folder.display().to_string();
    let entries = std::fs::read_dir(&folder).map(Iterator::count);
    let (answer, reason) = match &entries {
        Ok(0) => (Answer::None, None),
        Ok(_) => (Answer::Found, None),
        Err(error) => (Answer::NoAnswer, Some(error.to_string())),
    };
    let found = Found {
        address: address.clone(),
        sha256: None,
    };
    Asked {
        source: source.name.clone(),
        kind: source.kind,
        address,
        answer,
        reason,
        found: if answer == Answer::Found {
            vec![found]
        } else {
            Vec::new()
        },
        says: Vec::new(),
        time: now,
        cached: false,
    }
}
