//! Layouts in the place of links, steps that give out nothing, and what of in-toto is not supported.

use rcgen::KeyPair;
use serde_json::{Value, json};

use super::cosign::key;
use super::layouts::{Project, broken, canonical, digest, enveloped, link};
use crate::common::{code, json, text};

fn of(public: &str) -> Value {
    json!({"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": public, "private": ""}})
}

fn step(name: &str, key: &str, materials: Value, products: Value) -> Value {
    json!({"_type": "step", "name": name, "pubkeys": [key], "threshold": 1, "expected_command": [],
           "expected_materials": materials, "expected_products": products})
}

/// Whoever packs has others compile and bundle.
struct Delegated {
    project: Project,
    compiler: KeyPair,
    bundler: KeyPair,
    layout: Value,
}

impl Delegated {
    fn new() -> Self {
        let ((compiler, compilers), (bundler, bundlers)) = (key(), key());
        let compiled = json!([
            ["MATCH", "*.o", "WITH", "PRODUCTS", "FROM", "compile"],
            ["DISALLOW", "*"]
        ]);
        let layout = json!({
            "_type": "layout", "expires": "2999-01-01T00:00:00Z", "readme": "", "inspect": [],
            "keys": {"c": of(&compilers), "b": of(&bundlers)},
            "steps": [
                step("compile", "c", json!([["ALLOW", "foo.[ch]"], ["DISALLOW", "*"]]), json!([["CREATE", "foo.?"], ["DISALLOW", "*"]])),
                step("bundle", "b", compiled, json!([["CREATE", "tool"], ["DISALLOW", "*"]])),
            ],
        });
        Self {
            project: Project::new(),
            compiler,
            bundler,
            layout,
        }
    }

    fn compile(&self) -> Value {
        link(
            "compile",
            json!({"foo.c": digest("aa")}),
            json!({"foo.o": digest("bb")}),
        )
    }

    fn bundle(&self) -> Value {
        let tool = digest(&self.project.scene.sha256);
        link("bundle", json!({"foo.o": digest("bb")}), json!({"tool": tool}))
    }
}

/// One row a line, so that it reads as a table.
#[rustfmt::skip]
#[apply(test)]
fn layouts_in_the_place_of_links_are_held_against_the_evidence_too() {
    let it = Delegated::new();
    let project = &it.project;
    let (owner, writer, packer) = (&project.owner, &project.writer, &project.packer);
    let whole = canonical(&project.layout, owner);
    let [write, pack] = project.links();
    let write = canonical(&write, writer);
    let (compile, bundle) = (canonical(&it.compile(), &it.compiler), enveloped(&it.bundle(), &it.bundler));
    let with = |value: &Value, place: &str, new: Value| {
        let mut value = value.clone();
        *value.pointer_mut(place).unwrap() = new;
        value
    };
    let inspection = json!([{"_type": "inspection", "name": "untar", "run": ["tar"]}]);
    let own = |layout: &Value| canonical(layout, packer);
    let (good, expired) = (own(&it.layout), own(&with(&it.layout, "/expires", json!("2001-01-01T00:00:00Z"))));
    let other = canonical(&with(&it.compile(), "/products/foo.o/sha256", json!("cc")), &it.compiler);
    let foreign = canonical(&with(&it.compile(), "/materials/foo.c/sha256", json!("dd")), &it.compiler);
    let by_stranger = canonical(&it.compile(), &it.bundler);
    let skip = ", inspections = \"skip\"";
    for (what, evidence, more, words) in [
        ("followed", vec![&write, &good, &compile, &bundle], "", None),
        ("in an envelope", vec![&write, &enveloped(&it.layout, packer), &compile, &bundle], "", None),
        ("a step without a link", vec![&write, &good, &bundle], "", Some("layout of \"pack\": step \"compile\": 0 of 1 keys")),
        ("a step by another key", vec![&write, &good, &by_stranger, &bundle], "", Some("layout of \"pack\": step \"compile\": 0 of 1 keys")),
        ("by a key of another step", vec![&write, &canonical(&it.layout, writer), &compile, &bundle], "", Some("step \"pack\": 0 of 1 keys")),
        ("by nobody", vec![&write, &json!({"signed": it.layout, "signatures": []}), &compile, &bundle], "", Some("step \"pack\": 0 of 1 keys")),
        ("out of time", vec![&write, &expired, &compile, &bundle], "", Some("layout of \"pack\": expires")),
        ("other bytes between", vec![&write, &good, &other, &bundle], "", Some("layout of \"pack\": materials of \"bundle\"")),
        ("other bytes before", vec![&write, &good, &foreign, &bundle], "", Some("layout: materials of \"pack\"")),
        ("not at hand", vec![&write, &compile, &bundle], "", Some("step \"pack\": 0 of 1 keys")),
        ("with an inspection", vec![&write, &own(&with(&it.layout, "/inspect", inspection.clone())), &compile, &bundle], "", Some("layout of \"pack\": inspection \"untar\"")),
        ("without its inspection", vec![&write, &own(&with(&it.layout, "/inspect", inspection)), &compile, &bundle], skip, None),
        ("beside a link that says otherwise", vec![&write, &good, &compile, &bundle, &canonical(&pack, packer)], "", Some("name different files")),
        ("around itself", vec![&write, &own(&with(&it.layout, "/keys/b", project.layout["keys"]["p"].clone())), &compile, &bundle], "", Some("layout of \"pack\": step \"bundle\"")),
    ] {
        let evidence: Vec<Value> = evidence.into_iter().cloned().collect();
        let output = project.inspect(&whole, &evidence, more);
        let broken = broken(&output);
        match words {
            None => assert!(broken.is_empty() && code(&output) != 3, "{what}: {broken:?} {}", text(&output)),
            Some(words) => {
                assert_eq!(code(&output), 3, "{what}: {}", text(&output));
                assert!(broken.iter().any(|it| it.contains(words)), "{what}: {broken:?}");
            }
        }
    }
}

#[apply(test)]
fn a_step_may_give_out_nothing() {
    let mut project = Project::new();
    let (tester, testers) = key();
    project.layout["keys"]["t"] = of(&testers);
    let matched = json!([
        ["MATCH", "*", "WITH", "PRODUCTS", "FROM", "write"],
        ["DISALLOW", "*"]
    ]);
    let test = step("test", "t", matched, json!([["DISALLOW", "*"]]));
    project.layout["steps"].as_array_mut().unwrap().insert(1, test);
    let [write, pack] = project.links();
    let tested = |name: &str| link("test", json!({name: digest("aa")}), json!({}));
    for (name, kept) in [("foo.c", true), ("bar.c", false)] {
        let evidence = [
            canonical(&write, &project.writer),
            canonical(&tested(name), &tester),
            canonical(&pack, &project.packer),
        ];
        let output = project.inspect(&canonical(&project.layout, &project.owner), &evidence, "");
        assert_eq!(broken(&output).is_empty(), kept, "{name}: {}", text(&output));
    }
}

#[apply(test)]
fn what_of_in_toto_is_not_supported_is_said_and_proves_nothing() {
    let project = Project::new();
    let layout = canonical(&project.layout, &project.owner);
    let [write, pack] = project.links();
    let openpgp = |value: &Value| json!({"signed": value, "signatures": [{"keyid": "8465a1e2e0fb2b40adb2478e18fb3f537e0c8a17", "other_headers": "04000108", "signature": "00"}]});
    // A link that a stranger's OpenPGP key signed is no link of its step, and speaks against nothing.
    let evidence = [canonical(&write, &project.writer), openpgp(&pack)];
    let output = project.inspect(&layout, &evidence, "");
    assert_eq!(code(&output), 3, "{}", text(&output));
    assert!(
        broken(&output)
            .iter()
            .any(|it| it.contains("step \"pack\": 0 of 1 keys"))
    );
    let other = &json(&output)["other"];
    assert!(
        other
            .to_string()
            .contains("\\\"8465a1e2e0fb2b40adb2478e18fb3f537e0c8a17\\\", which is not trusted here")
    );
    let claims = other["claims"].as_array().unwrap();
    assert!(
        claims.iter().all(|claim| claim["standing"] != "refuted"),
        "{other}"
    );
    // Beside another signature it does no harm.
    let mut both = canonical(&pack, &project.packer);
    let more = openpgp(&pack)["signatures"][0].clone();
    both["signatures"].as_array_mut().unwrap().push(more);
    let output = project.inspect(&layout, &[canonical(&write, &project.writer), both], "");
    assert!(broken(&output).is_empty(), "{}", text(&output));
    // A layout that a stranger's OpenPGP key alone signed is signed by nobody, and one with a weak key is no policy.
    let output = project.inspect(&openpgp(&project.layout), &[], "");
    assert_eq!(code(&output), 3, "{}", text(&output));
    assert!(
        broken(&output)
            .iter()
            .any(|it| it.contains("it is not signed by owner"))
    );
    let mut with_key = project.layout.clone();
    with_key["keys"]["w"] = json!({"type": "rsa", "method": "pgp+rsa-pkcsv1.5", "hashes": ["pgp+SHA2"], "keyid": "w",
        "keyval": {"private": "", "public": {"e": "010001", "n": "00"}}});
    let output = project.inspect(&canonical(&with_key, &project.owner), &[], "");
    assert_eq!(code(&output), 2, "{}", text(&output));
    assert!(
        text(&output).contains("it has fewer than 2048 bits"),
        "{}",
        text(&output)
    );
}
