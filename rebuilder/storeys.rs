//! The guard of the four storeys: no module uses one that `lib.rs` tells of before it.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

const MAP: &str = include_str!("lib.rs");

/// The modules in the order in which the text of `lib.rs` tells of them, the highest first.
fn listed() -> Vec<String> {
    let link = Regex::new(r"\[`(\w+)`\]").unwrap();
    let lines = MAP.lines().filter(|line| line.starts_with("//!"));
    let text: String = lines.collect();
    let found = link.captures_iter(&text);
    found.map(|found| found[1].to_owned()).collect()
}

#[test]
fn every_module_is_told_of_once() {
    let module = Regex::new(r"(?m)^pub mod (\w+);").unwrap();
    let mut modules: Vec<_> = module
        .captures_iter(MAP)
        .map(|found| found[1].to_owned())
        .collect();
    let mut told = listed();
    modules.sort();
    told.sort();
    assert_eq!(told, modules);
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(folder).into_iter().flatten();
    let files = entries.map(walkdir::DirEntry::into_path);
    files
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .collect()
}

/// A file that no module names is neither compiled nor tested.
#[test]
fn every_file_is_a_module() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut apart = Vec::new();
    for path in ["rebuilder", "tests/it"]
        .iter()
        .flat_map(|it| sources(&root.join(it)))
    {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let folder = path.parent().unwrap();
        let (name, folder) = match name {
            "lib" | "main" => continue,
            "mod" => (
                folder.file_name().unwrap().to_str().unwrap(),
                folder.parent().unwrap(),
            ),
            name => (name, folder),
        };
        let named = Regex::new(&format!(r"(?m)^\s*(pub(\([a-z: ]+\))? )?mod {name};")).unwrap();
        let above = [
            folder.with_extension("rs"),
            folder.join("mod.rs"),
            folder.join("lib.rs"),
            folder.join("main.rs"),
        ];
        let texts = above.iter().filter_map(|above| fs::read_to_string(above).ok());
        let by_path = format!("#[path = {:?}]", path.file_name().unwrap());
        if !texts
            .into_iter()
            .any(|text| named.is_match(&text) || text.contains(&by_path))
        {
            apart.push(path.clone());
        }
    }
    assert_eq!(apart, Vec::<PathBuf>::new());
}

/// The modules that a source file names as `crate::NAME`, or in braces after `crate::`.
fn used(text: &str) -> Vec<String> {
    let code: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect();
    let single = Regex::new(r"\bcrate::(\w+)").unwrap();
    let braced = Regex::new(r"\bcrate::\{").unwrap();
    assert!(
        !braced.is_match(&code),
        "write one use line for each module, so that arrows can be read"
    );
    single
        .captures_iter(&code)
        .map(|found| found[1].to_owned())
        .collect()
}

#[test]
fn the_arrows_point_down() {
    let order = listed();
    let floor = |name: &str| order.iter().position(|listed| listed == name);
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("rebuilder");
    let mut upwards = Vec::new();
    for path in sources(&top) {
        let place = path.strip_prefix(&top).unwrap();
        let module = place.iter().next().unwrap().to_string_lossy();
        let Some(own) = floor(module.trim_end_matches(".rs")) else {
            continue;
        };
        for other in used(&fs::read_to_string(&path).unwrap()) {
            if floor(&other).is_some_and(|other| other < own) {
                upwards.push(format!("{} uses {other}", place.display()));
            }
        }
    }
    assert!(upwards.is_empty(), "arrows upwards:\n{}", upwards.join("\n"));
}
