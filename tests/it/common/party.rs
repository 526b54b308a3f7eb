//! A party that states rebuilds, for tests that need somebody's word about a file.

use rebuilder::artifact::Sha256;
use rebuilder::attest::{Algorithm, FileKey, Signer as _};
use serde_json::{Value, json};

pub struct Party {
    pub name: &'static str,
    key: FileKey,
    public: String,
}

impl Party {
    pub fn new(name: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = FileKey::generate(Algorithm::Ed25519, &folder.path().join(name), None).unwrap();
        let public = key.public_key().pem();
        Self { name, key, public }
    }

    /// Its bundle, which says that these bytes came out under this name.
    pub fn says(&self, file: &str, sha256: &str) -> Value {
        self.key
            .bundle(statement(self.name, file, sha256).to_string().as_bytes())
            .unwrap()
    }

    /// The same about a file.
    pub fn rebuilt(&self, file: &str, bytes: &[u8]) -> Value {
        self.says(file, &Sha256::of(bytes).to_hex())
    }
}

/// A rebuild as this tool states it.
pub fn statement(builder: &str, file: &str, sha256: &str) -> Value {
    let digest = |text: &str| Sha256::of(text).to_hex();
    let now = jiff::Timestamp::now();
    let yesterday = now.checked_sub(jiff::SignedDuration::from_hours(24)).unwrap();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": file, "digest": {"sha256": sha256}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:rebuilder:build-type:rebuild:v1",
                "externalParameters": {"subject": "pkg:generic/any@1.0"},
                "internalParameters": {
                    "plan": {"sha256": digest(&format!("{builder}{file}{sha256}"))},
                    "container": {"tree": {"sha256": digest(builder)}},
                    "assumptions": []
                },
                "resolvedDependencies": [{"name": "libc6", "digest": {"sha256": digest("libc6")}}]
            },
            "runDetails": {
                "builder": {"id": format!("https://{builder}.example/rebuilder")},
                "metadata": {"invocationId": format!("run of {builder}"), "finishedOn": yesterday.to_string()}
            }
        }
    })
}

/// A policy that asks for this weight among some parties, with further lines of TOML.
pub fn policy(parties: &[&Party], threshold: u32, more: &str) -> String {
    let mut text = String::from("version = 1\n");
    for Party { name, public, .. } in parties {
        text.push_str(&format!(
            "[[keys]]\nname = \"{name}\"\ntext = \"\"\"\n{public}\"\"\"\n[[parties]]\nname = \"{name}\"\nkeys = [\"{name}\"]\n"
        ));
    }
    format!("{text}[[quorums]]\nsubject = \"*\"\nthreshold = {threshold}\n{more}")
}
