//! Lock files of pnpm, versions 5 to 9.

use super::{LockedPackage, fits, unique};
use crate::evidence::json::member;

#[derive(serde::Deserialize)]
struct PnpmLock {
    #[serde(default)]
    packages: std::collections::BTreeMap<String, PnpmPackage>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct PnpmPackage {
    resolution: PnpmResolution,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    os: Vec<String>,
    #[serde(default)]
    cpu: Vec<String>,
}

#[derive(serde::Deserialize)]
struct PnpmResolution {
    integrity: Option<String>,
    tarball: Option<String>,
}

/// The tarballs that a `pnpm-lock.yaml` names, for Linux on x86-64.
pub(in crate::ecosystem::npm) fn pnpm(text: &[u8]) -> Result<Vec<LockedPackage>, String> {
    let text = String::from_utf8_lossy(text);
    let lock: PnpmLock = serde_saphyr::from_str(&text).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for (key, package) in lock.packages {
        let lists = serde_json::json!({"os": package.os, "cpu": package.cpu});
        let anywhere = |key: &str| member(&lists, [key]).as_array().is_none_or(Vec::is_empty);
        if !(anywhere("os") || fits(&lists, "os", "linux"))
            || !(anywhere("cpu") || fits(&lists, "cpu", "x64"))
        {
            continue;
        }
        let (name, version) = pnpm_key(&key).ok_or_else(|| format!("{key:?} is not a package"))?;
        let (Some(integrity), None) = (package.resolution.integrity, package.resolution.tarball) else {
            return Err(format!("{key} does not come from the registry"));
        };
        let file = name.rsplit('/').next().unwrap_or_default();
        found.push(LockedPackage {
            url: format!("https://registry.npmjs.org/{name}/-/{file}-{version}.tgz"),
            integrity,
            optional: package.optional,
        });
    }
    unique(found)
}

/// Name and version in `/name/1.0.0_PEERS` (version 5), `/name@1.0.0(PEERS)` (version 6) or `name@1.0.0` (version 9).
fn pnpm_key(key: &str) -> Option<(&str, &str)> {
    let plain = key.trim_start_matches('/').split('(').next()?;
    let scope = plain.starts_with('@').then(|| plain.find('/')).flatten();
    let after = scope.map_or(0, |at| at.saturating_add(1));
    let at = plain.get(after..)?.find(['/', '@'])?;
    let (name, rest) = plain.split_at(after.saturating_add(at));
    match rest.strip_prefix('/') {
        Some(version) => Some((name, version.split('_').next()?)),
        None => Some((name, rest.trim_start_matches('@'))),
    }
}
