//! What a GitHub workflow file runs: actions, and the commands of its steps.
//!
//! It is read to name what is mutable and to infer how a package was built; it is never run.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{NoExpand, Regex};
use serde_json::Value;

use super::json::member;

/// The relevant parts of a workflow.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Workflow {
    /// `uses:` of all steps in order; jobs are in order of their names.
    pub uses: Vec<String>,
    /// Lines of `run:` of all steps, in the same order; expressions of GitHub are empty.
    pub commands: Vec<String>,
    /// `node-version` of the first setup step that has one.
    pub node_version: Option<String>,
}

/// Maximum depth of nesting that is followed.
const DEPTH: usize = 32;
/// Options of npm that take no value and do not change what is run.
const FLAGS: [&str; 5] = ["--if-present", "--silent", "-s", "--quiet", "-q"];

/// Actions that publish to npm's registry.
const PUBLISHING_ACTIONS: [&str; 3] = ["semantic-release", "npm-publish", "changesets/action"];
/// Programs that publish to npm's registry.
const PUBLISHING_PROGRAMS: [&str; 3] = ["semantic-release", "release-it", "np"];

/// An expression that GitHub evaluates before a shell reads the command.
static EXPRESSION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\$\{\{.*?\}\}").ok());

/// A command with each expression as one word, whatever is inside it.
fn without_expressions(line: &str) -> String {
    let replaced = EXPRESSION
        .as_ref()
        .map(|expression| expression.replace_all(line, NoExpand("${{}}")));
    replaced.map_or_else(|| line.to_owned(), Cow::into_owned)
}

/// Whether the words of a command are of one that publishes.
fn is_publishing(words: &[&str]) -> bool {
    let (["npx" | "yarn" | "pnpm" | "bunx", program, ..] | [program, ..]) = words else {
        return false;
    };
    let managers = ["npm", "yarn", "pnpm", "lerna", "changeset"];
    let by_manager = words
        .first()
        .is_some_and(|first| managers.contains(first) || *first == "npx");
    let by_publish = words.contains(&"publish") && !words.contains(&"run");
    by_manager && by_publish || PUBLISHING_PROGRAMS.contains(program)
}

impl Workflow {
    /// Reads a workflow file; `None` if it is not a YAML mapping.
    pub fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_saphyr::from_str(text).ok()?;
        let mut this = Self::default();
        for job in member(&value, ["jobs"]).as_object()?.values() {
            this.read(job, DEPTH);
        }
        Some(this)
    }

    /// Each job of a workflow file by itself; none if the file cannot be read.
    pub fn jobs(text: &str) -> Vec<Self> {
        let value: Value = serde_saphyr::from_str(text).unwrap_or_default();
        let jobs = member(&value, ["jobs"]).as_object();
        let read = |job| {
            let mut this = Self::default();
            this.read(job, DEPTH);
            this
        };
        jobs.into_iter()
            .flat_map(|jobs| jobs.values())
            .map(read)
            .collect()
    }

    fn read(&mut self, value: &Value, depth: usize) {
        if depth == 0 {
            return;
        }
        match value {
            Value::Object(map) => {
                if let Some(uses) = map.get("uses").and_then(Value::as_str) {
                    self.uses.push(uses.to_owned());
                    self.read_version(member(value, ["with", "node-version"]));
                }
                if let Some(run) = map.get("run").and_then(Value::as_str) {
                    let lines = run.lines().map(str::trim).filter(|line| !line.is_empty());
                    self.commands.extend(lines.map(without_expressions));
                }
                for (_, inner) in map {
                    self.read(inner, depth.saturating_sub(1));
                }
            }
            Value::Array(list) => list
                .iter()
                .for_each(|inner| self.read(inner, depth.saturating_sub(1))),
            _ => {}
        }
    }

    /// Reads the version that a step or a reusable workflow is given. A list, or the name of a matrix's value, is no version.
    fn read_version(&mut self, version: &Value) {
        let text = match version {
            Value::String(text) if !text.is_empty() && !text.contains("${{") => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return,
        };
        self.node_version.get_or_insert(text);
    }

    /// Actions and reusable workflows that no commit pins, so that others may change what they do.
    pub fn unpinned(&self) -> Vec<&str> {
        let pinned = |uses: &str| {
            uses.starts_with("./")
                || uses.contains("@sha256:")
                || uses
                    .rsplit_once('@')
                    .is_some_and(|(_, at)| at.len() == 40 && at.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        self.uses
            .iter()
            .map(String::as_str)
            .filter(|uses| !pinned(uses))
            .collect()
    }

    /// Whether it publishes to npm's registry, by itself or with a usual tool.
    pub fn publishes(&self) -> bool {
        let by_action = |uses: &String| PUBLISHING_ACTIONS.iter().any(|name| uses.contains(name));
        self.uses.iter().any(by_action) || self.single_commands().any(|command| is_publishing(&command))
    }

    /// The scripts that it runs with any package manager, in order, up to the command that publishes.
    pub fn scripts_before_publishing(&self) -> Vec<String> {
        let commands = self.single_commands();
        let before = commands.take_while(|command| !is_publishing(command));
        let script = |command: Vec<&str>| match command[..] {
            ["npm" | "yarn" | "pnpm" | "bun", "run" | "run-script", name, ..]
            | ["yarn" | "pnpm", name, ..]
                if !name.starts_with('-') =>
            {
                Some(name.to_owned())
            }
            _ => None,
        };
        before.filter_map(script).collect()
    }

    /// The words of each command, without variables that are set for it and options that change nothing.
    fn single_commands(&self) -> impl Iterator<Item = Vec<&str>> {
        let commands = self.commands.iter().flat_map(|line| line.split("&&"));
        let commands = commands.flat_map(|part| part.split(';'));
        commands.map(|command| {
            let words = command.split_whitespace().skip_while(|word| word.contains('='));
            words.filter(|word| !FLAGS.contains(word)).collect()
        })
    }

    /// The scripts that `npm run` runs, and `ci` for an install, in order, up to the step that publishes.
    pub fn npm_scripts(&self) -> Vec<String> {
        let mut scripts = Vec::new();
        for command in &self.commands {
            let words = command.split_whitespace().filter(|word| !FLAGS.contains(word));
            match words.collect::<Vec<_>>()[..] {
                ["npm", "publish", ..] => break,
                ["npm", "run" | "run-script", name, ..] if !name.starts_with('-') => {
                    scripts.push(name.to_owned());
                }
                ["npm", "ci" | "install" | "i"] => scripts.push("ci".to_owned()),
                _ => {}
            }
        }
        scripts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_publishes_is_told_apart_from_one_that_tests() {
        for (steps, publishes, scripts) in [
            (
                "[{run: npm ci}, {run: npm run build && yarn types}, {run: npm publish}, {run: npm run after}]",
                true,
                &["build", "types"][..],
            ),
            (
                "[{run: 'NODE_ENV=a npm run -s build; npx semantic-release'}]",
                true,
                &["build"],
            ),
            (
                "[{run: pnpm dist}, {uses: JS-DevTools/npm-publish@v1}]",
                true,
                &["dist"],
            ),
            ("[{run: yarn changeset publish}]", true, &[]),
            (
                "[{run: npm run build}, {run: 'REF=${{ env.REF }} A=${{github.sha}}-${{ b && c }} semantic-release'}]",
                true,
                &["build"],
            ),
            ("[{run: yarn lerna publish from-git}]", true, &[]),
            (
                "[{run: pnpm run build}, {run: pnpm -r publish}]",
                true,
                &["build"],
            ),
            (
                "[{run: npm run publish-docs}, {run: npm test}]",
                false,
                &["publish-docs"],
            ),
            ("[{run: npm install np}, {run: npm run build}]", false, &["build"]),
        ] {
            let text =
                format!("jobs: {{test: {{steps: [{{run: npm run lint}}]}}, release: {{steps: {steps}}}}}");
            let jobs = Workflow::jobs(&text);
            let found: Vec<_> = jobs.iter().filter(|job| job.publishes()).collect();
            assert_eq!(found.len(), usize::from(publishes), "{steps}");
            let release = jobs
                .iter()
                .find(|job| !job.commands.contains(&"npm run lint".to_owned()));
            assert_eq!(release.unwrap().scripts_before_publishing(), scripts, "{steps}");
        }
    }

    #[test]
    fn finds_what_is_run_and_what_may_change() {
        let text = "
on: [push]
jobs:
  call:
    uses: o/r/.github/workflows/w.yml@v1
  build:
    steps:
      - uses: actions/checkout@64ed1c7eab4cce3362f8c340dee64e5eaeef8f7c # v3
      - uses: actions/setup-node@v4
        with: {node-version: 20.x}
      - run: |
          npm ci
          npm run build
      - uses: ./local
      - run: npm publish --provenance
      - run: npm run after
";
        let workflow = Workflow::parse(text).unwrap();
        assert_eq!(
            workflow.unpinned(),
            ["actions/setup-node@v4", "o/r/.github/workflows/w.yml@v1"]
        );
        assert_eq!(workflow.npm_scripts(), ["ci", "build"]);
        assert_eq!(workflow.node_version.as_deref(), Some("20.x"));
        for (text, version, scripts) in [
            (
                "jobs: {a: {strategy: {matrix: {node-version: [16, 18]}}, steps: [{uses: s@v1, with: {node-version: '${{ matrix.node-version }}'}}]}}",
                None,
                &[][..],
            ),
            (
                "jobs: {a: {steps: [{uses: s@v1, with: {node-version: 18}}, {run: npm run --if-present build}, {run: npm --silent run -s pack}, {run: npm run --workspace a b}]}}",
                Some("18"),
                &["build", "pack"],
            ),
        ] {
            let workflow = Workflow::parse(text).unwrap();
            assert_eq!(workflow.node_version.as_deref(), version, "{text}");
            assert_eq!(workflow.npm_scripts(), scripts, "{text}");
        }
        assert_eq!(Workflow::parse("[1, 2"), None);
        assert_eq!(Workflow::jobs("[1, 2"), []);
        assert_eq!(Workflow::parse("- a"), None);
    }
}
