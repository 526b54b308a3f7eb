//! npm packages: fields of `package.json` and of lock files.

use super::{Located, Meaning, Package, READ_AND_WRITE};

pub(super) static NPM: Package = Package {
    recognises: |archive| archive.format == "tar" && archive.has("package/package.json"),
    document: is_manifest,
    ignores_owners: true,
    // npm lets everyone read and write, except for the umask, and keeps all other bits.
    ignored_modes: READ_AND_WRITE,
    meaning,
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
