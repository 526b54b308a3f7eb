//! Tests with the standard library of this machine's Python, compiled twice.

use std::path::Path;
use std::process::Command;

use super::Header;
use crate::compare::{Cause, Finding, Node, Options, compare};

/// Compiles the modules of `json` and others into `to`, in one order or the other.
fn compiled(python: &str, to: &Path, seed: &str, order: &str) -> Option<()> {
    const PROGRAM: &str = "
import os, py_compile, sys
to, order = sys.argv[1:]
library = os.path.dirname(os.__file__)
names = [n for n in sorted(os.listdir(library)) if n.endswith('.py')][:60] + ['json/' + n for n in ('decoder.py', 'encoder.py')]
for name in sorted(names, reverse=order == 'down'):
    out = os.path.join(to, name.replace('/', '_') + 'c')
    try:
        py_compile.compile(os.path.join(library, name), cfile=out, dfile=name, doraise=True)
    except py_compile.PyCompileError:
        pass
";
    std::fs::create_dir_all(to).ok()?;
    let done = Command::new(python)
        .env("PYTHONHASHSEED", seed)
        .args(["-c", PROGRAM])
        .args([to.as_os_str(), order.as_ref()])
        .output()
        .ok()?;
    done.status.success().then_some(())
}

fn each<'n>(node: &'n Node, found: &mut Vec<(&'n str, &'n Finding)>) {
    found.extend(node.findings.iter().map(|finding| (node.name.as_str(), finding)));
    for child in &node.children {
        each(child, found);
    }
}

#[test]
fn the_standard_library_built_twice_has_no_change_of_content() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("a"), folder.path().join("b"));
    if compiled("python3", &old, "1", "up").is_none() || compiled("python3", &new, "2", "down").is_none() {
        return;
    }
    let known = std::fs::read_dir(&old).unwrap().all(|entry| {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        Header::read(&bytes).is_some_and(|header| header.version.is_some())
    });
    if !known {
        return;
    }
    let comparison = compare(&old, &new, &Options::default()).unwrap();
    let mut found = Vec::new();
    if let Some(tree) = &comparison.tree {
        each(tree, &mut found);
    }
    for (name, finding) in found {
        assert_eq!(finding.cause, Cause::Randomness, "{name}: {finding:?}");
    }
}
