//! npm packages: fields of `package.json` and of lock files.

use super::{JsonValue, Located, Meaning, Package, READ_AND_WRITE};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::finding::Finding;

pub(super) static NPM: Package = Package {
    recognises: |archive| archive.format == "tar" && archive.has("package/package.json"),
    document: is_manifest,
    ignores_owners: true,
    strips_top: true,
    // npm lets everyone read and write, except for the umask, and keeps all other bits.
    ignored_modes: READ_AND_WRITE,
    meaning,
    value: commit,
    ..Package::new("npm")
};

fn is_manifest(name: &str) -> bool {
    matches!(name, "package.json" | "package-lock.json" | "npm-shrinkwrap.json")
}

fn meaning(located: Located, field: &str) -> Option<Meaning> {
    const TOOLS: [&str; 4] = ["npmversion", "npm_version", "nodeversion", "node_version"];
    const DEPENDENCIES: [&str; 4] = [
        "dependencies",
        "devdependencies",
        "peerdependencies",
        "optionaldependencies",
    ];
    if !is_manifest(located.name()) {
        return None;
    }
    if TOOLS.contains(&field.strip_prefix('_').unwrap_or(field)) {
        return Some(Meaning::Tool);
    }
    // A field may have a path: `pnpm.dependencies.left-pad`.
    field
        .split('.')
        .any(|part| DEPENDENCIES.contains(&part))
        .then_some(Meaning::Dependency)
}

/// The commit that npm writes when it publishes a package from a repository.
fn commit(located: Located, value: &JsonValue) -> Option<Finding> {
    let is_commit =
        |text: &str| matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let are_commits = is_commit(value.released) && is_commit(value.rebuilt);
    (located.top() == Some("package/package.json") && value.pointer == "/gitHead" && are_commits).then(|| {
        value
            .finding()
            .because(Cause::SourceRevision, Confidence::Proven)
            .keyed(format!("{} → {}", value.released, value.rebuilt))
    })
}
