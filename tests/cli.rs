//! What the command says: help, lists, completions, and silence where it belongs.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use common::{code, rebuilder, text};

fn help(arguments: &[&str]) -> String {
    let output = rebuilder()
        .env("COLUMNS", "100")
        .args(arguments)
        .arg("--help")
        .output()
        .unwrap();
    assert_eq!(code(&output), 0);
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn help_texts() {
    insta::assert_snapshot!("help", help(&[]));
    insta::assert_snapshot!("help-rebuild", help(&["rebuild"]));
    insta::assert_snapshot!("help-inspect", help(&["inspect"]));
    insta::assert_snapshot!("help-compare", help(&["compare"]));
    insta::assert_snapshot!("help-verify", help(&["verify"]));
    insta::assert_snapshot!("help-signer", help(&["signer"]));
    insta::assert_snapshot!("help-evidence-export", help(&["evidence", "export"]));
    insta::assert_snapshot!("help-container-run", help(&["container", "run"]));
}

#[test]
fn completions_and_manual_page() {
    for shell in ["bash", "zsh", "fish"] {
        let output = rebuilder().args(["completions", shell]).output().unwrap();
        assert_eq!(code(&output), 0);
        assert!(text(&output).contains("rebuild"), "{shell}");
    }
    let page = rebuilder().arg("man").output().unwrap();
    assert!(text(&page).starts_with(".ie"), "{}", &text(&page)[..80]);
}

#[test]
fn results_go_to_stdout_and_nothing_else_does() {
    let list = rebuilder()
        .args(["--json", "container", "list"])
        .output()
        .unwrap();
    let rows = common::json(&list);
    assert_eq!(rows[0]["name"], "bookworm-build");
    assert!(list.stderr.is_empty());

    let failed = rebuilder()
        .args(["--json", "rebuild", "nothing"])
        .output()
        .unwrap();
    assert_eq!(code(&failed), 2);
    assert_eq!(common::json(&failed)["error"]["exit_code"], 2);
}

#[test]
fn no_colour_in_pipes_or_where_it_is_unwanted() {
    for name in ["NO_COLOR", "SOMETHING_ELSE"] {
        let output = rebuilder()
            .env(name, "1")
            .args(["rebuild", "nothing"])
            .output()
            .unwrap();
        assert!(!text(&output).contains('\x1b'), "{}", text(&output));
    }
}
