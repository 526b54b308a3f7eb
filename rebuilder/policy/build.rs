//! The requirements of a rule on the build: its builder, and the branch, tag and inputs that triggered it.
//!
//! The questions are those of slsa-verifier's options `--builder-id`, `--source-branch`, `--source-tag`,
//! `--source-versioned-tag` and `--build-workflow-input`. If the provenance lacks the information, that is a separate
//! answer, and it breaks the rule.

use std::borrow::Cow;

use semver::{BuildMetadata, Version};
use serde::Deserialize;
use serde_json::Value;

use super::Check;
use super::file::Rule;
use super::gate::check;
use crate::artifact::pattern;
use crate::evidence::assess::Assessment;
use crate::evidence::custody;
use crate::evidence::sigstore::Identity;
use crate::evidence::trigger::Trigger;

/// What npm's provenance called GitHub's builder before SLSA provenance v1.
const GITHUB_RUNNER: &str = "https://github.com/actions/runner";

/// A version whose last parts may be left out: `v1`, `v1.2`, `v1.2.3`, `v1.2.3-rc.1`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct VersionPrefix {
    parts: usize,
    version: Version,
}

impl TryFrom<String> for VersionPrefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match version(&text) {
            Some((version, parts)) => Ok(Self { parts, version }),
            None => Err(format!(
                "{text:?} is not a version as tags have it, such as \"v1.2\" or \"v1.2.3\""
            )),
        }
    }
}

/// A version behind a `v`, without its build metadata, which say nothing about precedence; second, how many of its three
/// numbers are there.
fn version(text: &str) -> Option<(Version, usize)> {
    let plain = text.strip_prefix('v')?;
    // Only a whole version can be a pre-release.
    let parts = plain.split(['-', '+']).next()?.split('.').count();
    let whole = match parts {
        1 if !plain.contains(['-', '+']) => format!("{plain}.0.0"),
        2 if !plain.contains(['-', '+']) => format!("{plain}.0"),
        3 => plain.to_owned(),
        _ => return None,
    };
    let version = Version::parse(&whole).ok()?;
    Some((
        Version {
            build: BuildMetadata::EMPTY,
            ..version
        },
        parts,
    ))
}

impl VersionPrefix {
    /// Whether a tag is of this version, in the parts that are given.
    fn fits(&self, tag: &str) -> bool {
        let Some((tag, _)) = version(tag) else {
            return false;
        };
        let own = &self.version;
        match self.parts {
            1 => tag.major == own.major,
            2 => (tag.major, tag.minor) == (own.major, own.minor),
            _ => tag == *own,
        }
    }
}

/// Whether a builder is the named one: by its whole id, or without its version. A version `v1` is also the tag
/// `refs/tags/v1`.
fn is_builder(wanted: &str, builder: &str) -> bool {
    let split = |text: &str| -> (String, String) {
        let (name, version) = text.split_once('@').unwrap_or((text, ""));
        (name.to_owned(), version.to_owned())
    };
    let ((wanted, version), (name, own)) = (split(wanted), split(builder));
    name == wanted && (version.is_empty() || own == version || own == format!("refs/tags/{version}"))
}

/// A builder by the name that GitHub gives it today: before provenance v1, npm's named the runner, and the certificate alone
/// said whether it is one of GitHub's (`github-hosted`) or another one.
fn on_runner<'b>(builder: &'b str, it: &Assessment) -> Cow<'b, str> {
    let identity = it.signer().and_then(|signer| signer.identity.as_ref());
    match identity.and_then(|identity| identity.runner.as_deref()) {
        Some(runner) if builder == GITHUB_RUNNER => format!("{builder}/{runner}").into(),
        _ => builder.into(),
    }
}

/// The checks of a rule about verified provenance that a builder signed; each must hold for all, and there must be one.
pub(super) fn checks(rule: &Rule, told: &[&Assessment]) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut all = |name: &str, answer: &dyn Fn(&Assessment) -> Result<String, String>| {
        let answers: Vec<_> = told.iter().map(|it| answer(it)).collect();
        let refused = answers.iter().find_map(|answer| answer.as_ref().err());
        checks.push(match (refused, answers.first()) {
            (Some(reason), _) => check(name, false, reason.clone()),
            (None, Some(Ok(finding))) => check(name, true, finding.clone()),
            _ => check(name, false, "no verified provenance by a builder says so"),
        });
    };
    if !rule.builder_ids.is_empty() {
        all("builder-ids", &|it| {
            let builder = it
                .provenance
                .as_ref()
                .map_or("", |provenance| provenance.builder.as_str());
            let hosted = on_runner(builder, it);
            let mut wanted = rule.builder_ids.iter();
            let fits = wanted.any(|wanted| is_builder(wanted, builder) || is_builder(wanted, &hosted));
            answer(fits, format!("its builder is {hosted}"))
        });
    }
    if !rule.source_branches.is_empty() {
        all("source-branches", &|it| {
            let name = said(it, |trigger| trigger.branch)?;
            let fits = rule
                .source_branches
                .iter()
                .any(|wanted| pattern::fits(wanted, &name));
            answer(fits, format!("it was built from the branch {name}"))
        });
    }
    if !rule.source_tags.is_empty() {
        all("source-tags", &|it| {
            let name = said(it, |trigger| trigger.tag)?;
            let fits = rule.source_tags.iter().any(|wanted| pattern::fits(wanted, &name));
            answer(fits, format!("it was built from the tag {name}"))
        });
    }
    if !rule.source_versioned_tags.is_empty() {
        all("source-versioned-tags", &|it| versioned_tag(rule, it));
    }
    if !rule.workflow_inputs.is_empty() {
        all("workflow-inputs", &|it| workflow_inputs(rule, it));
    }
    checks
}

fn versioned_tag(rule: &Rule, told: &Assessment) -> Result<String, String> {
    let name = said(told, |trigger| trigger.tag)?;
    let fits = rule.source_versioned_tags.iter().any(|wanted| wanted.fits(&name));
    if version(&name).is_none() {
        return Err(format!(
            "it was built from the tag {name}, which is not a version"
        ));
    }
    answer(fits, format!("it was built from the tag {name}"))
}

fn workflow_inputs(rule: &Rule, told: &Assessment) -> Result<String, String> {
    let inputs = said(told, |trigger| trigger.inputs)?;
    for (name, wanted) in &rule.workflow_inputs {
        match inputs.get(name).map(words) {
            None => return Err(format!("the workflow was run without the input {name:?}")),
            Some(own) if own != *wanted => {
                return Err(format!(
                    "the workflow was run with {name} = {own:?}, not {wanted:?}"
                ));
            }
            Some(_) => {}
        }
    }
    Ok("the workflow was run with these inputs".into())
}

fn answer(fits: bool, finding: String) -> Result<String, String> {
    if fits { Ok(finding) } else { Err(finding) }
}

/// What a provenance says about its trigger, or that it does not say.
fn said<T>(it: &Assessment, what: impl Fn(Trigger) -> Result<T, String>) -> Result<T, String> {
    let trigger = it.statement.as_ref().and_then(Trigger::of);
    let Some(trigger) = trigger else {
        return Err("the provenance does not say what set the build off".into());
    };
    let identity = it.signer().and_then(|signer| signer.identity.as_ref());
    match identity.and_then(|identity| other_ref(identity, &trigger)) {
        Some(reason) => Err(reason),
        None => what(trigger),
    }
}

/// How the ref in a certificate, which its authority read off the workflow's own token, contradicts the statement. For
/// repository and commit [`custody::contradiction`] asks the same of every provenance, and leaves none that is verified.
fn other_ref(identity: &Identity, trigger: &Trigger) -> Option<String> {
    let certified = identity.reference.as_ref()?;
    // Its certificate is about what called it, and not about the source that it was told to check out.
    let stated = if custody::is_delegator(identity) && trigger.delegator_reference.is_some() {
        trigger.delegator_reference.as_ref()
    } else {
        trigger.reference.as_ref()
    }?;
    (stated != certified).then(|| {
        format!("the statement names the ref {stated}, but the workflow that signed it ran at {certified}")
    })
}

/// An input as it was entered: texts without quotes, switches and numbers as JSON has them.
fn words(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_fits_in_the_parts_that_are_given() {
        for (wanted, tag, expected) in [
            ("v1", "v1.2.3", true),
            ("v1", "v2.0.0", false),
            ("v1", "v1", true),
            ("v1.2", "v1.2.9", true),
            ("v1.2", "v1.20.0", false),
            ("v1.2", "v1", false),
            ("v1.0", "v1", true),
            ("v1.2.3", "v1.2.3", true),
            ("v1.2.3", "v1.2.3+build.7", true),
            ("v1.2.3+other", "v1.2.3+build.7", true),
            ("v1.2.3", "v1.2.3-rc.1", false),
            ("v1.2.3-rc.1", "v1.2.3-rc.1", true),
            ("v1.2.3-rc.1", "v1.2.3-rc.2", false),
            ("v1.2.3", "1.2.3", false),
            ("v1.2.3", "release-1.2.3", false),
            ("v1.2.0", "v1.2", true),
            ("v1", "v1.2-rc1", false),
        ] {
            let prefix = VersionPrefix::try_from(wanted.to_owned()).unwrap();
            assert_eq!(prefix.fits(tag), expected, "{wanted} {tag}");
        }
        for text in [
            "1.2.3", "v", "v1.", "v01", "v1.2.3.4", "v1-rc1", "v1.2.x", "latest", "",
        ] {
            assert!(VersionPrefix::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    // Long, as it is one table.
    #[test]
    fn a_delegators_certificate_is_about_what_called_it() {
        let delegator = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/delegator_generic_slsa3.yml@refs/tags/v2.0.0";
        let trigger = |source: Option<&str>, caller: Option<&str>| Trigger {
            branch: Err(String::new()),
            tag: Err(String::new()),
            inputs: Err(String::new()),
            reference: source.map(str::to_owned),
            delegator_reference: caller.map(str::to_owned),
        };
        let (main, tag) = (Some("refs/heads/main"), Some("refs/tags/v1"));
        for (subject, certified, source, caller, is_other) in [
            (delegator, main, tag, main, false),
            (delegator, main, tag, tag, true),
            (delegator, main, tag, None, true),
            // Any workflow can write that it is one.
            (
                "https://github.com/e/t/.github/workflows/r.yml@refs/heads/main",
                main,
                tag,
                main,
                true,
            ),
            (
                "https://github.com/e/t/.github/workflows/r.yml@refs/heads/main",
                main,
                main,
                None,
                false,
            ),
            (
                "https://github.com/e/t/.github/workflows/r.yml@refs/heads/main",
                main,
                None,
                None,
                false,
            ),
            (
                "https://github.com/e/t/.github/workflows/r.yml@refs/heads/main",
                None,
                tag,
                None,
                false,
            ),
        ] {
            let identity = Identity {
                subject: subject.to_owned(),
                issuer: "https://token.actions.githubusercontent.com".into(),
                repository: None,
                commit: None,
                reference: certified.map(str::to_owned),
                workflow: None,
                runner: None,
                run: None,
            };
            let found = other_ref(&identity, &trigger(source, caller));
            assert_eq!(
                found.is_some(),
                is_other,
                "{subject} {certified:?} {source:?} {caller:?}"
            );
        }
    }

    #[test]
    fn a_builder_is_named_with_or_without_its_version() {
        let generator = "https://github.com/s/g/.github/workflows/b.yml";
        for (wanted, version, expected) in [
            ("", "@refs/tags/v1.2.3", true),
            ("@v1.2.3", "@refs/tags/v1.2.3", true),
            ("@refs/tags/v1.2.3", "@refs/tags/v1.2.3", true),
            ("@v1.2", "@refs/tags/v1.2.3", false),
            ("@v1.2.3", "", false),
            ("@v1.2.3", "@refs/heads/v1.2.3", false),
            ("x", "@refs/tags/v1.2.3", false),
        ] {
            let (wanted, own) = (format!("{generator}{wanted}"), format!("{generator}{version}"));
            assert_eq!(is_builder(&wanted, &own), expected, "{wanted} {own}");
        }
    }
}
