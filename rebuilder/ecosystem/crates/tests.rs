//! Tests of the recipe's steps, by running them: no crate is built with an empty file in place of one that the source
//! lacks, and only the file of its digest takes the place of a pointer of Git LFS.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::artifact::Sha256;
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

/// Runs the step that puts files in the place of pointers in a folder `source`, with the inputs of a folder `in`.
fn place_large_files(folder: &Path) -> std::process::Output {
    let recipe = Recipe::built_in("crate").unwrap();
    let mut steps = recipe.build.steps.iter();
    let step = steps.find(|step| step.name.contains("Git LFS")).unwrap();
    let place = folder.display().to_string();
    let text = step.run.replace("/tmp/", &format!("{place}/"));
    let text = text.replace("/inputs/", &format!("{place}/in/"));
    Command::new("sh")
        .args(["-euc", &text])
        .env("SOURCE", folder.join("source"))
        .env("FOLDER", "")
        .env("COMMIT", "")
        .output()
        .unwrap()
}

#[test]
fn a_pointer_is_replaced_only_by_the_file_of_its_digest() {
    let digest = Sha256::of("large").to_string();
    let other = Sha256::of("other").to_string();
    let pointer =
        |digest: &str| format!("version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 5\n");
    let quoted = format!("A pointer has this form:\n{}", pointer(&digest));
    for (text, at, content, expected) in [
        (pointer(&digest), &digest, "large", Some("large".to_owned())),
        // The crate has another file, so the pointer stays.
        (pointer(&other), &digest, "large", Some(pointer(&other))),
        (quoted.clone(), &digest, "large", Some(quoted)),
        // An input that is not what its place says.
        (pointer(&digest), &digest, "evil!", None),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path();
        fs::create_dir_all(place.join("in/lfs")).unwrap();
        fs::create_dir(place.join("source")).unwrap();
        fs::write(place.join("in/lfs").join(at), content).unwrap();
        let file = place.join("source/two words.bin");
        fs::write(&file, &text).unwrap();
        let output = place_large_files(place);
        let found = fs::read_to_string(&file).unwrap();
        assert_eq!(
            output.status.success().then_some(found),
            expected,
            "{text}: {output:?}"
        );
    }
}
