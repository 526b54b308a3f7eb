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

/// Names are free in provenance, but a released file of another package is another package.
#[apply(test)]
fn statements_about_another_package_do_not_let_these_bytes_pass() {
    needs(&[DPKG_DEB]);
    let kinds: [(&str, Make, [&str; 4]); 4] = [
        (
            "deb",
            |folder| packages::deb(folder, "tool", "1"),
            [
                "evil_1.0-1_all.deb",
                "pool/tool_0.9-1_all.deb",
                "tool_1.0-10_all.deb",
                "pkg:deb/debian/evil@1.0-1",
            ],
        ),
        (
            "wheel",
            |folder| packages::wheel(folder, "tool", &[]),
            [
                "evil-1.0-py3-none-any.whl",
                "tool-0.9-py3-none-any.whl",
                "tool-1.0.1-py3-none-any.whl",
                "pkg:pypi/evil@1.0",
            ],
        ),
        (
            "npm",
            |folder| packages::npm(folder, "tool"),
            [
                "evil-1.0.0.tgz",
                "tool-0.9.0.tgz",
                "tool-10.0.tgz",
                "pkg:npm/evil@1.0.0",
            ],
        ),
        (
            "crate",
            |folder| packages::krate(folder, "tool"),
            [
                "evil-1.0.0.crate",
                "target/package/tool-0.9.0.crate",
                "tool-1.0.05.crate",
                "pkg:cargo/tool@0.9.0",
            ],
        ),
    ];
    for (kind, make, others) in kinds {
        let scene = Scene::new();
        let file = make(scene.folder.path());
        let bytes = fs::read(&file).unwrap();
        let output = |name: &str| {
            scene.forget();
            for party in [&scene.alice, &scene.bob] {
                let place = scene.path(&format!("said/{}.sigstore.json", party.name));
                fs::write(place, party.rebuilt(name, &bytes).to_string()).unwrap();
            }
            let mut gate = scene.gate(kind);
            gate.arg("--allow-unknown").arg(&file).output().unwrap()
        };
        for name in others {
            let output = output(name);
            // A package URL of another package makes a statement one about something else from the start.
            let expected = if name.starts_with("pkg:") {
                "passes because of"
            } else {
                "of another package"
            };
            assert!(
                text(&output).contains(expected),
                "{kind} {name}: {}",
                text(&output)
            );
            assert_eq!(
                code(&output),
                if name.starts_with("pkg:") { 0 } else { 3 },
                "{kind} {name}: {}",
                text(&output)
            );
        }
        for name in ["_", "/build/out/output.bin", "artifact"] {
            let output = output(name);
            assert_eq!(code(&output), 0, "{kind} {name}: {}", text(&output));
            assert!(
                text(&output).contains("1 package may be installed"),
                "{kind} {name}: {}",
                text(&output)
            );
        }
    }
}

/// The name under which a file lies is whoever wrote it there; which package it is, its own metadata say.
#[apply(test)]
fn a_file_under_the_name_of_another_package_does_not_pass_by_what_is_said_of_that_name() {
    let kinds: [(&str, Make, &str); 3] = [
        (
            "wheel",
            |folder| packages::wheel(folder, "evil", &[]),
            "tool-1.0-py3-none-any.whl",
        ),
        ("npm", |folder| packages::npm(folder, "evil"), "tool-1.0.0.tgz"),
        (
            "crate",
            |folder| packages::krate(folder, "evil"),
            "tool-1.0.0.crate",
        ),
    ];
    for (kind, make, name) in kinds {
        let scene = Scene::new();
        let file = scene.path(name);
        fs::rename(make(scene.folder.path()), &file).unwrap();
        scene.vouch(&file);
        let output = scene
            .gate(kind)
            .arg("--allow-unknown")
            .arg(&file)
            .output()
            .unwrap();
        assert_eq!(code(&output), 3, "{kind}: {}", text(&output));
    }
}

/// The installer may still find out which package it is, and then another quorum would have been about it.
#[apply(test)]
fn a_file_that_does_not_say_which_package_it_is_does_not_pass() {
    let scene = Scene::new();
    for (kind, name) in [
        ("deb", "tool_1.0_amd64.deb"),
        ("wheel", "tool-1.0-py3-none-any.whl"),
        ("npm", "tool-1.0.0.tgz"),
        ("crate", "tool-1.0.0.crate"),
    ] {
        let file = scene.path(name);
        fs::write(&file, "not a package").unwrap();
        let output = |more: &[&str]| scene.gate(kind).args(more).arg(&file).output().unwrap();
        let unknown = output(&["--allow-unknown"]);
        assert_eq!(code(&unknown), 3, "{kind}: {}", text(&unknown));
        scene.vouch(&file);
        let vouched = output(&[]);
        assert_eq!(code(&vouched), 3, "{kind}: {}", text(&vouched));
        assert!(
            text(&vouched).contains("does not have a valid name and version"),
            "{kind}: {}",
            text(&vouched)
        );
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
