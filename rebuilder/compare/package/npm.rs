//! npm packages: fields of `package.json` and of lock files.

use super::{Meaning, Package};

pub(super) static NPM: Package = Package {
    meaning,
    ..Package::new("npm")
};

fn meaning(field: &str) -> Option<Meaning> {
    const TOOLS: [&str; 4] = ["npmversion", "npm_version", "nodeversion", "node_version"];
    const DEPENDENCIES: [&str; 4] = [
        "dependencies",
        "devdependencies",
        "peerdependencies",
        "optionaldependencies",
    ];
    if TOOLS.contains(&field.strip_prefix('_').unwrap_or(field)) {
        return Some(Meaning::Tool);
    }
    // A field may be given with those around it: `pnpm.dependencies.left-pad`.
    field
        .split('.')
        .any(|part| DEPENDENCIES.contains(&part))
        .then_some(Meaning::Dependency)
}
