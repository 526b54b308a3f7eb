//! Files of each ecosystem, and all that can be said of them.

use std::fs;
use std::path::{Path, PathBuf};

use super::{DPKG_DEB, Scene, packages};
use crate::common::{code, json, needs, text};

type Make = fn(&Path) -> PathBuf;

#[apply(test)]
fn a_file_passes_if_and_only_if_enough_parties_agree() {
    needs(&[DPKG_DEB]);
    let kinds: [(&str, Make); 4] = [
        ("deb", |folder| packages::deb(folder, "tool", "1")),
        ("wheel", |folder| packages::wheel(folder, "tool", &[])),
        ("npm", |folder| packages::npm(folder, "tool")),
        ("crate", |folder| packages::krate(folder, "tool")),
    ];
    for (kind, make) in kinds {
        let scene = Scene::new();
        let file = make(scene.folder.path());
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(&file).unwrap();
        let check = |more: &[&str], code_wanted: i32, word: &str| {
            let output = scene.gate(kind).args(more).arg(&file).output().unwrap();
            assert_eq!(code(&output), code_wanted, "{kind} {more:?}: {}", text(&output));
            assert!(text(&output).contains(word), "{kind} {more:?}: {}", text(&output));
        };
        let unknown = &["--allow-unknown"][..];
        check(&[], 4, "too few parties vouch for it");
        check(unknown, 0, "passes because of --allow-unknown");
        scene.say(&scene.alice, &name, &bytes);
        check(&[], 4, "weight 1 of the required 2");
        scene.say(&scene.bob, &name, &bytes);
        check(&[], 0, "1 package may be installed");
        scene.say(&scene.bob, &name, b"something else");
        check(&[], 1, "a party speaks against it");
        check(unknown, 1, "a party speaks against it");
        // Bytes that nobody speaks of, under a name that both speak of.
        scene.vouch(&file);
        fs::write(&file, [&bytes[..], b"x"].concat()).unwrap();
        check(unknown, 1, "a party speaks against it");
        fs::write(&file, &bytes).unwrap();
        check(&[], 0, "1 package may be installed");
    }
}

#[apply(test)]
fn the_answer_for_programs_has_each_package() {
    let scene = Scene::new();
    let (good, bad) = (
        packages::npm(scene.folder.path(), "good"),
        packages::npm(scene.folder.path(), "bad"),
    );
    scene.vouch(&good);
    let output = scene
        .gate("npm")
        .arg("--json")
        .args([&good, &bad])
        .output()
        .unwrap();
    assert_eq!(code(&output), 4, "{}", text(&output));
    let found = json(&output);
    let outcomes = |place: &str| {
        let packages = found["packages"].as_array().unwrap();
        packages.iter().map(|one| one[place].clone()).collect::<Vec<_>>()
    };
    assert_eq!(found["passes"], false);
    assert_eq!(outcomes("package"), ["pkg:npm/good@1.0.0", "pkg:npm/bad@1.0.0"]);
    assert_eq!(outcomes("outcome"), ["agreed", "too-few"]);
}

#[apply(test)]
fn a_gate_is_closed_if_it_cannot_judge() {
    let scene = Scene::new();
    let file = packages::wheel(scene.folder.path(), "tool", &[]);
    scene.vouch(&file);
    let output = |more: &[&str]| {
        let mut gate = scene.gate("wheel");
        gate.args(more).arg(&file).output().unwrap()
    };
    assert_eq!(code(&output(&[])), 0);
    let policy = fs::read_to_string(scene.path("policy.toml")).unwrap();
    for (what, text, wanted) in [
        (
            "no quorum for it",
            policy.replace("subject = \"*\"", "subject = \"pkg:npm/*\""),
            3,
        ),
        ("no policy that can be read", "version = 1\n[[".to_owned(), 2),
        (
            "no source",
            policy.split("[[discover]]").next().unwrap().to_owned(),
            2,
        ),
        ("a source that is gone", policy.replace("\"said\"", "\"gone\""), 4),
    ] {
        fs::write(scene.path("policy.toml"), text).unwrap();
        assert_eq!(
            code(&output(&[])),
            wanted,
            "{what}: {}",
            crate::common::text(&output(&[]))
        );
    }
    fs::write(scene.path("policy.toml"), policy).unwrap();
    // A quorum that nothing fits is a hole in the policy, not an unknown package.
    let output = scene.gate("wheel").arg(scene.path("gone.whl")).output().unwrap();
    assert_eq!(code(&output), 2, "{}", text(&output));
    let output = scene.gate("deb").arg(&file).output().unwrap();
    assert_eq!(code(&output), 2, "{}", text(&output));
}
