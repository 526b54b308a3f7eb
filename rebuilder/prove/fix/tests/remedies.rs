//! What each remedy does to a line, and what it leaves alone.

use super::super::Kind;
use super::super::remedies::ALL;
use super::lines::LINES;

#[test]
fn each_remedy_changes_its_lines_and_no_others() {
    for (name, file, line, wanted) in LINES {
        let remedy = ALL.iter().find(|remedy| remedy.name == *name).unwrap();
        let kind = Kind::of(file, line).unwrap();
        // By the line alone: what a remedy does to whole files is tried by building.
        let text = format!("import os\nimport time\n{line}\n");
        let changed = remedy.apply(kind, &text, Some(&[3])).unwrap_or(text);
        let is_line = |line: &&str| !line.starts_with("import ") && !line.starts_with("#include ");
        let changed = changed.lines().find(is_line).unwrap();
        assert_eq!(changed, *wanted, "{name}");
    }
}

#[test]
fn a_go_file_imports_only_what_it_uses() {
    let remedy = ALL.iter().find(|remedy| remedy.name == "no-machine").unwrap();
    let text = "package main\n\nimport (\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() {\n\tname, _ := os.Hostname()\n\tfmt.Println(name)\n}\n";
    let changed = remedy.apply(Kind::Go, text, None).unwrap();
    assert!(changed.contains("\"unknown\", error(nil)"), "{changed}");
    assert!(
        changed.contains("\"fmt\"") && !changed.contains("\"os\""),
        "{changed}"
    );
    let more = text.replace("Println(name)", "Println(name, os.Args)");
    let changed = remedy.apply(Kind::Go, &more, None).unwrap();
    assert!(changed.contains("\"os\""), "{changed}");
}

#[test]
fn a_python_file_imports_nothing_twice() {
    let remedy = ALL.iter().find(|remedy| remedy.name == "umask").unwrap();
    let text = "import os, sys\nfrom setuptools import setup\nsetup(name=\"a\")\n";
    let changed = remedy.apply(Kind::Python, text, None).unwrap();
    assert!(changed.contains("os.umask"), "{changed}");
    assert_eq!(changed.matches("import os").count(), 1, "{changed}");
    let without = remedy
        .apply(Kind::Python, &text.replace("os, ", ""), None)
        .unwrap();
    assert!(without.starts_with("import os\nimport sys\n"), "{without}");
}

#[test]
fn a_remedy_leaves_what_it_has_cured() {
    for (name, file, line, _) in LINES {
        let remedy = ALL.iter().find(|remedy| remedy.name == *name).unwrap();
        let kind = Kind::of(file, line).unwrap();
        let Some(once) = remedy.apply(kind, &format!("{line}\n"), Some(&[1])) else {
            continue;
        };
        let all: Vec<_> = (1..=once.lines().count()).collect();
        assert_eq!(remedy.apply(kind, &once, Some(&all)), None, "{name}: {once}");
    }
}

#[test]
fn every_rule_is_a_regular_expression_and_every_name_is_there_once() {
    let mut names: Vec<_> = ALL.iter().map(|remedy| remedy.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for remedy in ALL {
        for rule in remedy.rules {
            for kind in rule.kinds {
                assert!(rule.is_sound(*kind), "{}: {}", remedy.name, rule.find);
            }
        }
    }
}
