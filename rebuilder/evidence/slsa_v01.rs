//! SLSA provenance v0.1, as Google Cloud Build still signs it: a recipe instead of an invocation.
//!
//! Specification: <https://slsa.dev/provenance/v0.1>.

use serde_json::Value;

use super::json::member;
use super::slsa::{Build, Provenance, ProvenanceError, descriptors, first_git, some, text};
use super::statement::Descriptor;
use crate::artifact::git_source::GitSource;

pub(super) fn v01(predicate: &Value) -> Result<Provenance, ProvenanceError> {
    let recipe = member(predicate, ["recipe"]);
    let materials = descriptors(member(predicate, ["materials"]));
    // "Index in materials containing the recipe steps that are not implied by recipe.type."
    let defined = member(recipe, ["definedInMaterial"]).as_u64();
    let defined = defined.and_then(|at| materials.get(usize::try_from(at).ok()?));
    let source = match defined.and_then(git_source) {
        Some(source) => Some(source),
        None => match materials.iter().find_map(of_page) {
            Some(source) => Some(source),
            None => first_git(&materials)?,
        },
    };
    Ok(Provenance {
        version: "0.1",
        builder: text(member(predicate, ["builder", "id"]), "builder.id")?.to_owned(),
        build_type: text(member(recipe, ["type"]), "recipe.type")?.to_owned(),
        build: Build::Other,
        source,
        workflow: some(member(recipe, ["entryPoint"])),
        trigger: None,
        invocation: some(member(predicate, ["metadata", "buildInvocationId"])),
        materials,
        time: some(member(predicate, ["metadata", "buildFinishedOn"]))
            .or_else(|| some(member(predicate, ["metadata", "buildStartedOn"]))),
    })
}

fn git_source(material: &Descriptor) -> Option<GitSource> {
    of_page(material).or_else(|| {
        let uri = material.uri.as_deref()?;
        let git = uri
            .starts_with("git+")
            .then(|| GitSource::from_uri(uri, material.commit()));
        git?.ok()
    })
}

/// The source that Google Cloud Build names by its page, `https://github.com/OWNER/NAME/commit/SHA1`; later
/// `https://github.com/OWNER/NAME`, with the commit as the digest.
fn of_page(material: &Descriptor) -> Option<GitSource> {
    let uri = material.uri.as_deref()?;
    let path = uri.strip_prefix("https://github.com/")?;
    let (repository, commit) = match uri.rsplit_once("/commit/") {
        Some((repository, commit)) => (repository, commit),
        None if path.split('/').count() == 2 => (uri, material.commit()?),
        None => return None,
    };
    let own = material.commit().is_none_or(|digest| digest == commit);
    own.then(|| GitSource::new(repository, None, Some(commit)).ok())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COMMIT: &str = "fbbb98765e85ad464302dc5977968104d36e455e";

    #[test]
    fn the_source_is_the_material_that_the_recipe_names() {
        let page = json!({"uri": format!("https://github.com/a/b/commit/{COMMIT}")});
        let git = json!({"uri": "git+https://github.com/a/b", "digest": {"sha1": COMMIT}});
        let named = json!({"uri": "https://github.com/a/b", "digest": {"sha1": COMMIT}});
        let (undated, file) = (
            json!({"uri": "https://github.com/a/b"}),
            json!({"uri": "https://github.com/a/b/x.tgz", "digest": {"sha1": COMMIT}}),
        );
        let other = json!({"uri": "git+https://github.com/c/d", "digest": {"sha1": COMMIT}});
        let image = json!({"uri": "pkg:docker/x@1", "digest": {"sha256": "00"}});
        for (materials, defined, expected) in [
            (json!([page]), None, Some("a/b")),
            (json!([named]), None, Some("a/b")),
            (json!([undated, file]), None, None),
            (json!([image, git]), None, Some("a/b")),
            (json!([git, other]), Some(1), Some("c/d")),
            (json!([image]), Some(0), None),
            (json!([]), None, None),
        ] {
            let mut predicate =
                json!({"builder": {"id": "b"}, "recipe": {"type": "t"}, "materials": materials});
            if let Some(at) = defined {
                predicate["recipe"]["definedInMaterial"] = json!(at);
            }
            let read = v01(&predicate).unwrap();
            let source = read
                .source
                .map(|source| (source.repository, source.commit.unwrap()));
            let expected = expected.map(|name| (format!("https://github.com/{name}"), COMMIT.to_owned()));
            assert_eq!(source, expected, "{predicate}");
        }
        assert!(v01(&json!({"builder": {"id": "b"}})).is_err(), "it has no recipe");
    }
}
