//! What went into a build as bills of materials, CycloneDX 1.6 and SPDX 2.3, both from the plan's materials.

use serde_json::{Value, json};

use super::Manifest;
use crate::artifact::Sha256;
use crate::artifact::serialise::SerialiseError;
use crate::evidence::json::put;
use crate::plan::{PinnedContainer, Plan, Role};

/// Something that went in.
pub(super) struct BuildPart {
    pub name: String,
    pub purl: Option<String>,
    pub url: Option<String>,
    pub sha256: Option<Sha256>,
    pub commit: Option<String>,
    pub role: &'static str,
}

/// Everything that went into a build, each once.
pub(super) fn parts(plan: &Plan) -> Vec<BuildPart> {
    let inputs = plan.inputs.iter().map(|input| BuildPart {
        name: input.file.name.clone(),
        purl: input.purl.clone(),
        url: input.file.urls.first().cloned(),
        sha256: Some(input.file.sha256),
        commit: None,
        role: match input.role {
            Role::Source => "source",
            Role::Dependency => "build dependency",
        },
    });
    let git = plan.git.iter().map(|git| BuildPart {
        name: git.source.repository.clone(),
        purl: None,
        url: Some(format!("git+{}", git.source.repository)),
        sha256: git.archive,
        commit: git.source.commit.clone(),
        role: "source",
    });
    let texts = plan.files.iter().map(|file| BuildPart {
        name: file.place.clone(),
        purl: None,
        url: None,
        sha256: Some(Sha256::of(&file.text)),
        commit: None,
        role: "inline file",
    });
    let packages = plan.container.materials().into_iter().map(|file| BuildPart {
        url: file.urls.first().cloned(),
        sha256: Some(file.sha256),
        name: file.name,
        purl: None,
        commit: None,
        role: "container",
    });
    let image = match &plan.container {
        PinnedContainer::Image { image } => Some(BuildPart {
            name: image.to_string(),
            purl: None,
            url: Some(format!("docker://{image}")),
            sha256: Some(image.digest),
            commit: None,
            role: "container",
        }),
        PinnedContainer::Packages { .. } => None,
    };
    let mut all: Vec<BuildPart> = inputs
        .chain(git)
        .chain(texts)
        .chain(packages)
        .chain(image)
        .collect();
    all.sort_by(|a, b| (a.role, &a.name, a.sha256).cmp(&(b.role, &b.name, b.sha256)));
    all.dedup_by(|a, b| (a.role, &a.name, a.sha256) == (b.role, &b.name, b.sha256));
    all
}

/// A name for a part that is good in a document's references.
fn reference(number: usize) -> String {
    format!("part-{number}")
}

/// CycloneDX 1.6: the released files, built from everything else.
pub(super) fn cyclonedx(plan: &Plan, manifest: &Manifest) -> Result<Value, SerialiseError> {
    let parts = parts(plan);
    let component = |(number, part): (usize, &BuildPart)| {
        let mut component = json!({
            "type": if part.role == "container" && part.sha256.is_some() && part.url.as_deref().is_some_and(|url| url.starts_with("docker://")) { "container" } else { "file" },
            "bom-ref": reference(number),
            "name": part.name,
            "properties": [{"name": "rebuilder:role", "value": part.role}]
        });
        if let Some(sha256) = part.sha256 {
            put(
                &mut component,
                "hashes",
                json!([{"alg": "SHA-256", "content": sha256}]),
            );
        }
        if let Some(purl) = &part.purl {
            put(&mut component, "purl", json!(purl));
        }
        if let Some(commit) = &part.commit {
            put(&mut component, "version", json!(commit));
        }
        if let Some(url) = &part.url {
            let kind = if part.commit.is_some() {
                "vcs"
            } else {
                "distribution"
            };
            put(
                &mut component,
                "externalReferences",
                json!([{"type": kind, "url": url}]),
            );
        }
        component
    };
    let released: Vec<Value> = released(plan);
    let depends: Vec<String> = (0..parts.len()).map(reference).collect();
    let roots = released
        .iter()
        .map(|file| json!({"ref": file["bom-ref"], "dependsOn": depends}));
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": urn(&[b"cyclonedx", plan.canonical()?.as_slice()]),
        "version": 1,
        "metadata": {
            "timestamp": manifest.created,
            "lifecycles": [{"phase": "build"}],
            "tools": {"components": [{"type": "application", "name": "rebuilder", "version": env!("CARGO_PKG_VERSION")}]},
            "component": {"type": "application", "bom-ref": "subject", "name": plan.title(), "purl": plan.subject}
        },
        "components": released.iter().cloned().chain(parts.iter().enumerate().map(component)).collect::<Vec<_>>(),
        "dependencies": roots.collect::<Vec<_>>()
    }))
}

/// The released files as components.
pub(super) fn released(plan: &Plan) -> Vec<Value> {
    let expected = plan.expected.iter().enumerate();
    expected
        .map(|(number, expected)| {
            json!({
                "type": "file",
                "bom-ref": format!("released-{number}"),
                "name": expected.file.name,
                "purl": expected.purl,
                "hashes": [{"alg": "SHA-256", "content": expected.file.sha256}]
            })
        })
        .collect()
}

/// SPDX 2.3, the same.
pub(super) fn spdx(plan: &Plan, manifest: &Manifest) -> Result<Value, SerialiseError> {
    let parts = parts(plan);
    let mut packages = Vec::new();
    let mut relationships = Vec::new();
    for (number, expected) in plan.expected.iter().enumerate() {
        let id = format!("SPDXRef-released-{number}");
        let url = expected.file.urls.first().map(String::as_str);
        packages.push(spdx_package(
            &id,
            &expected.file.name,
            url,
            Some(expected.file.sha256),
            Some(&expected.purl),
        ));
        relationships.push(json!({"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": id}));
        for (at, part) in parts.iter().enumerate() {
            let other = format!("SPDXRef-{}", reference(at));
            relationships.push(if part.role == "source" {
                json!({"spdxElementId": id, "relationshipType": "GENERATED_FROM", "relatedSpdxElement": other})
            } else {
                json!({"spdxElementId": other, "relationshipType": "BUILD_DEPENDENCY_OF", "relatedSpdxElement": id})
            });
        }
    }
    for (number, part) in parts.iter().enumerate() {
        let url = match (&part.url, &part.commit) {
            (Some(url), Some(commit)) => Some(format!("{url}@{commit}")),
            (url, _) => url.clone(),
        };
        packages.push(spdx_package(
            &format!("SPDXRef-{}", reference(number)),
            &part.name,
            url.as_deref(),
            part.sha256,
            part.purl.as_deref(),
        ));
    }
    Ok(json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": format!("build of {}", plan.title()),
        "documentNamespace": format!("https://spdx.org/spdxdocs/rebuilder-{}", plan.digest()?),
        "creationInfo": {
            "created": manifest.created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "creators": [format!("Tool: rebuilder-{}", env!("CARGO_PKG_VERSION"))]
        },
        "packages": packages,
        "relationships": relationships
    }))
}

fn spdx_package(
    id: &str,
    name: &str,
    url: Option<&str>,
    sha256: Option<Sha256>,
    purl: Option<&str>,
) -> Value {
    let checksum = |digest: Sha256| json!({"algorithm": "SHA256", "checksumValue": digest});
    let checksums: Vec<_> = sha256.into_iter().map(checksum).collect();
    let mut package = json!({
        "SPDXID": id,
        "name": name,
        "downloadLocation": url.filter(|url| !url.starts_with("docker:")).unwrap_or("NOASSERTION"),
        "filesAnalyzed": false,
        "copyrightText": "NOASSERTION",
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "checksums": checksums
    });
    if let Some(purl) = purl {
        let reference = json!([{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl}]);
        put(&mut package, "externalRefs", reference);
    }
    package
}

/// A UUID that follows from what it is for (in the form of RFC 9562, version 8).
pub(super) fn urn(what: &[&[u8]]) -> String {
    let digest = Sha256::of(what.concat());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.as_bytes()[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    format!(
        "urn:uuid:{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}
