//! What started a build, according to its provenance: branch, tag and inputs of the workflow.
//!
//! Builders state these in different places: the SLSA generators and npm in GitHub's environment, GitHub's own
//! attestations in the parameters of the workflow, Google Cloud Build in its substitutions, and most in the address of
//! the source. Each place that a builder is known to use is read; if two of them differ, nothing follows.

use std::collections::BTreeMap;

use serde_json::Value;

use super::json::member;
use super::statement::{Statement, predicate};

/// What started a build; errors say why the provenance does not tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Trigger {
    /// Name of the branch.
    pub branch: Result<String, String>,
    /// Name of the tag.
    pub tag: Result<String, String>,
    /// Inputs of a run that was started manually, by name.
    pub inputs: Result<BTreeMap<String, Value>, String>,
    /// The full ref of the source.
    pub reference: Option<String>,
    /// For builders that check out what their caller names: the full ref that the builder itself ran at.
    pub delegator_reference: Option<String>,
}

/// The build type of builders that check out what their caller names, which may differ from the ref that started them.
const DELEGATED: &str = "https://github.com/slsa-framework/slsa-github-generator/delegator-generic@v0";

const BRANCHES: &str = "refs/heads/";
const TAGS: &str = "refs/tags/";

/// The parts of a predicate that may tell.
struct Places<'a> {
    build_type: &'a str,
    /// GitHub's environment, in either spelling.
    environment: &'a Value,
    /// `externalParameters`; null in older provenance.
    parameters: &'a Value,
    /// The substitutions of Google Cloud Build.
    substitutions: &'a Value,
    /// Addresses of the source, the requested one first.
    sources: Vec<&'a str>,
}

impl Trigger {
    /// Reads the trigger; `None` if the statement is not SLSA provenance.
    pub fn of(statement: &Statement) -> Option<Self> {
        let stated = &statement.predicate;
        let places = match statement.predicate_type.as_str() {
            predicate::SLSA_V1 => of_v1(stated),
            predicate::SLSA_V02 => of_v02(stated),
            predicate::SLSA_V01 => of_v01(stated),
            _ => return None,
        };
        Some(places.read())
    }
}

fn of_v1(stated: &Value) -> Places<'_> {
    let definition = member(stated, ["buildDefinition"]);
    let internal = member(definition, ["internalParameters"]);
    Places {
        build_type: text(member(definition, ["buildType"])),
        environment: internal,
        parameters: member(definition, ["externalParameters"]),
        substitutions: member(internal, ["systemSubstitutions"]),
        sources: [
            text(member(definition, ["externalParameters", "source", "uri"])),
            first_uri(member(definition, ["resolvedDependencies"])),
        ]
        .into(),
    }
}

fn of_v02(stated: &Value) -> Places<'_> {
    Places {
        build_type: text(member(stated, ["buildType"])),
        environment: member(stated, ["invocation", "environment"]),
        parameters: &Value::Null,
        substitutions: &Value::Null,
        sources: [
            first_uri(member(stated, ["materials"])),
            text(member(stated, ["invocation", "configSource", "uri"])),
        ]
        .into(),
    }
}

fn of_v01(stated: &Value) -> Places<'_> {
    Places {
        build_type: text(member(stated, ["recipe", "type"])),
        environment: member(stated, ["recipe", "environment"]),
        parameters: &Value::Null,
        substitutions: member(stated, ["recipe", "arguments", "substitutions"]),
        sources: vec![first_uri(member(stated, ["materials"]))],
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn first_uri(list: &Value) -> &str {
    let first = list.as_array().and_then(|list| list.first());
    first.map_or("", |first| text(member(first, ["uri"])))
}

impl Places<'_> {
    fn read(&self) -> Trigger {
        let unsaid = |what: &str| format!("the provenance does not say {what}");
        let (branch, tag) = match self.reference() {
            Err(reason) => (Err(reason.clone()), Err(reason)),
            Ok(None) => (
                self.substitution("BRANCH_NAME")
                    .ok_or_else(|| unsaid("which branch it was built from")),
                self.substitution("TAG_NAME")
                    .ok_or_else(|| unsaid("which tag it was built from")),
            ),
            Ok(Some(reference)) => {
                let tag = reference.strip_prefix(TAGS).filter(|name| !name.is_empty());
                let branch = reference.strip_prefix(BRANCHES).filter(|name| !name.is_empty());
                match (branch, tag) {
                    (Some(branch), _) => (
                        Ok(branch.to_owned()),
                        Err(format!("it was built from the branch {branch}, and no tag")),
                    ),
                    (_, Some(tag)) => {
                        let unsaid = format!(
                            "it was built from the tag {tag}, and the provenance does not say from which branch"
                        );
                        (self.branch_of_tag().ok_or(unsaid), Ok(tag.to_owned()))
                    }
                    _ => {
                        let neither =
                            format!("it was built from {reference}, which is neither a branch nor a tag");
                        (Err(neither.clone()), Err(neither))
                    }
                }
            }
        };
        Trigger {
            branch,
            tag,
            inputs: self.inputs(),
            reference: self.reference().ok().flatten().or_else(|| self.substituted()),
            delegator_reference: (self.build_type == DELEGATED)
                .then(|| self.github("ref"))
                .filter(|own| !own.is_empty())
                .map(str::to_owned),
        }
    }

    /// The ref in the substitutions.
    fn substituted(&self) -> Option<String> {
        let tag = self.substitution("TAG_NAME").map(|name| format!("{TAGS}{name}"));
        tag.or_else(|| Some(format!("{BRANCHES}{}", self.substitution("BRANCH_NAME")?)))
    }

    /// The full ref; `None` if no place names one.
    fn reference(&self) -> Result<Option<String>, String> {
        let asked = text(member(self.parameters, ["workflow", "ref"]));
        let config = text(member(self.parameters, ["buildConfigSource", "ref"]));
        let own = self.github("ref");
        let source = self
            .sources
            .iter()
            .copied()
            .map(of_address)
            .find(|found| !found.is_empty());
        let places = if self.build_type == DELEGATED {
            vec![source.unwrap_or_default()]
        } else {
            let stated = vec![own, asked, config];
            if stated.iter().all(|place| place.is_empty()) {
                vec![source.unwrap_or_default()]
            } else {
                stated
            }
        };
        let mut found: Vec<&str> = places.into_iter().filter(|place| !place.is_empty()).collect();
        found.sort_unstable();
        found.dedup();
        match found.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some((*one).to_owned())),
            several => Err(format!(
                "the provenance names several refs that it may have been built from ({})",
                several.join(", ")
            )),
        }
    }

    /// A variable of GitHub's environment; older provenance writes the names in lower case.
    fn github(&self, name: &str) -> &str {
        let large = format!("GITHUB_{}", name.to_uppercase());
        let small = format!("github_{name}");
        let found = [large, small]
            .into_iter()
            .find_map(|name| self.environment.get(name));
        found.map_or("", text)
    }

    fn payload(&self) -> &Value {
        let names = ["GITHUB_EVENT_PAYLOAD", "github_event_payload"];
        let found = names.into_iter().find_map(|name| self.environment.get(name));
        found.unwrap_or(&Value::Null)
    }

    fn substitution(&self, name: &str) -> Option<String> {
        let found = self.substitutions.get(name).map(text)?;
        (!found.is_empty()).then(|| found.to_owned())
    }

    /// The branch that a tag was pushed or released from, if GitHub's event names it.
    fn branch_of_tag(&self) -> Option<String> {
        let base = self.github("base_ref");
        let base = match self.github("event_name") {
            _ if !base.is_empty() => base,
            "push" => text(member(self.payload(), ["base_ref"])),
            "release" => {
                let commitish = text(member(self.payload(), ["release", "target_commitish"]));
                return (!commitish.is_empty()).then(|| commitish.to_owned());
            }
            _ => "",
        };
        let name = base.strip_prefix(BRANCHES).filter(|name| !name.is_empty());
        name.map(str::to_owned)
    }

    /// The inputs of a run that was started manually; other runs have none.
    fn inputs(&self) -> Result<BTreeMap<String, Value>, String> {
        let event = match self.github("event_name") {
            "" => text(member(self.environment, ["github", "event_name"])),
            event => event,
        };
        let stated = [
            member(self.payload(), ["inputs"]),
            member(self.parameters, ["inputs"]),
        ];
        let stated = stated.into_iter().find_map(Value::as_object);
        match (event, stated) {
            ("workflow_dispatch", Some(inputs)) => Ok(inputs
                .iter()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()),
            ("workflow_dispatch", None) => {
                Err("the provenance does not say with which inputs the workflow was run".into())
            }
            ("", _) => Err("the provenance does not say what set the workflow off".into()),
            (event, _) => Err(format!(
                "the workflow was set off by {event:?}, not by hand with inputs"
            )),
        }
    }
}

/// The ref in an address such as `git+https://HOST/PATH@REF`, if it is a full one.
fn of_address(address: &str) -> &str {
    let reference = address.rsplit_once('@').map_or("", |(_, reference)| reference);
    if reference.starts_with("refs/") {
        reference
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn trigger(kind: &str, predicate: &Value) -> Trigger {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "tool", "digest": {"sha256": "00"}}],
            "predicateType": kind,
            "predicate": predicate,
        });
        Trigger::of(&Statement::parse(statement.to_string().as_bytes()).unwrap()).unwrap()
    }

    fn words(answer: &Result<String, String>) -> String {
        match answer {
            Ok(name) => name.clone(),
            Err(reason) => format!("!{reason}"),
        }
    }

    // One long table.
    #[test]
    fn reads_what_each_builder_says_and_where_it_says_nothing() {
        let pushed = json!({"invocation": {"environment": {
            "github_ref": "refs/heads/main", "github_event_name": "push"}}});
        let tagged = json!({"invocation": {"environment": {
            "github_ref": "refs/tags/v1.2.3", "github_event_name": "push", "github_base_ref": "",
            "github_event_payload": {"base_ref": "refs/heads/main"}}}});
        let released = json!({"invocation": {"environment": {
            "GITHUB_REF": "refs/tags/v1.2.3", "GITHUB_EVENT_NAME": "release",
            "GITHUB_EVENT_PAYLOAD": {"release": {"target_commitish": "next"}}}}});
        let material = json!({"materials": [{"uri": "git+https://github.com/a/b@refs/heads/dev"}]});
        let workflow = |ref_name: &str, event: &str| {
            json!({"buildDefinition": {
                "externalParameters": {"workflow": {"ref": ref_name}, "inputs": {"a": "1"}},
                "internalParameters": {"github": {"event_name": event}}}})
        };
        let both = json!({"buildDefinition": {
            "externalParameters": {"workflow": {"ref": "refs/heads/main"}},
            "internalParameters": {"GITHUB_REF": "refs/tags/v1"}}});
        let delegated = json!({"buildDefinition": {
            "buildType": DELEGATED,
            "resolvedDependencies": [{"uri": "git+https://github.com/a/b@refs/tags/v2.0.0"}],
            "internalParameters": {"GITHUB_REF": "refs/heads/main"}}});
        let cloud = json!({"recipe": {"arguments": {"substitutions": {"BRANCH_NAME": "main"}}}});
        let (v01, v02, v1) = (predicate::SLSA_V01, predicate::SLSA_V02, predicate::SLSA_V1);
        for (kind, predicate, branch, tag) in [
            (v02, pushed, "main", "!it was built from the branch main"),
            (v02, tagged, "main", "v1.2.3"),
            (v02, released, "next", "v1.2.3"),
            (v02, material, "dev", "!it was built from the branch"),
            (v1, workflow("refs/heads/main", "push"), "main", "!it was built"),
            (
                v1,
                workflow("refs/tags/v1", "push"),
                "!it was built from the tag v1",
                "v1",
            ),
            (
                v1,
                workflow("refs/pull/1/merge", "pull_request"),
                "!it was built from refs/pull",
                "!it was",
            ),
            (
                v1,
                both,
                "!the provenance names several",
                "!the provenance names several",
            ),
            (v1, delegated, "!it was built from the tag", "v2.0.0"),
            (v01, cloud, "main", "!the provenance does not say which tag"),
            (
                v1,
                json!({}),
                "!the provenance does not say which branch",
                "!the provenance does not",
            ),
        ] {
            let found = trigger(kind, &predicate);
            assert!(words(&found.branch).starts_with(branch), "{predicate}: {found:?}");
            assert!(words(&found.tag).starts_with(tag), "{predicate}: {found:?}");
        }
        let by_hand = trigger(v1, &workflow("refs/heads/main", "workflow_dispatch"));
        assert_eq!(by_hand.inputs.unwrap()["a"], "1");
        let pushed = trigger(v1, &workflow("refs/heads/main", "push"));
        assert!(pushed.inputs.unwrap_err().contains("not by hand"));
        assert!(
            trigger(v1, &json!({}))
                .inputs
                .unwrap_err()
                .contains("does not say")
        );
    }
}
