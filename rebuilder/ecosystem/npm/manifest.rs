//! The parts of a `package.json` that matter for packing: scripts, dependencies, and the paths that must exist.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read as _};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::compare;
use crate::deadline::Deadline;
use crate::evidence::json::member;

/// The relevant parts of a `package.json`. A member of an unexpected type is treated as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Package {
    pub name: Option<String>,
    pub version: Option<String>,
    #[serde(default)]
    pub scripts: BTreeMap<String, Value>,
    #[serde(default, rename = "bundleDependencies", alias = "bundledDependencies")]
    pub bundled: Value,
    #[serde(default)]
    pub dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    pub dev_dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    pub optional_dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    pub peer_dependencies: BTreeMap<String, Value>,
    #[serde(default)]
    pub workspaces: Value,
    #[serde(default)]
    pub publish_config: Value,
    #[serde(default)]
    resolutions: Value,
    /// The configuration of semantic-release.
    #[serde(default)]
    pub release: Value,
    #[serde(default, rename = "packageManager")]
    manager: Value,
    #[serde(default)]
    pub files: Value,
    #[serde(default)]
    main: Value,
    #[serde(default)]
    module: Value,
    #[serde(default)]
    types: Value,
    #[serde(default)]
    typings: Value,
    #[serde(default)]
    browser: Value,
    #[serde(default)]
    exports: Value,
    #[serde(default)]
    bin: Value,
}

/// Programs that fail outside a git repository.
const ASKING_GIT: [&str; 2] = ["git", "npmignore"];

/// Maximum number of bytes of a released `package.json` that is read.
const LARGEST: u64 = 16 << 20;
/// Maximum depth of `exports` that is followed.
const DEPTH: usize = 16;

impl Package {
    /// The `package.json` of a released tarball; `None` if it has none that can be read.
    pub fn released(tarball: &Path) -> Option<Self> {
        let mut found = None;
        let _ = compare::each_file(tarball, &Deadline::default(), &mut |path, content| {
            if path
                .split_once('/')
                .is_some_and(|(_, below)| below == "package.json")
            {
                let mut text = Vec::new();
                content.take(LARGEST).read_to_end(&mut text)?;
                found = serde_json::from_slice(&text).ok();
            }
            Ok::<_, io::Error>(())
        });
        found
    }

    /// The names of packages in `resolutions`, with the versions that Yarn takes, whatever other packages require.
    pub fn resolutions(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.resolutions.as_object().into_iter().flatten();
        all.filter_map(|(key, version)| Some((overridden(key)?, version.as_str()?)))
    }

    /// A package with these requirements for its development, and nothing else.
    pub fn requiring(dev_dependencies: BTreeMap<String, Value>) -> Self {
        Self {
            dev_dependencies,
            ..Self::default()
        }
    }

    /// The text of a script.
    pub fn script(&self, name: &str) -> Option<&str> {
        self.scripts.get(name).and_then(Value::as_str)
    }

    /// Whether a script only installs packages: npm's own installation from the lock file does that.
    pub fn is_install(&self, name: &str) -> bool {
        let text = self.script(name);
        name == "ci" && text.is_none_or(|text| text.trim() == "npm ci")
            || text.is_some_and(|text| text.trim() == "npm ci")
    }

    /// The version of a package manager in `packageManager`.
    pub fn version_of(&self, manager: &str) -> Option<&str> {
        let named = self.manager.as_str()?;
        let version = named
            .strip_prefix(manager)?
            .strip_prefix('@')?
            .split('+')
            .next()?;
        let plain = |c: char| c.is_ascii_digit() || c == '.';
        (!version.is_empty() && version.chars().all(plain)).then_some(version)
    }

    /// Whether a script calls a program with this name.
    pub fn calls(&self, program: &str) -> bool {
        let texts = self.scripts.values().filter_map(Value::as_str);
        let mut words =
            texts.flat_map(|text| text.split(|c: char| !(c.is_alphanumeric() || "-_./@".contains(c))));
        words.any(|word| word == program)
    }

    /// Whether one of these scripts calls git, or a program that asks git, by itself or through another script.
    pub fn asks_git(&self, scripts: &[String]) -> bool {
        let mut open: Vec<&str> = scripts.iter().map(String::as_str).collect();
        let mut seen = BTreeSet::new();
        while let Some(name) = open.pop() {
            let Some(text) = self.script(name).filter(|_| seen.insert(name)) else {
                continue;
            };
            let words: Vec<&str> = text
                .split(|c: char| !(c.is_alphanumeric() || "-_.:/".contains(c)))
                .collect();
            if words.iter().any(|word| ASKING_GIT.contains(word)) {
                return true;
            }
            open.extend(words.into_iter().filter(|word| self.scripts.contains_key(*word)));
        }
        false
    }

    /// Whether a script publishes with pnpm, which packs differently from npm.
    pub fn publishes_with_pnpm(&self) -> bool {
        let mut texts = self.scripts.values().filter_map(Value::as_str);
        texts.any(|text| text.contains("pnpm publish") || text.contains("pnpm -r publish"))
    }

    /// Whether dependencies are bundled.
    pub fn bundles(&self) -> bool {
        self.bundled.as_array().is_some_and(|list| !list.is_empty()) || self.bundled == true
    }

    /// Paths that users of the package load, without patterns: entry points, types, programs, and entries of `files`.
    pub fn named_paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        for value in [
            &self.main,
            &self.module,
            &self.types,
            &self.typings,
            &self.exports,
            &self.bin,
            &self.files,
        ] {
            texts(value, &mut found, DEPTH);
        }
        if self.browser.is_string() {
            texts(&self.browser, &mut found, DEPTH);
        }
        let plain = |path: &String| {
            let path = path.trim_start_matches("./").trim_start_matches('/');
            let whole = path.split('*').next().unwrap_or_default();
            let folder = if whole.len() == path.len() {
                whole
            } else {
                whole.rsplit_once('/').map_or("", |(folder, _)| folder)
            };
            let folder = folder.trim_end_matches('/');
            (!folder.is_empty() && !path.starts_with('!') && !path.starts_with(".."))
                .then(|| folder.to_owned())
        };
        found.iter().filter_map(plain).collect()
    }

    /// The folder that a publishing tool packs, instead of that of `package.json`.
    pub fn publish_directory(&self) -> Option<&str> {
        member(&self.publish_config, ["directory"]).as_str()
    }

    /// Patterns for the folders of workspace packages.
    pub fn workspace_patterns(&self) -> Vec<&str> {
        let list = self.workspaces.as_array();
        let list = list.or_else(|| member(&self.workspaces, ["packages"]).as_array());
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

/// The package that a key of `resolutions` is about: the last one of its path, without the range after it.
fn overridden(key: &str) -> Option<&str> {
    let (before, last) = key.rsplit_once('/').unwrap_or(("", key));
    let scope = before.rsplit('/').next().unwrap_or_default();
    let start = if scope.starts_with('@') {
        scope.len().saturating_add(1)
    } else {
        0
    };
    let length = start.saturating_add(last.len());
    let name = key.get(key.len().saturating_sub(length)..)?;
    let range = name.char_indices().skip(1).find(|(_, c)| *c == '@');
    let name = range.map_or(Some(name), |(at, _)| name.get(..at))?;
    (!name.is_empty()).then_some(name)
}

/// Collects every text in a value that may be a path.
fn texts(value: &Value, found: &mut Vec<String>, depth: usize) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(list) if depth > 0 => list
            .iter()
            .for_each(|inner| texts(inner, found, depth.saturating_sub(1))),
        Value::Object(map) if depth > 0 => map
            .values()
            .for_each(|inner| texts(inner, found, depth.saturating_sub(1))),
        _ => {}
    }
}

/// Names of programs that produce nothing that is packed.
const IDLE: &[&str] = &[
    "husky",
    "lefthook",
    "simple-git-hooks",
    "is-ci",
    "patch-package",
    "git",
    "np",
    "echo",
    "exit",
    "true",
    "test",
    "[",
    "eslint",
    "prettier",
    "mocha",
    "jest",
    "ava",
    "tap",
    "tape",
    "nyc",
    "c8",
    "xo",
    "standard",
    "lint-staged",
    "safe-publish-latest",
    "not-in-publish",
    "in-publish",
    "pinst",
    "publint",
    "attw",
    "vitest",
    "npmignore-check",
    "fi",
    "cd",
    "yarn-deduplicate",
    "evalmd",
    "auto-changelog",
    "size-limit",
    "gzip-size",
    "bundlesize",
    "tsd",
    "semantic-release",
    "release-it",
    "changeset",
];

/// Names of scripts that only check.
const CHECKS: &[&str] = &[
    "test",
    "lint",
    "check",
    "coverage",
    "audit",
    "pretty",
    "format",
    "typecheck",
    "docs",
    "version",
];

/// Programs of the package `in-publish` that begin a script, with what follows them if the rest runs when npm
/// publishes.
const GUARDS: [(&str, &str); 4] = [
    ("not-in-publish", "||"),
    ("in-publish", "&&"),
    ("in-install", "||"),
    ("not-in-install", "&&"),
];

/// The part of a script that runs when npm publishes, without the program that asks whether it does.
fn while_publishing(text: &str) -> &str {
    let text = text.trim();
    // It is there so that the script succeeds if npm does not publish.
    let otherwise = text.strip_suffix("not-in-publish").map(str::trim_end);
    let text = otherwise
        .and_then(|text| text.strip_suffix("||"))
        .map_or(text, str::trim_end);
    let rest = |(program, then): &(&str, &str)| {
        let rest = text.strip_prefix(program)?.trim_start().strip_prefix(then)?;
        Some(rest.trim())
    };
    GUARDS.iter().find_map(rest).unwrap_or(text)
}

impl Package {
    /// Whether a script produces nothing that is packed: it sets up hooks, checks, or talks to a registry.
    pub(super) fn is_idle(&self, text: &str) -> bool {
        self.idle(text, DEPTH)
    }

    /// The scripts that a script runs one after another, without those that produce nothing; `None` if it runs
    /// anything else.
    pub(super) fn working_parts(&self, text: &str) -> Option<Vec<&str>> {
        self.parts(text, DEPTH)
    }

    fn parts(&self, text: &str, depth: usize) -> Option<Vec<&str>> {
        let text = while_publishing(text);
        if text.contains("||") || text.contains([';', '|', '\n', '$', '(']) {
            return None;
        }
        let commands = text.split("&&").map(str::trim);
        let working = commands.filter(|command| !self.is_idle(command));
        let script = |command: &str| {
            let words: Vec<_> = command.split_whitespace().collect();
            let (["npm" | "yarn" | "pnpm" | "bun", "run" | "run-script", name] | ["yarn" | "pnpm", name]) =
                words[..]
            else {
                return None;
            };
            let (name, text) = self.scripts.get_key_value(name)?;
            let inner = text
                .as_str()
                .filter(|text| depth > 0 && self.has_idle_parts(name, text));
            let inner = inner.and_then(|text| self.parts(text, depth.saturating_sub(1)));
            Some(inner.unwrap_or_else(|| vec![name.as_str()]))
        };
        let all: Option<Vec<_>> = working.map(script).collect();
        Some(all?.concat())
    }

    /// Whether a script that npm runs alone, without one before or after it, has parts that produce nothing.
    fn has_idle_parts(&self, name: &str, text: &str) -> bool {
        let alone = ["pre", "post"]
            .iter()
            .all(|when| !self.scripts.contains_key(&format!("{when}{name}")));
        let inner = while_publishing(text);
        alone && (inner.len() < text.trim().len() || inner.split("&&").any(|command| self.is_idle(command)))
    }

    fn idle(&self, text: &str, depth: usize) -> bool {
        let commands = text.split(['&', '|', ';', '\n']).map(str::trim);
        commands.filter(|command| !command.is_empty()).all(|command| {
            let skipped = |word: &&str| ["if", "then", "else", "!"].contains(word) || word.contains('=');
            let mut words = command.split_whitespace().skip_while(skipped);
            let mut program = words.next().unwrap_or_default();
            if program == "npx" {
                program = words.find(|word| !word.starts_with('-')).unwrap_or_default();
            }
            if !["npm", "yarn", "pnpm", "bun"].contains(&program) {
                return IDLE.contains(&program);
            }
            let script = words.find(|word| !["run", "run-script"].contains(word) && !word.starts_with('-'));
            let script = script.unwrap_or_default();
            // Publishing itself is no part of the rebuild.
            let publishes = script == "publish" && self.script(script).is_none();
            let checks = publishes || script == "t" || CHECKS.iter().any(|check| script.starts_with(check));
            let inner = || {
                self.script(script)
                    .is_some_and(|text| self.idle(text, depth.saturating_sub(1)))
            };
            checks || depth > 0 && inner()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hooks_and_checks_make_nothing() {
        let scripts = r#"{"scripts": {"size": "yarn run hooks", "hooks": "husky", "loop": "npm run loop", "build": "tsc"}}"#;
        let package: Package = serde_json::from_str(scripts).unwrap_or_default();
        for (text, idle) in [
            ("husky", true),
            ("husky install && npm run lint", true),
            ("npm test", true),
            ("safe-publish-latest", true),
            ("not-in-publish || npm run prepublishOnly", false),
            ("git push origin --follow-tags", true),
            ("if [ -d .git ]; then npx lefthook install; fi", true),
            ("tsc", false),
            ("npm run size", true),
            ("npm run loop", false),
            ("npm run build", false),
            ("npm run test && npm run build", false),
            ("npm test && npm publish", true),
            ("changeset publish", true),
            ("NODE_ENV=production rollup -c", false),
            ("npmignore --auto --commentLines=autogenerated", false),
        ] {
            assert_eq!(package.is_idle(text), idle, "{text}");
        }
    }

    #[test]
    fn what_only_checks_is_left_out() {
        let text = r#"{"scripts": {"build": "tsc", "dist": "rollup", "test": "jest", "l": "eslint .", "release": "safe-publish-latest && npm run build", "whole": "npm t && npm run build", "prewhole": "rm x"}, "packageManager": "pnpm@8.4.0+sha256.ab"}"#;
        let package: Package = serde_json::from_str(text).unwrap_or_default();
        for (text, expected) in [
            ("npm test && npm run build", Some(&["build"][..])),
            (
                "safe-publish-latest && npm run dist && yarn build",
                Some(&["dist", "build"]),
            ),
            ("npm run l", Some(&[])),
            ("npm run build -- --prod", None),
            ("npm test && tsc", None),
            ("not-in-publish || npm run build", Some(&["build"])),
            ("in-publish && yarn dist", Some(&["dist"])),
            ("in-publish || yarn dist", None),
            ("not-in-publish || npm run release", Some(&["build"])),
            ("npm run whole", Some(&["whole"])),
        ] {
            assert_eq!(package.working_parts(text).as_deref(), expected, "{text}");
        }
        assert_eq!(package.version_of("pnpm"), Some("8.4.0"));
        assert_eq!(package.version_of("yarn"), None);
        let calls: Package = serde_json::from_str(r#"{"scripts": {"a": "x && pnpm build", "b": "yarn-b"}}"#)
            .unwrap_or_default();
        assert_eq!((calls.calls("pnpm"), calls.calls("yarn")), (true, false));
    }

    #[test]
    fn scripts_that_ask_git_are_found_through_others() {
        let text = r#"{"scripts": {"a": "npm run b", "b": "npmignore --auto", "c": "npm run c && digit x", "d": "x $(git ls-files)"}}"#;
        let package: Package = serde_json::from_str(text).unwrap_or_default();
        for (name, asks) in [
            ("a", true),
            ("b", true),
            ("c", false),
            ("d", true),
            ("none", false),
        ] {
            assert_eq!(package.asks_git(&[name.to_owned()]), asks, "{name}");
        }
    }

    #[test]
    fn paths_are_read_off_every_field() {
        let package: Package = serde_json::from_str(
            r#"{"main": "./dist/a.js", "exports": {".": {"import": "./esm/a.mjs"}, "./x/*": "./x/*.js"},
                "files": ["lib/", "!lib/test", "dist-*/b", "*.d.ts"], "bin": "bin/a"}"#,
        )
        .unwrap_or_default();
        assert_eq!(
            package.named_paths(),
            ["dist/a.js", "esm/a.mjs", "x", "bin/a", "lib"]
        );
    }

    #[test]
    fn resolutions_are_about_the_last_package_of_a_path() {
        for (key, expected) in [
            ("nyc/node-preload", Some("node-preload")),
            ("@babel/core", Some("@babel/core")),
            ("a/@babel/core", Some("@babel/core")),
            ("**/b", Some("b")),
            ("b@npm:^1.0.0", Some("b")),
            ("@s/a@^1", Some("@s/a")),
            ("", None),
        ] {
            assert_eq!(overridden(key), expected, "{key}");
        }
    }
}
