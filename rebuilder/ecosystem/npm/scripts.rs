//! Infers which scripts ran before a release was packed, if no document says so.
//!
//! `npm publish` runs `prepublishOnly`, `prepack` and `prepare`. So they run here too, unless they produce nothing
//! that is packed. If a package has none that produces something, and its source lacks a path that its `package.json`
//! names, its build script was run manually. If the source has a workflow that publishes, the scripts that it runs
//! before come first. All this is inferred from the source alone, and the plan says so.

use super::manifest::Package;
use crate::ecosystem::hints::{NpmScripts, Settings};
use crate::plan::Origin;

/// Scripts that npm runs when it publishes, in its order.
const PUBLISHING: [&str; 4] = ["prepublish", "prepublishOnly", "prepack", "prepare"];
/// Usual names of the build script, the most likely first.
const BUILDING: [&str; 6] = ["build", "build:prod", "dist", "compile", "bundle", "build:all"];

/// The scripts, and the reasons for them; the error says that the package has none of the requested kind.
/// `workflow` has the scripts of the workflow that publishes, and its path.
pub(super) fn infer(
    package: &Package,
    settings: &Settings,
    workflow: Option<(&str, &[String])>,
    is_there: &dyn Fn(&str) -> bool,
) -> Result<(Vec<String>, Origin), String> {
    let works = |name: &&str| package.script(name).is_some_and(|text| !package.is_idle(text));
    let publishing = || PUBLISHING.iter().copied().filter(works);
    let building = BUILDING
        .iter()
        .copied()
        .find(|name| package.script(name).is_some());
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
    match &settings.scripts {
        Some((NpmScripts::None, origin)) => Ok((Vec::new(), origin.clone())),
        Some((NpmScripts::Build, origin)) => {
            let name = building.ok_or("it has no script named build, dist, compile or bundle")?;
            Ok((owned(vec![name]), origin.clone()))
        }
        None => {
            let names: Vec<_> = publishing().collect();
            let parts =
                |name: &&'static str| package.script(name).and_then(|text| package.working_parts(text));
            let mut working: Vec<&str> = Vec::new();
            for name in names
                .iter()
                .flat_map(|name| parts(name).unwrap_or_else(|| vec![*name]))
            {
                // One script of npm's may run another one.
                if !working.contains(&name) {
                    working.push(name);
                }
            }
            if let Some((path, named)) = workflow {
                let named = named.iter().filter_map(|name| {
                    let (name, _) = package.scripts.get_key_value(name)?;
                    let text = package.script(name).filter(|text| !package.is_idle(text))?;
                    Some(package.working_parts(text).unwrap_or_else(|| vec![name.as_str()]))
                });
                let mut before: Vec<&str> = named.flatten().collect();
                if !before.is_empty() {
                    before.extend(
                        working
                            .iter()
                            .filter(|name| !before.contains(name))
                            .copied()
                            .collect::<Vec<_>>(),
                    );
                    let from =
                        format!("{path} at the commit runs these before it publishes, or npm publish does");
                    return Ok((owned(before), Origin::Inferred(from)));
                }
            }
            if !names.is_empty() {
                let from = if working == names {
                    "npm publish runs these scripts of package.json"
                } else {
                    "npm publish runs scripts of package.json that run these, beside some that only check"
                };
                return Ok((owned(working), Origin::Inferred(from.into())));
            }
            let missing = package.named_paths().into_iter().find(|path| !is_there(path));
            match (missing, building) {
                (Some(path), Some(name)) => {
                    let parts = package.script(name).and_then(|text| package.working_parts(text));
                    let parts = parts.filter(|parts| !parts.is_empty());
                    let beside = parts
                        .as_ref()
                        .map_or("", |_| "; its script that builds runs these");
                    let from = format!("package.json names {path}, which the source lacks{beside}");
                    Ok((owned(parts.unwrap_or_else(|| vec![name])), Origin::Inferred(from)))
                }
                _ => Ok((
                    Vec::new(),
                    Origin::Inferred(
                        "package.json has no script that npm publish runs and that makes files".into(),
                    ),
                )),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workflow_that_publishes_says_what_ran_before() {
        for (text, expected) in [
            (
                r#"{"scripts": {"build": "x", "types": "y", "prepare": "husky"}}"#,
                "build types",
            ),
            (
                r#"{"scripts": {"build": "npm run types && npm run b", "types": "y", "b": "z", "prepack": "p"}}"#,
                "types b types prepack",
            ),
            (
                r#"{"scripts": {"build": "x", "prepack": "npm run build"}}"#,
                "build",
            ),
            (
                r#"{"scripts": {"prepare": "tsc", "build": "eslint ."}}"#,
                "prepare",
            ),
        ] {
            let package: Package = serde_json::from_str(text).unwrap_or_default();
            let named = ["lint", "build", "types"].map(str::to_owned);
            let found = infer(&package, &Settings::default(), Some(("w.yml", &named)), &|_| true);
            assert_eq!(
                found.map(|(names, _)| names.join(" ")).as_deref(),
                Ok(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn the_scripts_follow_from_the_source() {
        for (text, tried, expected) in [
            (
                r#"{"scripts": {"prepare": "tsc", "build": "tsc"}}"#,
                None,
                Ok("prepare"),
            ),
            (
                r#"{"scripts": {"prepare": "husky", "prepublishOnly": "npm run build", "build": "x"}}"#,
                None,
                Ok("build"),
            ),
            (
                r#"{"scripts": {"prepublishOnly": "npm test && npm run b", "test": "x", "b": "x", "prepack": "y"}}"#,
                None,
                Ok("b prepack"),
            ),
            (
                r#"{"scripts": {"prepublish": "not-in-publish || npm run prepublishOnly", "prepublishOnly": "safe-publish-latest && npm run b", "b": "x"}}"#,
                None,
                Ok("b"),
            ),
            (
                r#"{"scripts": {"prepare": "husky", "build": "x"}, "main": "index.js"}"#,
                None,
                Ok(""),
            ),
            (
                r#"{"scripts": {"build": "x"}, "main": "dist/a.js"}"#,
                None,
                Ok("build"),
            ),
            (
                r#"{"scripts": {"build": "npm run clean && npm run b && npm run lint && npm test", "clean": "rimraf out", "b": "tsc", "lint": "eslint .", "test": "mocha"}, "main": "dist/a.js"}"#,
                None,
                Ok("clean b"),
            ),
            (
                r#"{"scripts": {"prepublish": "in-publish && npm run b && npm run typecheck || not-in-publish", "b": "x", "typecheck": "tsc --noEmit"}}"#,
                None,
                Ok("b"),
            ),
            (
                r#"{"scripts": {"prepare": "tsc", "compile": "tsc"}}"#,
                Some(NpmScripts::Build),
                Ok("compile"),
            ),
            (
                r#"{"scripts": {"prepare": "tsc"}}"#,
                Some(NpmScripts::None),
                Ok(""),
            ),
            (r#"{"scripts": {}}"#, Some(NpmScripts::Build), Err(())),
        ] {
            let package: Package = serde_json::from_str(text).unwrap_or_default();
            let settings = Settings {
                scripts: tried.map(|kind| (kind, Origin::Tried("a test".into()))),
                ..Settings::default()
            };
            let found = infer(&package, &settings, None, &|path| path == "index.js");
            let found = found.map(|(names, _)| names.join(" ")).map_err(drop);
            assert_eq!(found.as_deref(), expected.as_ref().copied(), "{text}");
        }
    }
}
