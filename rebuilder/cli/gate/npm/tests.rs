//! What the gate makes of lock files and manifests.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::lock;

fn integrity(byte: u8) -> String {
    format!("sha512-{}", STANDARD.encode([byte; 64]))
}

/// The labels of tarballs, and those that nothing can speak for; or the error.
fn read(manifest: &Value, packages: &Value) -> Result<(Vec<String>, Vec<String>), String> {
    let outer = tempfile::tempdir().unwrap();
    let project = outer.path().join("project");
    for folder in [
        "project/own",
        "project/own/deep",
        "outside",
        "project/node_modules/there",
    ] {
        let folder = outer.path().join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("package.json"), "{}").unwrap();
    }
    fs::create_dir(project.join("bare")).unwrap();
    std::os::unix::fs::symlink("../outside", project.join("leads-out")).unwrap();
    fs::write(project.join("package.json"), manifest.to_string()).unwrap();
    let text = match packages {
        Value::String(text) => text.clone(),
        packages => json!({"lockfileVersion": 3, "packages": packages}).to_string(),
    };
    fs::write(project.join("package-lock.json"), text).unwrap();
    let (tarballs, unknown) = lock::read(&project).map_err(|failure| failure.message())?;
    let tarballs = tarballs.iter().map(|one| format!("{}@{}", one.name, one.version));
    Ok((
        tarballs.collect(),
        unknown.into_iter().map(|one| one.label).collect(),
    ))
}

// Long, as it is one table.
#[test]
fn every_entry_is_checked_unless_npm_does_not_install_it() {
    let plain = json!({"version": "1.0.0", "integrity": integrity(1)});
    let with = |more: Value| {
        let mut entry = plain.clone();
        entry
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        entry
    };
    let inside = json!({"version": "1.0.0", "inBundle": true});
    // Entries, tarballs that are checked, and what nothing can speak for.
    let table = [
        (json!({"node_modules/a": plain}), "a@1.0.0", ""),
        (json!({"node_modules/@s/a": plain}), "@s/a@1.0.0", ""),
        (json!({"own/node_modules/a": plain, "own": {}}), "a@1.0.0", ""),
        (
            json!({"node_modules/a": with(json!({"resolved": "https://h.example/a-1.0.0.tgz"}))}),
            "a@1.0.0",
            "",
        ),
        (
            json!({"node_modules/a": with(json!({"optional": true, "os": ["darwin"]}))}),
            "",
            "",
        ),
        (
            json!({"node_modules/a": with(json!({"optional": true, "os": "darwin"}))}),
            "",
            "",
        ),
        (
            json!({"node_modules/a": with(json!({"optional": true, "os": ["any"]}))}),
            "a@1.0.0",
            "",
        ),
        (
            json!({"node_modules/a": with(json!({"optional": true, "cpu": ["!none"]}))}),
            "a@1.0.0",
            "",
        ),
        (
            json!({"node_modules/a": with(json!({"os": ["darwin"]}))}),
            "a@1.0.0",
            "",
        ),
        (
            json!({"node_modules/a": with(json!({"devOptional": true, "os": ["darwin"]}))}),
            "a@1.0.0",
            "",
        ),
        // npm has one of several digests suffice.
        (
            json!({"node_modules/a": with(json!({"integrity": format!("{} {}", integrity(1), integrity(2))}))}),
            "",
            "npm:a@1.0.0",
        ),
        (
            json!({"node_modules/a": with(json!({"integrity": format!("sha1-AAAA {}", integrity(2))}))}),
            "a@1.0.0",
            "",
        ),
        (
            json!({"node_modules/a": with(json!({"integrity": format!("{}?x", integrity(2))}))}),
            "",
            "npm:a@1.0.0",
        ),
        (
            json!({"node_modules/a": with(json!({"integrity": "sha512-AAAA"}))}),
            "",
            "npm:a@1.0.0",
        ),
        (
            json!({"node_modules/a": with(json!({"integrity": "sha1-AAAA"}))}),
            "",
            "npm:a@1.0.0",
        ),
        (json!({"node_modules/a": {"version": "1.0.0"}}), "", "npm:a@1.0.0"),
        // npm reads what follows from a lock file in the tarball.
        (
            json!({"node_modules/a": with(json!({"hasShrinkwrap": true}))}),
            "",
            "npm:a@1.0.0",
        ),
        (
            json!({"node_modules/a": with(json!({"_hasShrinkwrap": 1}))}),
            "",
            "npm:a@1.0.0",
        ),
        // Addresses of other kinds.
        (
            json!({"node_modules/a": with(json!({"resolved": "file:a.tgz"}))}),
            "",
            "npm:a@1.0.0",
        ),
        (
            json!({"node_modules/a": with(json!({"resolved": "git+ssh://h.example/a"}))}),
            "",
            "npm:a@1.0.0",
        ),
        (
            json!({"node_modules/a": with(json!({"resolved": "https://github.com/o/r#0123"}))}),
            "",
            "npm:a@1.0.0",
        ),
        (
            json!({"node_modules/a": with(json!({"resolved": "httpx://h.example/a.tgz"}))}),
            "",
            "npm:a@1.0.0",
        ),
        (
            json!({"node_modules/a": with(json!({"version": "latest"}))}),
            "",
            "npm:a@latest",
        ),
        (
            json!({"node_modules/a": with(json!({"version": "file:x"}))}),
            "",
            "npm:a@file:x",
        ),
        (
            json!({"node_modules/a": with(json!({"name": "../x"}))}),
            "",
            "npm:../x@1.0.0",
        ),
        (
            json!({"node_modules/a": with(json!({"name": "a.tgz"}))}),
            "",
            "npm:a.tgz@1.0.0",
        ),
        // Bundled ones are part of a tarball that is checked, or they are not bundled.
        (
            json!({"node_modules/a": with(json!({"bundleDependencies": ["b"]})), "node_modules/a/node_modules/b": inside}),
            "a@1.0.0",
            "",
        ),
        (
            json!({"node_modules/a": with(json!({"bundleDependencies": ["b"]})), "node_modules/a/node_modules/b/node_modules/c": inside}),
            "a@1.0.0",
            "",
        ),
        (
            json!({"node_modules/a": plain, "node_modules/a/node_modules/b": inside}),
            "a@1.0.0",
            "npm:b@1.0.0",
        ),
        (
            json!({"node_modules/a": with(json!({"bundleDependencies": []})), "node_modules/a/node_modules/b": inside}),
            "a@1.0.0",
            "npm:b@1.0.0",
        ),
        (json!({"node_modules/b": inside}), "", "npm:b@1.0.0"),
        (
            json!({"": {"bundleDependencies": ["b"]}, "node_modules/b": inside}),
            "",
            "npm:b@1.0.0",
        ),
        (
            json!({"node_modules/b": with(json!({"inBundle": true}))}),
            "b@1.0.0",
            "",
        ),
        (
            json!({"node_modules/a": with(json!({"bundleDependencies": ["b"]})), "node_modules/a/node_modules/b": with(json!({"inBundle": true}))}),
            "a@1.0.0 b@1.0.0",
            "",
        ),
        (
            json!({"node_modules/a": {"version": "1.0.0", "bundleDependencies": ["b"]}, "node_modules/a/node_modules/b": inside}),
            "",
            "npm:a@1.0.0 npm:b@1.0.0",
        ),
        (
            json!({"own": {"bundleDependencies": ["b"]}, "own/node_modules/b": inside}),
            "",
            "npm:b@1.0.0",
        ),
        // Folders of the project are the user's own, others are not.
        (
            json!({"node_modules/own": {"link": true, "resolved": "own"}, "own": {}}),
            "",
            "",
        ),
        (
            json!({"node_modules/x": {"link": true, "resolved": "../outside"}, "../outside": {}}),
            "",
            "npm:../outside@ npm:x@",
        ),
        (
            json!({"node_modules/x": {"link": true, "resolved": "leads-out"}, "leads-out": {}}),
            "",
            "npm:leads-out@ npm:x@",
        ),
        (
            json!({"node_modules/x": {"link": true, "resolved": "/tmp"}}),
            "",
            "npm:x@",
        ),
        (
            json!({"node_modules/x": {"link": true, "resolved": "missing"}, "missing": {}}),
            "",
            "npm:missing@ npm:x@",
        ),
        (
            json!({"node_modules/x": {"link": true, "resolved": "bare"}}),
            "",
            "npm:x@",
        ),
        (
            json!({"node_modules/x": {"link": true, "resolved": "."}}),
            "",
            "npm:x@",
        ),
        (json!({"node_modules/x": {"link": true}}), "", "npm:x@"),
        (
            json!({"node_modules/x": {"link": true, "resolved": "node_modules/there"}}),
            "",
            "npm:x@",
        ),
        (
            json!({"own": {"resolved": "https://h.example/a.tgz"}}),
            "",
            "npm:own@",
        ),
        (json!({"own": {"integrity": integrity(1)}}), "", "npm:own@"),
        (json!({"own": {"link": true, "resolved": "own"}}), "", "npm:own@"),
        // What a package wants from elsewhere, npm takes from there.
        (
            json!({"node_modules/a": with(json!({"dependencies": {"b": "file:../x"}}))}),
            "a@1.0.0",
            "npm:b",
        ),
        (
            json!({"node_modules/a": with(json!({"peerDependencies": {"b": "o/r"}}))}),
            "a@1.0.0",
            "npm:b",
        ),
        (
            json!({"node_modules/a": with(json!({"optionalDependencies": {"b": "^1 || >=2"}}))}),
            "a@1.0.0",
            "",
        ),
        (
            json!({"node_modules/a": with(json!({"dependencies": {"b": "npm:@s/c@^1.0.0"}}))}),
            "a@1.0.0",
            "",
        ),
    ];
    for (packages, tarballs, unknown) in table {
        let found = read(&json!({}), &packages);
        let (mut found, mut other) = found.unwrap_or_else(|error| panic!("{packages}: {error}"));
        found.sort();
        other.sort();
        assert_eq!(
            (found.join(" ").as_str(), other.join(" ").as_str()),
            (tarballs, unknown),
            "{packages}"
        );
    }
}

#[test]
fn what_npm_does_not_write_is_refused() {
    let plain = json!({"version": "1.0.0", "integrity": integrity(1)});
    for key in [
        "node_modules/a/../b",
        "node_modules/../a",
        "./node_modules/a",
        "node_modules//a",
        "node_modules/a/",
        "node_modules/",
        "node_modules",
        "node_modules/node_modules",
        "node_modules/.bin",
        "node_modules/.a",
        "node_modules/@s",
        "node_modules/@s/a/b",
        "node_modules/a/b",
        "xnode_modules/a",
        "node_modules\\a",
        "/node_modules/a",
        "../node_modules/a",
    ] {
        let error = read(&json!({}), &json!({key: plain})).unwrap_err();
        assert!(error.contains("does not write the path"), "{key}: {error}");
    }
    for text in [
        // npm would use the older list of these.
        json!({"lockfileVersion": 3, "dependencies": {"a": {"version": "1.0.0"}}}),
        json!({"lockfileVersion": 2, "packages": null, "dependencies": {}}),
        json!({"lockfileVersion": 1, "packages": {}}),
        json!({"lockfileVersion": "3", "packages": {}}),
        json!({"lockfileVersion": 3, "packages": {"node_modules/a": {"link": "yes"}}}),
        json!({"lockfileVersion": 3, "packages": {"node_modules/a": {"dependencies": ["b@file:x"]}}}),
    ] {
        let error = read(&json!({}), &json!(text.to_string())).unwrap_err();
        assert!(error.contains("package-lock.json"), "{text}: {error}");
    }
}

#[test]
fn manifests_ask_for_packages_of_registries_and_own_folders() {
    let link = json!({"node_modules/own": {"link": true, "resolved": "own"}, "own": {}});
    for (manifest, unknown) in [
        (
            json!({"dependencies": {"a": "^1.0.0", "b": "latest", "c": "", "d": "npm:e@1"}}),
            "",
        ),
        (json!({"dependencies": {"a": "https://h.example/a.tgz"}}), ""),
        (json!({"dependencies": {"own": "file:own"}}), ""),
        (json!({"dependencies": {"own": "./own"}}), ""),
        (json!({"dependencies": {"own": "file:./x/../own"}}), ""),
        (json!({"dependencies": {"own": "file:own/deep"}}), "npm:own"),
        (json!({"dependencies": {"own": "file:../project/own"}}), "npm:own"),
        (json!({"dependencies": {"other": "file:own"}}), "npm:other"),
        (json!({"dependencies": {"a": "file:a.tgz"}}), "npm:a"),
        (json!({"devDependencies": {"a": "a.tgz"}}), "npm:a"),
        (json!({"dependencies": {"a": "npm:a.tgz"}}), "npm:a"),
        (json!({"optionalDependencies": {"a": " ./a"}}), "npm:a"),
        (json!({"peerDependencies": {"a": "/tmp/a"}}), "npm:a"),
        (json!({"dependencies": {"a": "~/a"}}), "npm:a"),
        (json!({"dependencies": {"a": "FILE:a"}}), "npm:a"),
        (json!({"dependencies": {"a": "o/r"}}), "npm:a"),
        (json!({"dependencies": {"a": "git+https://h.example/r"}}), "npm:a"),
        (json!({"dependencies": {"a": "https://h.example/r.git"}}), "npm:a"),
        (
            json!({"dependencies": {"a": "https://github.com/o/r#semver:1"}}),
            "npm:a",
        ),
        (
            json!({"overrides": {"a": "1.0.0", "b": {".": "$a", "c": "npm:d@2"}}}),
            "",
        ),
        (json!({"overrides": {"a": {"b": "file:x"}}}), "npm:file:x"),
        (json!({"workspaces": ["own", "packages/*"]}), ""),
        (
            json!({"workspaces": {"packages": ["../outside"]}}),
            "npm:../outside",
        ),
        (json!({"workspaces": ["/tmp/x"]}), "npm:/tmp/x"),
        (json!({"workspaces": ["{.,..}/x"]}), "npm:{.,..}/x"),
    ] {
        let (_, found) = read(&manifest, &link).unwrap();
        assert_eq!(found.join(" "), unknown, "{manifest}");
    }
    for manifest in [
        json!({"dependencies": ["a@file:x"]}),
        json!({"dependencies": "a file:x"}),
        json!({"dependencies": {"a": 1}}),
        json!([]),
    ] {
        assert!(read(&manifest, &link).is_err(), "{manifest}");
    }
}
