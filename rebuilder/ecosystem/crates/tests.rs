//! Tests that no crate is built with an empty file in place of one that the source lacks, by running the recipe's
//! check.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::plan::Recipe;

/// The recipe's check of a packed crate, with this folder in place of the sandbox's.
fn check_of_the_recipe(folder: &Path) -> String {
    let recipe = Recipe::built_in("crate").unwrap();
    let pack = recipe.build.steps.iter().find(|step| step.name == "pack");
    let text = &pack.unwrap().run;
    let begin = text.find("if [ -e /inputs/lacking ]").unwrap();
    let (_, rest) = text.split_at(begin);
    let end = rest.find("\nfi\n").unwrap() + "\nfi\n".len();
    let place = folder.display().to_string();
    // The folder may be below /tmp itself.
    let own = rest[..end].replace("/tmp/", &format!("{place}/"));
    own.replace("/inputs/", &format!("{place}/in/"))
}

// One long table.
#[test]
fn a_crate_with_a_file_that_is_empty_for_want_of_its_bytes_is_not_built() {
    for (lacking, files, expected) in [
        (None, &[("src/lib.rs", "")][..], Ok(())),
        (
            Some("src/big.bin"),
            &[("src/lib.rs", "x"), ("src/empty", "")],
            Ok(()),
        ),
        (Some("docs/x.png"), &[("src/lib.rs", "x")], Ok(())),
        (Some("src/big.bin"), &[("src/big.bin", "x")], Ok(())),
        (
            Some("src/big.bin"),
            &[("src/lib.rs", "x"), ("src/big.bin", "")],
            Err("big.bin"),
        ),
        // The file is in another folder of the crate than of the repository, and its path has a space.
        (
            Some("a/my docs/big one.bin"),
            &[("big one.bin", "")],
            Err("big one.bin"),
        ),
        // A submodule is not a file that is missing.
        (
            Some("src/big.bin"),
            &[("vendor", ""), ("src/lib.rs", "x")],
            Ok(()),
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        let package = place.join("tool-1.0.0");
        for (path, text) in files {
            let path = package.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let packed = Command::new("tar")
            .args(["czf", "tool-1.0.0.crate", "tool-1.0.0"])
            .current_dir(place)
            .status();
        assert!(packed.unwrap().success());
        if let Some(path) = lacking {
            fs::create_dir(place.join("in")).unwrap();
            fs::write(
                place.join("in/lacking"),
                format!("100644 {0}\t{path}\n160000 {0}\tvendor\n", "0".repeat(40)),
            )
            .unwrap();
        }
        let output = Command::new("sh")
            .args(["-euc", &check_of_the_recipe(place)])
            .env("CRATE", "tool-1.0.0.crate")
            .current_dir(place)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        match expected {
            Ok(()) => assert!(output.status.success(), "{lacking:?} {files:?}: {output:?}"),
            Err(name) => {
                assert!(!output.status.success(), "{lacking:?} {files:?}: {output:?}");
                assert!(
                    said.contains("the source lacks files") && said.contains(name),
                    "{said}"
                );
            }
        }
    }
}
