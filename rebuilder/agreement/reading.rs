//! Reads an attestation of any known format as a claim about one artifact.

use jiff::Timestamp;
use serde_json::Value;

use super::subject::{came_out, incomparable};
use super::testimony::{Kind, Reading, RebuildClaim};
use super::{Inputs, Reason, declared, rebuild, summarised};
use crate::attest::predicate::{
    BUILD_TYPE, EQUIVALENCE_TYPE, FailedRebuild, OwnPredicate, PLAN, TestOutcome,
};
use crate::evidence::assess::{Artifact, Stated, called};
use crate::evidence::json::member;
use crate::evidence::nature::Nature;
use crate::evidence::statement::{Descriptor, Statement, predicate};

/// OSS Rebuild's build types.
const OSS_REBUILD: &str = "https://docs.oss-rebuild.dev/builds/Rebuild@v0.1";
/// The name for an equivalence whose author does not say what was set aside.
pub const UNNAMED: &str = "not-named-by-its-author";
/// The name for OSS Rebuild's equivalence: its stabilizers are documented, but an attestation does not list them.
pub const STABILIZERS: &str = "oss-rebuild-stabilizers";

/// Why a document says nothing that counts for or against an artifact, for programs and for people.
pub(super) type Aside = (Reason, String);

/// What a link is: rebuilderd calls its step `rebuild FILE`, and the steps of other layouts are those of a builder.
fn of_step(name: &str) -> Kind {
    if name.starts_with("rebuild ") {
        Kind::Link
    } else {
        Kind::Step
    }
}

/// Reads what is stated about one artifact.
pub fn read(stated: &Stated, artifact: &Artifact) -> Result<Reading, Aside> {
    let files = |kind, subjects: &[Descriptor], inputs| {
        let says = came_out(subjects, artifact).ok_or_else(|| elsewhere(subjects, artifact))?;
        Ok(Reading::new(kind, says, inputs))
    };
    let (reading, subjects) = match stated {
        Stated::Statement(statement) => (of_statement(statement, artifact)?, statement.subject.clone()),
        Stated::Link(link) => (
            files(
                of_step(&link.name),
                &link.subjects(),
                Inputs::of_files(&link.inputs()),
            )?,
            link.subjects(),
        ),
        Stated::HashList(list) => (
            files(Kind::HashList, &list.entries, Inputs::default())?,
            list.entries.clone(),
        ),
        Stated::Nothing(why) => return Err((Reason::NoBuild, why.clone())),
        Stated::Malformed(why) => return Err((Reason::Unreadable, why.clone())),
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

/// Why no subject is the artifact: it is another one, or its digests cannot be compared.
fn elsewhere(subjects: &[Descriptor], artifact: &Artifact) -> Aside {
    if let Some(own) = incomparable(subjects, artifact) {
        let algorithms: Vec<_> = own.digest.keys().map(String::as_str).collect();
        let why = if algorithms.is_empty() {
            format!("it gives no digest of {}", own.label())
        } else {
            format!(
                "it gives a digest of {} by {}, which is not supported here",
                own.label(),
                algorithms.join(", ")
            )
        };
        return (Reason::Unreadable, why);
    }
    let names: Vec<_> = subjects.iter().take(3).map(Descriptor::label).collect();
    (Reason::WrongSubject, format!("it is about {}", names.join(", ")))
}

fn of_statement(statement: &Statement, artifact: &Artifact) -> Result<Reading, Aside> {
    let predicate = &statement.predicate;
    let says = came_out(&statement.subject, artifact);
    let about = || {
        says.clone()
            .ok_or_else(|| elsewhere(&statement.subject, artifact))
    };
    match statement.predicate_type.as_str() {
        predicate::SLSA_V1 => of_provenance(statement, artifact, says),
        predicate::SLSA_V01 | predicate::SLSA_V02 => Ok(Reading {
            builder: text(member(predicate, ["builder", "id"])),
            stated: time(member(predicate, ["metadata", "buildFinishedOn"])),
            ..of(statement, Kind::Provenance, about()?, Inputs::of_v02(predicate))
        }),
        predicate::VSA => {
            if about()? != RebuildClaim::Same {
                return Err(elsewhere(&statement.subject, artifact));
            }
            summarised::read(statement, artifact)
        }
        predicate::CYCLONEDX => {
            if about()? != RebuildClaim::Same {
                return Err(elsewhere(&statement.subject, artifact));
            }
            declared::read(statement, artifact)
        }
        predicate::LINK => {
            let name = text(member(predicate, ["name"]));
            let name = name.ok_or_else(|| (Reason::Unreadable, "the link has no name".to_owned()))?;
            let materials = member(predicate, ["materials"]).as_array().into_iter().flatten();
            let materials: Vec<Descriptor> = materials
                .filter_map(|it| serde_json::from_value(it.clone()).ok())
                .collect();
            let inputs = Inputs::of_files(&materials);
            Ok(of(statement, of_step(&name), about()?, inputs))
        }
        predicate::TEST_RESULT => failed(statement, artifact, &about()?),
        predicate::REBUILD => rebuild::read(statement, artifact, &about()?),
        other => {
            about()?;
            Err(match Nature::of_type(other) {
                Some(nature) => (
                    Reason::NoBuild,
                    format!("it is {}, not about a build ({other})", nature.words()),
                ),
                None => (Reason::UnknownPredicate, other.to_owned()),
            })
        }
    }
}

/// Provenance in version 1. Some build types have a special meaning.
fn of_provenance(
    statement: &Statement,
    artifact: &Artifact,
    says: Option<RebuildClaim>,
) -> Result<Reading, Aside> {
    let predicate = &statement.predicate;
    let (definition, run) = (&predicate["buildDefinition"], &predicate["runDetails"]);
    let kind = match definition["buildType"].as_str().unwrap_or_default() {
        "" => return Err((Reason::Unreadable, "the provenance has no buildType".into())),
        BUILD_TYPE => Kind::Rebuild,
        OSS_REBUILD => Kind::OssRebuild,
        EQUIVALENCE_TYPE => Kind::Equivalence,
        _ => Kind::Provenance,
    };
    let mut says = says.ok_or_else(|| elsewhere(&statement.subject, artifact))?;
    if kind == Kind::Equivalence {
        if says != RebuildClaim::Same {
            return Err(elsewhere(&statement.subject, artifact));
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
        ..of(statement, kind, says, inputs)
    })
}

fn of(statement: &Statement, kind: Kind, says: RebuildClaim, inputs: Inputs) -> Reading {
    Reading {
        statement: Some(statement.digest),
        ..Reading::new(kind, says, inputs)
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str().and_then(|text| text.parse().ok())
}

/// A negative of this tool. Any other test result may be about anything.
fn failed(statement: &Statement, artifact: &Artifact, says: &RebuildClaim) -> Result<Reading, Aside> {
    let own = OwnPredicate::read(statement);
    let is_ours = !matches!(
        own,
        Ok(None | Some(OwnPredicate::Rebuild(_) | OwnPredicate::Equivalence(_)))
    );
    if is_ours && TestOutcome::of(&statement.predicate) == Some(TestOutcome::Warned) {
        return Err((
            Reason::NoBuildFound,
            "no build was found that produces these bytes, which counts neither for nor against them".into(),
        ));
    }
    let own = match own {
        Ok(Some(OwnPredicate::Failed(own))) if *says == RebuildClaim::Same => *own,
        // Of a later version's form, the result alone can be read: it counts against the artifact all the same.
        Err(_) if *says == RebuildClaim::Same => FailedRebuild::default(),
        _ => {
            return Err((
                Reason::NoBuild,
                format!(
                    "it is {}, not a negative result of a rebuild",
                    Nature::TestResult.words()
                ),
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

/// Our statements and OSS Rebuild's: the produced bytes, and what was set aside.
fn equivalence(definition: &Value, artifact: &Artifact) -> Result<RebuildClaim, Aside> {
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
            "its target is not the artifact of its subject".to_owned(),
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
