//! Whether a plan has a form that can be run: bounded, without two things in one place, and with names and values
//! that a shell, a kernel and a log accept as they are.
//!
//! Only the form is judged. Whether a plan may be signed, the signer decides by its own recipes.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use super::Limits;
use super::{Plan, VERSION};
use crate::artifact::git_source::GitSource;

/// Maximum number of bytes of a plan.
pub const SIZE: u64 = crate::bounded::PLAN;
/// Maximum number of inputs, expected files, patterns, inline files, sources from git, steps, variables and
/// assumptions.
const INPUTS: usize = 65_536;
const EXPECTED: usize = 4096;
/// Three for each package that stands in for another one; all of them together are within the size of a plan.
const FILES: usize = 4096;
const SOURCES: usize = 64;
const STEPS: usize = 256;
const VARIABLES: usize = 1024;
const ASSUMPTIONS: usize = 1024;
/// Maximum length of a name or path, of a variable's value (the kernel's limit), and of a text.
const NAME: usize = 1024;
const VALUE: usize = 128 << 10;
const TEXT: usize = 4 << 20;

/// The first thing that is wrong with the form of a plan.
pub(super) fn check(plan: &Plan) -> Result<(), String> {
    if plan.version != VERSION {
        return Err(format!(
            "it has version {}, but this tool reads version {VERSION}",
            plan.version
        ));
    }
    counts(plan)?;
    if plan.expected.is_empty() {
        return Err("it expects no output".into());
    }
    places(plan)?;
    let mut names = BTreeSet::new();
    for expected in &plan.expected {
        let name = &expected.file.name;
        path(name)?;
        if !names.insert(name) {
            return Err(format!("it expects two outputs called {name:?}"));
        }
        short("the package URL of an output", &expected.purl)?;
    }
    short("its subject", &plan.subject)?;
    for pattern in &plan.not_compared {
        short("a pattern", pattern)?;
    }
    for git in &plan.git {
        source(&git.source)?;
    }
    for phase in [&plan.setup, &plan.build] {
        for (name, value) in &phase.env {
            variable(name, value)?;
        }
        for step in &phase.steps {
            short("the name of a step", &step.name)?;
            if step.run.len() > TEXT || step.run.contains('\0') {
                return Err(format!("its step {:?} is too long, or not a text", step.name));
            }
        }
    }
    for file in &plan.files {
        if file.text.len() > TEXT {
            return Err(format!("its file {:?} has {} bytes", file.place, file.text.len()));
        }
    }
    for assumption in &plan.assumptions {
        short("what an assumption is about", &assumption.what)?;
    }
    machine(&plan.hostname, plan.umask, &plan.limits)
}

/// What a plan names is handed to git, so it must have the form that evidence must have.
fn source(named: &GitSource) -> Result<(), String> {
    let GitSource {
        repository,
        reference,
        commit,
    } = named;
    let checked = GitSource::new(repository, reference.as_deref(), commit.as_deref());
    match checked.map_err(|error| error.to_string())? {
        source if source.commit.is_none() => Err(format!("{repository} has no commit")),
        source if source != *named => Err(format!("{repository} is not written as it must be")),
        _ => Ok(()),
    }
}

fn counts(plan: &Plan) -> Result<(), String> {
    let variables = plan.setup.env.len().saturating_add(plan.build.env.len());
    let steps = plan.setup.steps.len().saturating_add(plan.build.steps.len());
    for (what, count, most) in [
        ("inputs", plan.inputs.len(), INPUTS),
        ("expected outputs", plan.expected.len(), EXPECTED),
        ("patterns", plan.not_compared.len(), EXPECTED),
        ("files of its own", plan.files.len(), FILES),
        ("sources from git", plan.git.len(), SOURCES),
        ("steps", steps, STEPS),
        ("variables", variables, VARIABLES),
        ("assumptions", plan.assumptions.len(), ASSUMPTIONS),
        ("claims", plan.claims.len(), EXPECTED),
    ] {
        if count > most {
            return Err(format!("it has {count} {what}, but the maximum is {most}"));
        }
    }
    Ok(())
}

/// Every input has its own place: none is written twice, and none is a folder of another.
fn places(plan: &Plan) -> Result<(), String> {
    let inputs = plan.inputs.iter().map(|input| &input.place);
    let all = inputs
        .chain(plan.files.iter().map(|file| &file.place))
        .chain(plan.git.iter().map(|git| &git.place));
    let mut taken = BTreeSet::new();
    for place in all {
        path(place)?;
        // `a//b` and `a/./b` are the place `a/b`.
        let parts: Vec<_> = Path::new(place).components().collect();
        if !taken.insert(parts) {
            return Err(format!("two of its inputs are put at {place:?}"));
        }
    }
    for parts in &taken {
        for end in 1..parts.len() {
            if parts.get(..end).is_some_and(|above| taken.contains(above)) {
                let place: std::path::PathBuf = parts.iter().collect();
                return Err(format!("{} is below another input", place.display()));
            }
        }
    }
    Ok(())
}

fn path(place: &str) -> Result<(), String> {
    let normal = |part| matches!(part, Component::Normal(_));
    if place.is_empty() || !Path::new(place).components().all(normal) {
        return Err(format!(
            "{place:?} is not a relative path inside the input folder"
        ));
    }
    short("a path", place)
}

/// Names and the like: bounded, without anything that does not print.
fn short(what: &str, text: &str) -> Result<(), String> {
    if text.len() > NAME {
        return Err(format!(
            "{what} has {} bytes, but the maximum is {NAME}",
            text.len()
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{what} has control characters: {text:?}"));
    }
    Ok(())
}

/// A variable that every shell and kernel accepts.
fn variable(name: &str, value: &str) -> Result<(), String> {
    let mut letters = name.chars();
    let begins = letters
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !begins || name.len() > NAME || !letters.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(format!("{name:?} is not the name of a variable"));
    }
    if value.len() > VALUE || value.contains('\0') {
        return Err(format!(
            "the value of the variable {name} is too long, or not a text"
        ));
    }
    Ok(())
}

/// Host name, mask and limits that a kernel accepts.
fn machine(hostname: &str, umask: u32, limits: &Limits) -> Result<(), String> {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    if hostname.len() > 64 || !hostname.split('.').all(label) {
        return Err(format!("{hostname:?} is not a host name"));
    }
    if umask > 0o777 {
        return Err(format!("{umask:o} is not a file mode creation mask"));
    }
    let Limits {
        seconds,
        memory,
        disk,
        pids,
        cpus,
    } = *limits;
    for (what, value, least, most) in [
        ("seconds", seconds, 1, 30 * 24 * 3600),
        ("memory", memory, 1 << 20, 1 << 50),
        ("disk", disk, 1 << 10, 1 << 50),
        ("pids", pids, 1, 4 << 20),
        ("cpus", cpus as u64, 1, 8192),
    ] {
        if !(least..=most).contains(&value) {
            return Err(format!(
                "its limit of {what} is {value}; it must be between {least} and {most}"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan() -> Value {
        let file = |name: &str| json!({"name": name, "urls": [], "sha256": "0".repeat(64), "size": 1});
        json!({
            "version": 1, "subject": "pkg:generic/x", "ecosystem": "provenance", "claims": [],
            "expected": [{"purl": "pkg:generic/x", "file": file("x")}],
            "not_compared": [],
            "container": {"image": {"repository": "docker.io/library/x", "digest": "0".repeat(64)}},
            "inputs": [{"role": "source", "place": "source/x.tar", "file": file("x.tar")}],
            "files": [{"place": "recipe/a", "text": "a\n"}],
            "setup": {"env": {}, "steps": []},
            "build": {"env": {"PATH": "/bin"}, "steps": [{"name": "a", "run": "true\n"}]},
            "hostname": "rebuilder", "umask": 18,
            "limits": {"seconds": 60, "memory": 1 << 30, "disk": 1 << 30, "pids": 10, "cpus": 1},
            "assumptions": []
        })
    }

    fn checked(document: Value) -> Result<(), String> {
        let plan: Plan = serde_json::from_value(document).map_err(|error| error.to_string())?;
        check(&plan)
    }

    // Long, as it is one table.
    #[test]
    fn forms_that_no_machine_takes_are_refused_as_such() {
        assert_eq!(checked(plan()), Ok(()));
        let input = |place: &str| {
            let mut input = plan()["inputs"][0].clone();
            input["place"] = json!(place);
            input
        };
        for (path, value, expected) in [
            ("/hostname", json!("two\nlines"), "not a host name"),
            ("/hostname", json!("\u{1b}[31m"), "not a host name"),
            ("/hostname", json!(""), "not a host name"),
            ("/hostname", json!("h".repeat(65)), "not a host name"),
            ("/umask", json!(u32::MAX), "mask"),
            ("/limits/seconds", json!(0), "its limit of seconds"),
            ("/limits/seconds", json!(u64::MAX), "its limit of seconds"),
            ("/limits/memory", json!(u64::MAX), "its limit of memory"),
            ("/limits/disk", json!(0), "its limit of disk"),
            ("/limits/pids", json!(0), "its limit of pids"),
            ("/limits/cpus", json!(0), "its limit of cpus"),
            ("/build/env", json!({"A=B": "c"}), "not the name of a variable"),
            ("/build/env", json!({"": "c"}), "not the name of a variable"),
            ("/build/env", json!({"A B": "c"}), "not the name of a variable"),
            (
                "/build/env",
                json!({"BASH_FUNC_x%%": "() { :; }"}),
                "not the name of a variable",
            ),
            ("/build/env", json!({"A": "b\0c"}), "not a text"),
            ("/build/env", json!({"A": "b".repeat(VALUE + 1)}), "too long"),
            ("/build/steps/0/name", json!("a\rb"), "control characters"),
            ("/subject", json!("x".repeat(1100 << 10)), "but the maximum is"),
            ("/subject", json!("x\ny"), "control characters"),
            ("/not_compared", json!(["\u{1b}]0;x\u{7}"]), "control characters"),
            (
                "/inputs",
                json!([input("a/b"), input("a/b")]),
                "two of its inputs are put at",
            ),
            (
                "/inputs",
                json!([input("a/b"), input("a//b")]),
                "two of its inputs are put at",
            ),
            (
                "/inputs",
                json!([input("a/./b"), input("a/b")]),
                "two of its inputs are put at",
            ),
            (
                "/inputs",
                json!([input("recipe/a")]),
                "two of its inputs are put at",
            ),
            (
                "/inputs",
                json!([input("a/b/c"), input("a")]),
                "below another input",
            ),
            ("/inputs", json!([input("../a")]), "not a relative path"),
            ("/inputs", json!([input("/a")]), "not a relative path"),
            ("/expected", json!([]), "expects no output"),
            (
                "/expected",
                json!([plan()["expected"][0], plan()["expected"][0]]),
                "two outputs called",
            ),
        ] {
            let mut document = plan();
            *document.pointer_mut(path).unwrap() = value.clone();
            let found = checked(document).unwrap_err();
            let shown: String = value.to_string().chars().take(60).collect();
            assert!(found.contains(expected), "{path} {shown}: {found}");
        }
    }
}
