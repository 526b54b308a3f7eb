//! `package-lock.json` and `npm-shrinkwrap.json`, forms 1 to 3: which tarballs, by which integrity.

use serde_json::Value;

use crate::artifact::Digests;
use crate::evidence::json;

/// One tarball that `npm ci` will want.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LockedPackage {
    /// Where it is.
    pub url: String,
    /// Subresource integrity.
    pub integrity: String,
    /// Whether npm goes on without it.
    pub optional: bool,
}

/// The tarballs that a lock file names, for Linux on x86-64.
pub(super) fn read(text: &[u8]) -> Result<Vec<LockedPackage>, String> {
    let lock = json::parse(text).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    if let Some(packages) = lock["packages"].as_object() {
        for (path, entry) in packages.iter().filter(|(path, _)| !path.is_empty()) {
            take(path, entry, &mut found)?;
        }
    } else if let Some(dependencies) = lock["dependencies"].as_object() {
        nested(dependencies, &mut found, 64)?;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// Form 1 nests dependencies in dependencies.
fn nested(
    dependencies: &serde_json::Map<String, Value>,
    found: &mut Vec<LockedPackage>,
    depth: usize,
) -> Result<(), String> {
    for (name, entry) in dependencies {
        take(name, entry, found)?;
        if let Some(inner) = entry["dependencies"].as_object().filter(|_| depth > 0) {
            nested(inner, found, depth - 1)?;
        }
    }
    Ok(())
}

fn take(name: &str, entry: &Value, found: &mut Vec<LockedPackage>) -> Result<(), String> {
    let is = |key: &str| entry[key] == true;
    // Links are folders of the source; bundled packages come inside of others.
    if is("link")
        || is("inBundle")
        || is("bundled")
        || !fits(entry, "os", "linux")
        || !fits(entry, "cpu", "x64")
    {
        return Ok(());
    }
    let Some(url) = entry["resolved"].as_str() else {
        // Workspaces are folders of the source too, and have no place to be fetched from.
        return if name.contains("node_modules") && entry["version"].is_string() {
            Err(format!("{name} has no address"))
        } else {
            Ok(())
        };
    };
    let integrity = entry["integrity"].as_str().unwrap_or_default();
    if !url.starts_with("https://") || integrity.is_empty() {
        return Err(format!("{name} comes from {url}, which no integrity pins"));
    }
    found.push(LockedPackage {
        url: url.to_owned(),
        integrity: integrity.to_owned(),
        optional: is("optional"),
    });
    Ok(())
}

/// Whether a package says that it runs on this platform; `!NAME` excludes one.
fn fits(entry: &Value, key: &str, own: &str) -> bool {
    let Some(list) = entry[key].as_array() else {
        return true;
    };
    let names: Vec<_> = list.iter().filter_map(Value::as_str).collect();
    let excluded = names.iter().any(|name| name.strip_prefix('!') == Some(own));
    let only_exclusions = names.iter().all(|name| name.starts_with('!'));
    !excluded && (only_exclusions || names.contains(&own))
}

/// Where npm's cache (cacache, content version 2) keeps content with this integrity.
pub(super) fn cache_place(digests: &Digests, integrity: &str) -> Option<String> {
    let algorithm = ["sha512", "sha384", "sha256"]
        .into_iter()
        .find(|name| integrity.contains(&format!("{name}-")))?;
    let digits = digests.get(algorithm)?;
    Some(format!(
        "{algorithm}/{}/{}/{}",
        &digits[..2],
        &digits[2..4],
        &digits[4..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_all_forms_and_refuses_what_nothing_pins() {
        let entry = r#"{"version":"1.0.0","resolved":"https://registry.npmjs.org/a/-/a-1.0.0.tgz","integrity":"sha512-AA=="}"#;
        for text in [
            format!(r#"{{"lockfileVersion":3,"packages":{{"":{{"name":"x"}},"node_modules/a":{entry}}}}}"#),
            format!(
                r#"{{"lockfileVersion":1,"dependencies":{{"b":{{"version":"1.0.0","bundled":true,"dependencies":{{"a":{entry}}}}}}}}}"#
            ),
        ] {
            assert_eq!(
                read(text.as_bytes()).unwrap()[0].url,
                "https://registry.npmjs.org/a/-/a-1.0.0.tgz"
            );
        }
        for (entry, expected) in [
            (
                r#"{"version":"1.0.0","resolved":"git+ssh://git@github.com/a/a.git#1234"}"#,
                Err("no integrity pins"),
            ),
            (
                r#"{"version":"1.0.0","resolved":"https://h/a.tgz"}"#,
                Err("no integrity pins"),
            ),
            (r#"{"version":"1.0.0"}"#, Err("no address")),
            (r#"{"version":"1.0.0","resolved":"x","link":true}"#, Ok(0)),
            (r#"{"version":"1.0.0","resolved":"x","os":["darwin"]}"#, Ok(0)),
            (
                r#"{"version":"1.0.0","resolved":"https://h/a.tgz","integrity":"sha512-AA==","os":["!win32"]}"#,
                Ok(1),
            ),
        ] {
            let text = format!(r#"{{"packages":{{"node_modules/a":{entry}}}}}"#);
            match (read(text.as_bytes()), expected) {
                (Ok(found), Ok(count)) => assert_eq!(found.len(), count, "{entry}"),
                (Err(error), Err(wanted)) => assert!(error.contains(wanted), "{error}"),
                (found, _) => panic!("{entry}: {found:?}"),
            }
        }
    }
}
