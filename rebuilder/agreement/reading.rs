//! Reads an attestation of any known format as a claim about one artifact.

use std::str::FromStr as _;

use packageurl::PackageUrl;
use serde_json::Value;

use super::testimony::{Kind, Reading, RebuildClaim};
use super::{Inputs, Reason, rebuild};
use crate::attest::predicate::{
    BUILD_TYPE, EQUIVALENCE_TYPE, FailedRebuild, OwnPredicate, PLAN, TestOutcome,
};
use crate::evidence::assess::{Artifact, Stated, called};
use crate::evidence::json::member;
use crate::evidence::statement::{Descriptor, DigestMatch, Statement, predicate};

/// OSS Rebuild's build types.
const OSS_REBUILD: &str = "https://docs.oss-rebuild.dev/builds/Rebuild@v0.1";
/// What equivalence is called whose author does not say what was set aside.
pub const UNNAMED: &str = "not-named-by-its-author";
/// What OSS Rebuild's equivalence is called: its stabilizers are documented, but an attestation does not list them.
pub const STABILIZERS: &str = "oss-rebuild-stabilizers";

/// Reads what is stated about one artifact.
pub fn read(stated: &Stated, artifact: &Artifact) -> Result<Reading, (Reason, String)> {
    let files = |kind, subjects: &[Descriptor], inputs| {
        let says = came_out(subjects, artifact).ok_or_else(|| elsewhere(subjects))?;
        Ok(Reading::new(kind, says, inputs))
    };
    let (reading, subjects) = match stated {
        Stated::Statement(statement) => (of_statement(statement, artifact)?, statement.subject.clone()),
        Stated::Link(link) => (
            files(Kind::Link, &link.subjects(), Inputs::of_files(&link.inputs()))?,
            link.subjects(),
        ),
        Stated::HashList(list) => (
            files(Kind::HashList, &list.entries, Inputs::default())?,
            list.entries.clone(),
        ),
        Stated::Nothing(why) => return Err((Reason::NoBuild, why.clone())),
    };
    let (labels, other_name) = called(&subjects, artifact);
    // In a list a digest is about the file that its line names. A `.narinfo` names a store path instead.
    let by_name = matches!(stated, Stated::HashList(list) if list.own.is_none());
    if let Some(other) = other_name
        .as_ref()
        .filter(|_| by_name && reading.says == RebuildClaim::Same)
    {
        return Err((Reason::WrongSubject, other.clone()));
    }
    let other_name = other_name.filter(|_| !matches!(stated, Stated::HashList(_)));
    // A folder in a list says something of the file too: that is told.
    let own = |label: &String| *label == artifact.name || artifact.name.starts_with("sha256:");
    let in_folder = labels
        .iter()
        .find(|label| label.contains('/'))
        .filter(|_| by_name && reading.says == RebuildClaim::Same && !labels.iter().any(own))
        .map(|path| format!("it calls these bytes {path:?}, not {:?}", artifact.name));
    Ok(Reading {
        subject: labels.into_iter().next(),
        other_name: other_name.or(in_folder),
        ..reading
    })
}

fn elsewhere(subjects: &[Descriptor]) -> (Reason, String) {
    let names: Vec<_> = subjects.iter().take(3).map(Descriptor::label).collect();
    (Reason::WrongSubject, format!("it is about {}", names.join(", ")))
}

fn of_statement(statement: &Statement, artifact: &Artifact) -> Result<Reading, (Reason, String)> {
    let predicate = &statement.predicate;
    let says = came_out(&statement.subject, artifact);
    let reading = |kind, says, inputs| Reading {
        statement: Some(statement.digest),
        ..Reading::new(kind, says, inputs)
    };
    let about = || says.clone().ok_or_else(|| elsewhere(&statement.subject));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let time = |value: &Value| value.as_str().and_then(|text| text.parse().ok());
    match statement.predicate_type.as_str() {
        predicate::SLSA_V1 => {
            let (definition, run) = (&predicate["buildDefinition"], &predicate["runDetails"]);
            let kind = match definition["buildType"].as_str().unwrap_or_default() {
                "" => return Err((Reason::Unreadable, "the provenance has no buildType".into())),
                BUILD_TYPE => Kind::Rebuild,
                OSS_REBUILD => Kind::OssRebuild,
                EQUIVALENCE_TYPE => Kind::Equivalence,
                _ => Kind::Provenance,
            };
            let mut says = about()?;
            if kind == Kind::Equivalence {
                if says != RebuildClaim::Same {
                    return Err(elsewhere(&statement.subject));
                }
                says = equivalence(definition, artifact)?;
            }
            let inputs = match OwnPredicate::read(statement) {
                _ if kind == Kind::Equivalence => Inputs::default(),
                Ok(Some(OwnPredicate::Rebuild(own))) => Inputs::of_own(predicate, &own.build_definition),
                // Of a later version's form, what all provenance has in common can be read.
                _ => Inputs::of_v1(predicate),
            };
            let metadata = &run["metadata"];
            Ok(Reading {
                builder: text(member(run, ["builder", "id"])),
                invocation: text(&metadata["invocationId"]).or_else(|| text(&metadata["invocationID"])),
                stated: time(&metadata["finishedOn"]).or_else(|| time(&metadata["startedOn"])),
                ..reading(kind, says, inputs)
            })
        }
        predicate::SLSA_V02 => Ok(Reading {
            builder: text(member(predicate, ["builder", "id"])),
            stated: time(member(predicate, ["metadata", "buildFinishedOn"])),
            ..reading(Kind::Provenance, about()?, Inputs::of_v02(predicate))
        }),
        predicate::VSA => {
            if about()? != RebuildClaim::Same {
                return Err(elsewhere(&statement.subject));
            }
            let says = match predicate["verificationResult"].as_str() {
                Some("PASSED") => RebuildClaim::Same,
                Some("FAILED") => RebuildClaim::Differs { rebuilt: None },
                _ => return Err((Reason::Unreadable, "the summary has no result".into())),
            };
            Ok(Reading {
                builder: text(member(predicate, ["verifier", "id"])),
                stated: time(&predicate["timeVerified"]),
                ..reading(Kind::Summary, says, Inputs::of_summary(predicate))
            })
        }
        predicate::TEST_RESULT => failed(statement, artifact, &about()?),
        predicate::REBUILD => rebuild::read(statement, artifact, &about()?),
        predicate::NPM_PUBLISH
        | predicate::PYPI_PUBLISH
        | predicate::GITHUB_RELEASE
        | predicate::SOURCE_PROVENANCE => {
            about()?;
            Err((
                Reason::NoBuild,
                "it says who released or changed the artifact, not that it was rebuilt".into(),
            ))
        }
        other => {
            about()?;
            Err((Reason::UnknownPredicate, other.to_owned()))
        }
    }
}

/// A negative of this tool; any other test may have been of anything.
fn failed(
    statement: &Statement,
    artifact: &Artifact,
    says: &RebuildClaim,
) -> Result<Reading, (Reason, String)> {
    let own = OwnPredicate::read(statement);
    let is_ours = !matches!(
        own,
        Ok(None | Some(OwnPredicate::Rebuild(_) | OwnPredicate::Equivalence(_)))
    );
    if is_ours && TestOutcome::of(&statement.predicate) == Some(TestOutcome::Warned) {
        return Err((
            Reason::NoBuildFound,
            "no build was found that gives these bytes, which counts neither for nor against them".into(),
        ));
    }
    let own = match own {
        Ok(Some(OwnPredicate::Failed(own))) if *says == RebuildClaim::Same => *own,
        // Of a later version's form, the result alone can be read: it counts against the artifact all the same.
        Err(_) if *says == RebuildClaim::Same => FailedRebuild::default(),
        _ => {
            return Err((
                Reason::NoBuild,
                "it is the result of some test, not the negative of a rebuild".into(),
            ));
        }
    };
    let plan = own.of_name(PLAN);
    let notes = plan.and_then(|plan| plan.annotations.as_ref());
    let mut outputs = notes.iter().flat_map(|notes| &notes.outputs);
    let released = Some(artifact.digests.sha256);
    let rebuilt = outputs
        .find(|output| output.released == released && output.rebuilt.is_some())
        .and_then(|output| output.rebuilt);
    let says = RebuildClaim::Differs {
        rebuilt: rebuilt.map(|digest| format!("sha256:{digest}")),
    };
    let inputs = Inputs {
        plan: plan.and_then(|plan| plan.digest.get_sha256()).map(str::to_owned),
        ..Inputs::default()
    };
    Ok(Reading {
        builder: own.of_name("builder").and_then(|builder| builder.uri.clone()),
        stated: notes.and_then(|notes| notes.finished_on),
        statement: Some(statement.digest),
        ..Reading::new(Kind::FailedRebuild, says, inputs)
    })
}

/// Ours and OSS Rebuild's: which bytes came out, and what was set aside.
fn equivalence(definition: &Value, artifact: &Artifact) -> Result<RebuildClaim, (Reason, String)> {
    let external = &definition["externalParameters"];
    let released = artifact.digests.sha256.to_hex();
    let resolved = definition["resolvedDependencies"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let digest = |name: &Value| {
        let found = resolved
            .iter()
            .find(|item| item["name"] == *name && name.is_string());
        found.and_then(|item| member(item, ["digest", "sha256"]).as_str())
    };
    let several = external["outputs"].as_array();
    let mut compared = several
        .map_or(std::slice::from_ref(external), Vec::as_slice)
        .iter();
    // The pair whose target is these bytes; a statement about others is none about them.
    let pair = compared.find(|pair| digest(&pair["target"]) == Some(&released));
    let pair = pair.ok_or_else(|| {
        (
            Reason::Unreadable,
            "its target is not the artifact that it is about".to_owned(),
        )
    })?;
    let rebuilt = digest(&pair["candidate"]);
    if rebuilt == Some(&released) {
        return Ok(RebuildClaim::Same);
    }
    let normalisations = match pair["normalisations"].as_array() {
        Some(list) if !list.is_empty() => {
            let name = |it: &Value| it["name"].as_str().unwrap_or(UNNAMED).to_owned();
            list.iter().map(name).collect()
        }
        _ if member(definition, ["internalParameters", "serviceSource"]).is_object() => {
            vec![STABILIZERS.to_owned()]
        }
        _ => vec![UNNAMED.to_owned()],
    };
    Ok(RebuildClaim::Equivalent {
        rebuilt: rebuilt.map(|digest| format!("sha256:{digest}")),
        normalisations,
    })
}

/// What subjects say about an artifact: these bytes, or others under the same name.
fn came_out(subjects: &[Descriptor], artifact: &Artifact) -> Option<RebuildClaim> {
    let matches = |subject: &&Descriptor| subject.matches(&artifact.digests);
    let bound = |subject: &&Descriptor| same_package(subject, artifact) != Some(false);
    if subjects
        .iter()
        .filter(bound)
        .any(|subject| matches(&subject) == DigestMatch::Same)
    {
        return Some(RebuildClaim::Same);
    }
    let named = |subject: &&Descriptor| {
        let name = subject.name.as_deref().unwrap_or_default();
        let file = name
            .strip_prefix("rebuild/")
            .unwrap_or(name)
            .rsplit('/')
            .next()
            .unwrap_or_default();
        file == artifact.name || same_package(subject, artifact) == Some(true)
    };
    let other = subjects
        .iter()
        .filter(bound)
        .find(|subject| named(subject) && matches(subject) == DigestMatch::Other)?;
    let digest = other
        .digest
        .get_key_value("sha256")
        .or(other.digest.iter().next());
    Some(RebuildClaim::Differs {
        rebuilt: digest.map(|(algorithm, value)| format!("{algorithm}:{value}")),
    })
}

/// Whether a subject is of the same package and version; `None` if one of the two does not say.
fn same_package(subject: &Descriptor, artifact: &Artifact) -> Option<bool> {
    let wanted = PackageUrl::from_str(artifact.purl.as_deref()?).ok()?;
    let named = [&subject.uri, &subject.name].into_iter().flatten();
    let mut named = named.filter_map(|text| PackageUrl::from_str(text).ok());
    let named = named.next()?;
    let parts = |purl: &PackageUrl<'_>| {
        let architecture = purl.qualifiers().get("arch").map(ToString::to_string);
        (
            purl.ty().to_owned(),
            purl.namespace().map(str::to_owned),
            purl.name().to_owned(),
            purl.version().map(str::to_owned),
            architecture,
        )
    };
    let (a, b) = (parts(&wanted), parts(&named));
    let same_architecture = a.4.is_none() || b.4.is_none() || a.4 == b.4;
    Some((a.0, a.1, a.2, a.3) == (b.0, b.1, b.2, b.3) && same_architecture)
}
