//! Lock files of npm (forms 1 to 3), yarn (form 1) and pnpm (forms 5 to 9): which tarballs, by which integrity.

use serde_json::Value;

use crate::artifact::Digests;
use crate::evidence::json;
use crate::evidence::json::member;
use crate::evidence::npm::REGISTRY;
use crate::text::redacted;

/// One tarball that `npm ci` will want.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LockedPackage {
    /// Where it is.
    pub url: String,
    /// Subresource integrity; SHA-1 or nothing in older lock files, and then the registry says what it has.
    pub integrity: String,
    /// Whether npm goes on without it.
    pub optional: bool,
}

impl LockedPackage {
    /// Whether the lock file pins it by a digest that is not broken.
    pub fn is_pinned(&self) -> bool {
        let mut hashes = self.integrity.split_whitespace();
        hashes.any(|hash| {
            ["sha512-", "sha384-", "sha256-"]
                .iter()
                .any(|name| hash.starts_with(name))
        })
    }

    /// Name and version, if the address is one of npm's registry.
    pub fn name_and_version(&self) -> Option<(String, String)> {
        let path = self
            .url
            .strip_prefix(REGISTRY)?
            .replace("%2f", "/")
            .replace("%2F", "/");
        let (name, file) = path.trim_start_matches('/').split_once("/-/")?;
        let base = name.rsplit('/').next()?;
        let version = file.strip_prefix(base)?.strip_prefix('-')?.strip_suffix(".tgz")?;
        Some((name.to_owned(), version.to_owned()))
    }
}

/// Addresses of copies of npm's registry, which older lock files name.
const COPIES: [&str; 6] = [
    "http://registry.npmjs.org/",
    "https://registry.yarnpkg.com/",
    "http://registry.yarnpkg.com/",
    "https://registry.npmmirror.com/",
    "https://registry.npm.taobao.org/",
    "https://registry.nlark.com/",
];

/// An address at npm's registry, if it is one of a copy; digests are compared all the same.
fn at_registry(url: &str) -> String {
    let path = COPIES.iter().find_map(|copy| url.strip_prefix(copy));
    let path = path.map(|path| path.replacen("/download/", "/-/", usize::from(!path.contains("/-/"))));
    path.map_or_else(|| url.to_owned(), |path| format!("{REGISTRY}/{path}"))
}

/// The tarballs that a lock file names, for Linux on x86-64.
pub(super) fn read(text: &[u8]) -> Result<Vec<LockedPackage>, String> {
    let lock = json::parse(text).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    if let Some(packages) = member(&lock, ["packages"]).as_object() {
        for (path, entry) in packages.iter().filter(|(path, _)| !path.is_empty()) {
            take(path, entry, false, &mut found)?;
        }
    } else if let Some(dependencies) = member(&lock, ["dependencies"]).as_object() {
        nested(dependencies, &mut found, 64)?;
    }
    unique(found)
}

/// One entry for each address. A lock file may name one tarball in many places, but not two tarballs by one address.
fn unique(mut found: Vec<LockedPackage>) -> Result<Vec<LockedPackage>, String> {
    found.sort();
    let mut unique: Vec<LockedPackage> = Vec::new();
    for package in found {
        match unique.last_mut() {
            // SHA-1 in one place and SHA-512 in another: it was installed by several versions of npm.
            Some(last)
                if last.url == package.url
                    && (last.integrity == package.integrity || last.is_pinned() != package.is_pinned()) =>
            {
                last.optional &= package.optional;
                if !last.is_pinned() {
                    last.integrity = package.integrity;
                }
            }
            Some(last) if last.url == package.url => {
                return Err(format!(
                    "it names {} twice, as different files",
                    redacted(&last.url)
                ));
            }
            _ => unique.push(package),
        }
    }
    Ok(unique)
}

/// The tarballs that a `yarn.lock` of form 1 names.
pub(super) fn yarn(text: &[u8]) -> Result<Vec<LockedPackage>, String> {
    let text = String::from_utf8_lossy(text);
    if text.contains("__metadata:") {
        return Err("it is of yarn 2 or later, whose archives are not those of the registry".to_owned());
    }
    let lock = yarn_lock_parser::parse_str(&text).map_err(|error| error.to_string())?;
    let mut found = Vec::new();
    for entry in lock.entries {
        let url = entry.resolved.split('#').next().unwrap_or_default();
        found.push(fetchable(entry.name, url, entry.integrity, false)?);
    }
    unique(found)
}

/// Names and versions in a `yarn.lock` of yarn 2 or later; `None` if it is of form 1.
pub(super) fn yarn_versions(text: &[u8]) -> Option<Vec<(String, String)>> {
    let text = String::from_utf8_lossy(text);
    if !text.contains("__metadata:") {
        return None;
    }
    let resolution = |line: &str| {
        let value = line.trim().strip_prefix("resolution:")?.trim().trim_matches('"');
        let (name, version) = value.rsplit_once("@npm:")?;
        let version = version.split(':').next_back()?.split('#').next()?;
        Some((name.to_owned(), version.to_owned()))
    };
    let mut found: Vec<_> = text.lines().filter_map(resolution).collect();
    found.sort();
    found.dedup();
    Some(found)
}

/// What yarn calls a tarball in its offline mirror: with the scope before the name.
pub(super) fn yarn_file(url: &str) -> String {
    let path = registry_path(url);
    let file = path.rsplit('/').next().unwrap_or_default();
    match path.split_once('/') {
        Some((scope, _)) if scope.starts_with('@') => format!("{scope}-{file}"),
        _ => file.to_owned(),
    }
}

/// The path of a tarball below its registry.
pub(super) fn registry_path(url: &str) -> String {
    let path = url.splitn(4, '/').nth(3).unwrap_or_default();
    path.replace("%2f", "/").replace("%2F", "/")
}

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
pub(super) fn pnpm(text: &[u8]) -> Result<Vec<LockedPackage>, String> {
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
        // `/name/1.0.0`, `/name@1.0.0` or `name@1.0.0`, with what it was resolved against in brackets or after `_`.
        let plain = key.trim_start_matches('/').split('(').next().unwrap_or_default();
        let plain = plain
            .split('_')
            .next()
            .filter(|_| key.starts_with('/'))
            .unwrap_or(plain);
        let (name, version) = plain
            .rsplit_once('@')
            .filter(|(name, _)| !name.is_empty())
            .or_else(|| plain.rsplit_once('/'))
            .ok_or_else(|| format!("{key:?} is not a package"))?;
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

/// Form 1 nests dependencies in dependencies.
fn nested(
    dependencies: &serde_json::Map<String, Value>,
    found: &mut Vec<LockedPackage>,
    depth: usize,
) -> Result<(), String> {
    for (name, entry) in dependencies {
        take(name, entry, true, found)?;
        if let Some(inner) = entry["dependencies"].as_object().filter(|_| depth > 0) {
            nested(inner, found, depth.saturating_sub(1))?;
        }
    }
    Ok(())
}

fn take(name: &str, entry: &Value, nested: bool, found: &mut Vec<LockedPackage>) -> Result<(), String> {
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
    let (version, integrity) = (entry["version"].as_str(), entry["integrity"].as_str());
    let url = match (entry["resolved"].as_str(), version) {
        (Some(url), _) => url.to_owned(),
        (None, Some(version)) if nested || name.contains("node_modules") => {
            let own = name.rsplit("node_modules/").next().unwrap_or_default();
            of_version(entry["name"].as_str().unwrap_or(own), version)
                .ok_or_else(|| format!("{name} has no address"))?
        }
        // Workspaces are folders of the source too, and have no place to be fetched from.
        _ => return Ok(()),
    };
    let integrity = integrity.unwrap_or_default();
    found.push(fetchable(name, &url, integrity, is("optional"))?);
    Ok(())
}

/// The address of a version at the registry; `None` if it comes from somewhere else.
fn of_version(name: &str, version: &str) -> Option<String> {
    let (name, version) = match version.strip_prefix("npm:") {
        Some(alias) => alias.rsplit_once('@')?,
        None => (name, version),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || "-+.".contains(c);
    let file = name.rsplit('/').next()?;
    let is_version = version.starts_with(|c: char| c.is_ascii_digit()) && version.chars().all(plain);
    is_version.then(|| format!("{REGISTRY}/{name}/-/{file}-{version}.tgz"))
}

/// A tarball that is either pinned, or one of npm's registry, which then says what it has.
fn fetchable(name: &str, url: &str, integrity: &str, optional: bool) -> Result<LockedPackage, String> {
    let package = LockedPackage {
        url: at_registry(url),
        integrity: integrity.to_owned(),
        optional,
    };
    let known = package.is_pinned() || package.name_and_version().is_some();
    if package.url.starts_with("https://") && known {
        return Ok(package);
    }
    Err(format!(
        "{name} comes from {:?}, which no integrity pins",
        redacted(url)
    ))
}

/// Whether a package says that it runs on this platform; `!NAME` excludes one.
pub(super) fn fits(entry: &Value, key: &str, own: &str) -> bool {
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
    fn reads_lock_files_of_yarn_and_pnpm() {
        let yarn_text = concat!(
            "# THIS IS AN AUTOGENERATED FILE. DO NOT EDIT THIS FILE DIRECTLY.\n# yarn lockfile v1\n\n\n",
            "\"@babel/code-frame@^7.0.0\":\n  version \"7.0.0\"\n",
            "  resolved \"https://registry.yarnpkg.com/@babel/code-frame/-/code-frame-7.0.0.tgz#abc\"\n",
            "  integrity sha512-AAAA\n",
        );
        let found = yarn(yarn_text.as_bytes()).unwrap();
        assert_eq!(
            found[0].url,
            "https://registry.npmjs.org/@babel/code-frame/-/code-frame-7.0.0.tgz"
        );
        assert_eq!(yarn_file(&found[0].url), "@babel-code-frame-7.0.0.tgz");
        assert!(yarn(b"__metadata:\n  version: 6\n").is_err());
        let berry = b"__metadata:\n  version: 6\n\n\"a@npm:^1\":\n  version: 1.2.0\n  resolution: \"@s/a@npm:1.2.0\"\n";
        assert_eq!(
            yarn_versions(berry),
            Some(vec![("@s/a".to_owned(), "1.2.0".to_owned())])
        );
        assert_eq!(yarn_versions(yarn_text.as_bytes()), None);
        for (key, url) in [
            ("/is-number/7.0.0", "is-number/-/is-number-7.0.0.tgz"),
            ("/@babel/core@7.1.0(x@1.0.0)", "@babel/core/-/core-7.1.0.tgz"),
            ("is-number@7.0.0", "is-number/-/is-number-7.0.0.tgz"),
        ] {
            let text = format!(
                "lockfileVersion: '9.0'\npackages:\n  '{key}':\n    resolution: {{integrity: sha512-AAAA}}\n"
            );
            let found = pnpm(text.as_bytes()).unwrap();
            assert_eq!(registry_path(&found[0].url), url, "{key}");
        }
        let foreign = "packages:\n  a@1.0.0:\n    resolution: {integrity: sha512-AAAA}\n    os: [darwin]\n";
        assert_eq!(pnpm(foreign.as_bytes()).unwrap(), []);
    }

    #[test]
    fn one_address_is_one_tarball() {
        let entry = |path: &str, integrity: &str, optional: bool| {
            format!(
                r#""{path}":{{"version":"1.0.0","resolved":"https://registry.npmjs.org/a/-/a-1.0.0.tgz","integrity":"{integrity}","optional":{optional}}}"#
            )
        };
        let lock = |entries: &[String]| format!(r#"{{"packages":{{{}}}}}"#, entries.join(","));
        let (one, two) = ("node_modules/a", "node_modules/b/node_modules/a");
        let same = lock(&[entry(one, "sha512-AA==", true), entry(two, "sha512-AA==", false)]);
        let found = read(same.as_bytes()).unwrap();
        assert_eq!((found.len(), found[0].optional), (1, false));
        let other = lock(&[entry(one, "sha512-AA==", false), entry(two, "sha512-BB==", false)]);
        let error = read(other.as_bytes()).unwrap_err();
        assert!(error.contains("a-1.0.0.tgz twice"), "{error}");
        let mixed = lock(&[entry(one, "sha1-AA==", false), entry(two, "sha512-BB==", false)]);
        assert_eq!(read(mixed.as_bytes()).unwrap()[0].integrity, "sha512-BB==");
        let again = lock(&[entry(one, "sha512-AA==", false), entry(one, "sha512-AA==", false)]);
        assert!(read(again.as_bytes()).is_err());
        let yaml = "packages:\n  a@1.0.0:\n    resolution: {integrity: sha512-AA==}\n  /a/1.0.0:\n    resolution: {integrity: sha512-BB==}\n";
        let error = pnpm(yaml.as_bytes()).unwrap_err();
        assert!(error.contains("twice"), "{error}");
    }

    #[test]
    fn copies_of_the_registry_are_the_registry() {
        for (url, expected) in [
            ("http://registry.npmjs.org/a/-/a-1.0.0.tgz", Some(("a", "1.0.0"))),
            (
                "https://registry.yarnpkg.com/@s%2fa/-/a-1.0.0-b.1.tgz",
                Some(("@s/a", "1.0.0-b.1")),
            ),
            (
                "https://registry.npm.taobao.org/a/download/a-1.0.0.tgz",
                Some(("a", "1.0.0")),
            ),
            ("https://codeload.github.com/a/a/tar.gz/1234", None),
        ] {
            let found = fetchable("a", url, "", false)
                .ok()
                .and_then(|it| it.name_and_version());
            let found = found
                .as_ref()
                .map(|(name, version)| (name.as_str(), version.as_str()));
            assert_eq!(found, expected, "{url}");
        }
    }

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
            // Some versions of npm leave addresses out; older ones knew SHA-1 only.
            (r#"{"version":"1.0.0"}"#, Ok(1)),
            (r#"{"version":"npm:b@1.0.0"}"#, Ok(1)),
            (r#"{"version":"github:a/a#1234"}"#, Err("no address")),
            (
                r#"{"version":"1.0.0","resolved":"http://registry.npmjs.org/a/-/a-1.0.0.tgz","integrity":"sha1-AA=="}"#,
                Ok(1),
            ),
            (
                r#"{"version":"1.0.0","resolved":"https://h/a.tgz","integrity":"sha1-AA=="}"#,
                Err("no integrity pins"),
            ),
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
