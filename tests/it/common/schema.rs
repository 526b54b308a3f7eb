//! Documents of the tool, held against the schemas that describe them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use jsonschema::{Registry, Validator};
use serde_json::{Value, json};

/// Every schema, by its name in `docs/schema/`.
macro_rules! schemas {
    ($($name:literal),*) => {
        [$(($name, include_str!(concat!("../../../docs/schema/", $name, ".schema.json")))),*]
    };
}

const SCHEMAS: [(&str, &str); 22] = schemas![
    "agreement",
    "audit",
    "bundle",
    "comparison",
    "container",
    "doctor",
    "error",
    "gate",
    "inspection",
    "key",
    "log",
    "normalisations",
    "plan",
    "policy",
    "prove",
    "public-log",
    "queue",
    "rebuild",
    "record",
    "regression",
    "signing",
    "store"
];

/// The first of these whose fields a document has is what the document is.
const KINDS: [(&[&str], &str); 53] = [
    (&["error"], "error"),
    (&["reproducible", "culprits"], "prove"),
    (&["knob", "varied"], "prove#/$defs/varied"),
    (&["log_key", "added"], "public-log#/$defs/published"),
    (&["log_key", "withdrawn"], "public-log#/$defs/verified"),
    (&["log_key", "new"], "public-log#/$defs/visit"),
    (&["log_key"], "public-log#/$defs/named"),
    (&["proof", "index"], "public-log#/$defs/proof"),
    (&["proven", "index"], "public-log#/$defs/proven"),
    (&["feed", "entries"], "public-log#/$defs/fed"),
    (&["withdrawn_statement"], "public-log#/$defs/withdrawn"),
    (&["jobs", "signing"], "queue#/$defs/tally"),
    (&["added", "known"], "queue#/$defs/enqueued"),
    (&["listening", "artifacts"], "queue#/$defs/listening"),
    (&["worker", "token"], "queue#/$defs/token"),
    (&["tokens"], "queue#/$defs/tokens"),
    (&["trail"], "queue#/$defs/trail"),
    (&["worker", "revoked"], "queue#/$defs/revoked"),
    (&["gate", "packages"], "gate"),
    (&["custody"], "inspection"),
    (&["tree", "outcome"], "comparison"),
    (&["ecosystem", "inputs"], "plan"),
    (&["plan", "digest"], "plan#/$defs/written"),
    (&["verdicts"], "audit"),
    (&["audits"], "audit#/$defs/status"),
    (&["older", "differences"], "audit#/$defs/diff"),
    (&["scheduled"], "audit#/$defs/scheduled"),
    (&["removed"], "audit#/$defs/removed"),
    (&["ticked"], "audit#/$defs/ticked"),
    (&["went_back"], "audit#/$defs/went_back"),
    (&["divergences"], "agreement"),
    (&["timings"], "record"),
    (&["subject", "spent"], "audit#/$defs/result"),
    (&["embedded", "docker"], "doctor"),
    (&["lock", "tree"], "container#/$defs/built"),
    (&["path", "tree"], "container#/$defs/locked"),
    (&["description", "made"], "container#/$defs/row"),
    (&["safe_because"], "normalisations#/items"),
    (&["attestation", "statement"], "signing#/$defs/attested"),
    (&["listening"], "signing#/$defs/listening"),
    (&["corrupt"], "store"),
    (&["lines", "head"], "log"),
    (&["old", "new"], "key#/$defs/rotated"),
    (&["key", "fingerprint"], "key#/$defs/shown"),
    (&["public", "fingerprint"], "key#/$defs/public"),
    (&["reference"], "key#/$defs/entry"),
    (&["checks", "manifest"], "bundle#/$defs/checked"),
    (&["archive", "manifest"], "bundle#/$defs/exported"),
    (&["files", "verdict"], "bundle#/$defs/manifest"),
    (&["predicateType"], "rebuild"),
    (&["jobs"], "queue#/$defs/list"),
    (&["limits"], "queue#/$defs/limits"),
    (&["files"], "bundle#/$defs/laid_out"),
];

/// The schema that describes a document: a name and a place in it.
fn kind(document: &Value) -> &'static str {
    if document["keys"].is_array() {
        // The inventory itself, and what is said of it.
        let listed = document["keys"].get(0).is_none_or(|key| key["state"].is_string());
        return if listed {
            "key#/$defs/list"
        } else {
            "key#/$defs/inventory"
        };
    }
    if document["predicateType"] == "urn:rebuilder:predicate:regression:v1" {
        return "regression";
    }
    let found = KINDS
        .iter()
        .find(|(fields, _)| fields.iter().all(|field| document.get(field).is_some()));
    found
        .unwrap_or_else(|| panic!("docs/schema/ has nothing for {document}"))
        .1
}

/// The name of a schema, with the form of the document.
fn id(text: &str) -> String {
    let schema: Value = serde_json::from_str(text).unwrap();
    schema["$id"].as_str().unwrap().to_owned()
}

fn registry() -> &'static Registry<'static> {
    static REGISTRY: OnceLock<Registry<'static>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let mut registry = Registry::new();
        for (_, text) in SCHEMAS {
            let schema: Value = serde_json::from_str(text).unwrap();
            registry = registry.add(id(text), schema).unwrap();
        }
        registry.prepare().unwrap()
    })
}

fn validator(kind: &'static str) -> &'static Validator {
    static VALIDATORS: OnceLock<BTreeMap<&'static str, Validator>> = OnceLock::new();
    let all = VALIDATORS.get_or_init(|| {
        let kinds = KINDS.iter().map(|(_, kind)| *kind);
        kinds
            .chain(["key#/$defs/list", "key#/$defs/inventory", "policy", "regression"])
            .map(|kind| {
                let (name, place) = kind.split_once('#').unwrap_or((kind, ""));
                let (_, text) = SCHEMAS.iter().find(|(known, _)| *known == name).unwrap();
                let schema = json!({"$ref": format!("{}#{place}", id(text))});
                let options = jsonschema::draft202012::options().with_registry(registry());
                (
                    kind,
                    options.should_validate_formats(true).build(&schema).unwrap(),
                )
            })
            .collect()
    });
    &all[kind]
}

/// The document, if it is as its schema says; a list has one document after another.
pub fn checked(document: Value) -> Value {
    if let Some(all) = document.as_array() {
        for document in all {
            check(document);
        }
    } else {
        check(&document);
    }
    document
}

fn check(document: &Value) {
    let kind = kind(document);
    check_as(kind, document);
    // The files beside it are documents too.
    if let ("record", Some(run)) = (kind, document["run"].as_str()) {
        check_run(Path::new(run));
    }
}

fn check_as(kind: &'static str, document: &Value) {
    let errors: Vec<_> = validator(kind)
        .iter_errors(document)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(
        errors.is_empty(),
        "not as docs/schema/ says of {kind}: {errors:#?}"
    );
}

/// Holds the documents of a run's folder against their schemas.
fn check_run(run: &Path) {
    for name in ["record.json", "plan.json"] {
        if run.join(name).exists() {
            read(&run.join(name));
        }
    }
}

/// Reads a document that the tool wrote.
pub fn read(path: &Path) -> Value {
    checked(serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
}

/// A field that no schema mentions would go unseen where further fields are allowed.
#[apply(test)]
fn schemas_name_every_field() {
    fn closed(schema: &Value, place: &str) {
        if schema["properties"].is_object() && schema["type"] == "object" {
            assert_eq!(schema["additionalProperties"], false, "{place}");
        }
        let below: Vec<(String, &Value)> = match schema {
            Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
            Value::Array(items) => items.iter().map(|item| (String::new(), item)).collect(),
            _ => Vec::new(),
        };
        for (name, value) in below {
            closed(value, &format!("{place}/{name}"));
        }
    }
    for (name, text) in SCHEMAS {
        let schema: Value = serde_json::from_str(text).unwrap();
        jsonschema::draft202012::meta::validate(&schema).unwrap_or_else(|error| panic!("{name}: {error}"));
        closed(&schema, name);
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    // The OpenAPI document is made from the handlers, and has a test of its own.
    let all = fs::read_dir(folder).unwrap().flatten();
    let schemas = all.filter(|file| file.file_name().to_string_lossy().ends_with(".schema.json"));
    assert_eq!(schemas.count(), SCHEMAS.len());
}

#[apply(test)]
fn example_policies_fit_their_schema() {
    for name in ["policy", "quorum"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{name}.toml"));
        let policy: Value = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        check_as("policy", &policy);
    }
}
