//! What a statement about a run says, held against everything else that the bundle says of that run.
//!
//! The statement is the signer's word; record, report and manifest are anyone's. Where they differ, the bundle does not
//! hold, whichever of them is right.

use serde_json::{Value, json};

use crate::artifact::Sha256;
use crate::attest::{BUILD_TYPE, EQUIVALENCE_TYPE};
use crate::evidence::json::member;
use crate::evidence::statement::{Descriptor, Statement, predicate};
use crate::plan::Plan;
use crate::run::{Record, Verdict};

/// The verdict that a statement of this tool about a run attests.
pub(super) fn verdict(statement: &Statement, record: &Record) -> Result<&'static str, String> {
    let predicate = &statement.predicate;
    match statement.predicate_type.as_str() {
        predicate::SLSA_V1 if member(predicate, ["buildDefinition", "buildType"]) == BUILD_TYPE => {
            // An equivalent run attests what came out, a reproduced one what was released.
            let released = |subject: &Descriptor| {
                let mut outputs = record.outputs.iter();
                outputs.any(|output| {
                    Some(output.name.as_str()) == subject.name.as_deref()
                        && output.released.map(Sha256::to_hex).as_ref() == subject.digest.get("sha256")
                })
            };
            Ok(if statement.subject.iter().all(released) {
                "reproduced"
            } else {
                "equivalent"
            })
        }
        predicate::TEST_RESULT if predicate["result"] == "FAILED" => Ok("mismatch"),
        other => Err(format!(
            "it is not an attestation of a rebuild, but of type {other}"
        )),
    }
}

/// What the statement of a rebuild says otherwise than plan, record and the bundle's files do.
pub(super) fn differences(
    statement: &Statement,
    plan: &Plan,
    record: &Record,
    report: Sha256,
) -> Vec<String> {
    let mut found = Differences(Vec::new());
    let attested = match verdict(statement, record) {
        Ok(attested) => attested,
        Err(reason) => return vec![reason],
    };
    found.same("verdict", &json!(attested), &json!(word(&record.verdict)));
    match attested {
        "mismatch" => negative(statement, plan, record, report, &mut found),
        _ => positive(statement, plan, record, report, &mut found),
    }
    found.0
}

/// The verdict in one word, as attestations say it.
pub(super) fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Reproduced => "reproduced",
        Verdict::Equivalent => "equivalent",
        Verdict::Mismatch => "mismatch",
        Verdict::Inconclusive { .. } => "inconclusive",
    }
}

struct Differences(Vec<String>);

impl Differences {
    fn same(&mut self, what: &str, attested: &Value, own: &Value) {
        if attested != own {
            let short = |value: &Value| value.to_string().chars().take(160).collect::<String>();
            self.0.push(format!(
                "the attestation says of the {what} {}, and the bundle {}",
                short(attested),
                short(own)
            ));
        }
    }

    /// The same for what not every version of the signer states.
    fn same_if_stated(&mut self, what: &str, attested: &Value, own: &Value) {
        if !attested.is_null() {
            self.same(what, attested, own);
        }
    }

    fn subjects(&mut self, statement: &Statement, own: impl Iterator<Item = (String, Sha256)>) {
        let mut own: Vec<Value> = own
            .map(|(name, sha256)| json!([name, {"sha256": sha256}]))
            .collect();
        let subjects = statement.subject.iter();
        let mut attested: Vec<Value> = subjects.map(|it| json!([it.name, it.digest])).collect();
        own.sort_by_key(Value::to_string);
        attested.sort_by_key(Value::to_string);
        self.same("subjects", &json!(attested), &json!(own));
    }
}

fn positive(statement: &Statement, plan: &Plan, record: &Record, report: Sha256, found: &mut Differences) {
    if record.verdict == Verdict::Equivalent {
        let came_out = record.outputs.iter();
        found.subjects(
            statement,
            came_out.filter_map(|output| Some((output.name.clone(), output.rebuilt?))),
        );
    } else {
        found.subjects(statement, released(plan));
    }
    let (definition, run) = (
        member(&statement.predicate, ["buildDefinition"]),
        member(&statement.predicate, ["runDetails"]),
    );
    let (external, internal) = (
        &definition["externalParameters"],
        &definition["internalParameters"],
    );
    let names: Vec<_> = plan.expected.iter().map(|expected| &expected.file.name).collect();
    found.same("package", &external["subject"], &json!(plan.subject));
    found.same("released files", &external["outputs"], &json!(names));
    found.same("plan", member(internal, ["plan", "sha256"]), &json!(record.plan));
    found.same_if_stated("evidence", &internal["evidence"], &json!(record.evidence));
    found.same_if_stated("backend", &internal["backend"], &json!(record.backend));
    found.same_if_stated("limits", &internal["notEnforced"], &json!(record.not_enforced));
    found.same_if_stated("attempts", &internal["attempts"], &attempts(record));
    let metadata = &run["metadata"];
    found.same("run", &metadata["invocationId"], &json!(record.id));
    found.same("beginning", &metadata["startedOn"], &json!(record.started));
    found.same("end", &metadata["finishedOn"], &json!(record.finished));
    let version = member(run, ["builder", "version", "rebuilder"]);
    found.same_if_stated("version", version, &json!(record.rebuilder));
    let byproducts = named(&run["byproducts"]);
    found.same("log", byproducts("build.log"), &json!(record.log));
    found.same("report", byproducts("report.html"), &json!(report));
}

fn negative(statement: &Statement, plan: &Plan, record: &Record, report: Sha256, found: &mut Differences) {
    let came_out = |name: &str| {
        let mut outputs = record.outputs.iter();
        outputs.any(|output| output.name == name && output.reproduced())
    };
    let failed: Vec<_> = released(plan).filter(|(name, _)| !came_out(name)).collect();
    let of_whole = failed.is_empty();
    let about = released(plan).filter(|pair| of_whole || failed.contains(pair));
    found.subjects(statement, about);
    let predicate = &statement.predicate;
    let (passed, lost): (Vec<_>, Vec<_>) = released(plan)
        .map(|(name, _)| name)
        .partition(|name| came_out(name));
    let extra = record.outputs.iter().filter(|output| output.released.is_none());
    let lost: Vec<_> = lost
        .into_iter()
        .chain(extra.map(|output| output.name.clone()))
        .collect();
    found.same("files that came out", &predicate["passedTests"], &json!(passed));
    found.same("files that did not", &predicate["failedTests"], &json!(lost));
    let entries = named(&predicate["configuration"]);
    found.same("plan", entries("plan.json"), &json!(record.plan));
    found.same("log", entries("build.log"), &json!(record.log));
    found.same("report", entries("report.html"), &json!(report));
    let mut plans = predicate["configuration"].as_array().into_iter().flatten();
    let plan = plans.find(|entry| entry["name"] == "plan.json");
    let said = plan.map_or(&Value::Null, |entry| &entry["annotations"]);
    let outputs: Vec<Value> = record
        .outputs
        .iter()
        .map(|output| json!({"name": output.name, "released": output.released, "rebuilt": output.rebuilt}))
        .collect();
    found.same("outputs", &said["outputs"], &json!(outputs));
    found.same("end", &said["finishedOn"], &json!(record.finished));
    found.same_if_stated("evidence", &said["evidence"], &json!(record.evidence));
}

/// What the statement of equivalence says otherwise than the record does.
pub(super) fn differences_of_equivalence(
    statement: &Statement,
    record: &Record,
    report: Sha256,
) -> Vec<String> {
    let mut found = Differences(Vec::new());
    let definition = member(&statement.predicate, ["buildDefinition"]);
    found.same(
        "type",
        &json!([statement.predicate_type, definition["buildType"]]),
        &json!([predicate::SLSA_V1, EQUIVALENCE_TYPE]),
    );
    found.same("verdict", &json!("equivalent"), &json!(word(&record.verdict)));
    let equivalent = || record.outputs.iter().filter(|output| output.equivalent());
    found.subjects(
        statement,
        equivalent().filter_map(|output| Some((output.name.clone(), output.released?))),
    );
    let digests: Vec<Value> = definition["resolvedDependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|it| member(it, ["digest", "sha256"]).clone())
        .collect();
    let own: Vec<Value> = equivalent()
        .flat_map(|output| [json!(output.rebuilt), json!(output.released)])
        .collect();
    found.same("files that were compared", &json!(digests), &json!(own));
    let external = &definition["externalParameters"];
    let pairs = external["outputs"]
        .as_array()
        .map_or(std::slice::from_ref(external), Vec::as_slice);
    let set_aside: Vec<Value> = pairs.iter().map(|pair| pair["normalisations"].clone()).collect();
    let own: Vec<Value> = equivalent()
        .map(|output| json!(output.differs.as_ref().map(|differs| &differs.normalisations)))
        .collect();
    found.same("normalisations", &json!(set_aside), &json!(own));
    let run = member(&statement.predicate, ["runDetails"]);
    found.same(
        "run",
        member(run, ["metadata", "invocationId"]),
        &json!(record.id),
    );
    found.same("report", named(&run["byproducts"])("report.html"), &json!(report));
    found.0
}

fn released(plan: &Plan) -> impl Iterator<Item = (String, Sha256)> {
    plan.expected
        .iter()
        .map(|expected| (expected.file.name.clone(), expected.file.sha256))
}

fn attempts(record: &Record) -> Value {
    let attempts = record.attempts.iter();
    attempts
        .map(|it| json!({"plan": it.plan, "because": it.because, "ended": it.ended, "chosen": it.chosen}))
        .collect()
}

/// The SHA-256 of an entry of a list by its name; null where it is not there, or there more than once.
fn named<'a>(list: &'a Value) -> impl Fn(&str) -> &'a Value {
    move |name| {
        let entries = list.as_array().into_iter().flatten();
        let mut entries = entries.filter(|entry| entry["name"] == name);
        match (entries.next(), entries.next()) {
            (Some(only), None) => member(only, ["digest", "sha256"]),
            _ => &Value::Null,
        }
    }
}
