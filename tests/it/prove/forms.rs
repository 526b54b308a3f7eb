//! What `--write` and `--ci` give: pages, SARIF and annotations with the line of the project.

use std::fs;

use crate::common::{NETWORK, SANDBOX, code, needs, rebuilder, text};

/// A makefile whose names and contents are markup, and whose third line asks for the host.
const MAKEFILE: &str = "\
# One page.
<b>.html:
\techo \"<script>alert(1)</script> $$(hostname)\" > '$@'
";

#[apply(test)]
fn forms_name_the_line_and_keep_markup_out() {
    needs(&[SANDBOX, NETWORK]);
    let folder = tempfile::tempdir().unwrap();
    let project = folder.path().join("project");
    fs::create_dir(&project).unwrap();
    fs::write(project.join("Makefile"), MAKEFILE).unwrap();
    let place = |name: &str| folder.path().join(name);
    let mut command = rebuilder();
    command
        .arg("prove")
        .arg(&project)
        .args(["--ci", "--vary", "hostname,domain"])
        .env("GITHUB_ACTIONS", "true");
    for name in ["p.html", "p.sarif", "p.md", "p.xml", "p.svg", "p.json"] {
        command.arg("--write").arg(place(name));
    }
    let output = command.output().unwrap();
    assert_eq!(code(&output), 1, "{}", text(&output));
    let said = text(&output);
    assert!(
        said.contains("::error file=Makefile,line=3,title=prove: hostname::"),
        "{said}"
    );
    // The bytes alone do not tell where it comes from; the culprit does.
    assert!(!said.contains("no known source"), "{said}");

    let read = |name: &str| fs::read_to_string(place(name)).unwrap();
    let page = read("p.html");
    assert!(page.contains("Makefile:3"), "{page}");
    assert!(page.contains("echo unknown"), "{page}");
    for markup in ["<script>", "<b>.html"] {
        assert!(!page.contains(markup), "{page}");
    }
    let sarif: serde_json::Value = serde_json::from_str(&read("p.sarif")).unwrap();
    let run = &sarif["runs"][0];
    let result = &run["results"][0];
    assert_eq!(run["results"].as_array().unwrap().len(), 1);
    assert_eq!(result["ruleId"], "hostname");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["id"] == "hostname"));
    let place = &result["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], "Makefile");
    assert_eq!(place["region"]["startLine"], 3);
    assert!(
        result["properties"]["patch"]
            .as_str()
            .unwrap()
            .contains("+\techo")
    );
    for name in ["p.md", "p.xml", "p.svg", "p.json"] {
        assert!(!read(name).is_empty());
    }
    assert!(!read("p.json").contains("no known source"));
}
