//! Fixed runs and what is stated of them, byte by byte: statements are published, and their form is a promise.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::log::Anchor;
use super::predicate::OwnPredicate;
use super::{Agreeing, Named, SignerInfo, VerifiedRun, Vouched, equivalence, statement};
use crate::artifact::Sha256;
use crate::evidence::statement::Statement;
use crate::plan::Plan;
use crate::run::Record;

const NAMES: [&str; 2] = ["tool-1.0.tar.gz", "tool-1.0-doc.tar.gz"];

fn file(name: &str) -> Value {
    json!({"name": name, "urls": [format!("https://example.org/{name}")], "sha256": Sha256::of(name), "size": 8})
}

fn plan(container: &Value) -> Plan {
    let expected: Vec<_> = NAMES
        .iter()
        .map(|name| json!({"purl": format!("pkg:generic/tool@1.0?file_name={name}"), "file": file(name)}))
        .collect();
    let plan = json!({
        "version": 1, "subject": "pkg:generic/tool@1.0", "ecosystem": "debian", "claims": [],
        "policy": {"policy": "built-in", "checks": [{"rule": "nothing speaks against it", "kept": true, "finding": "nothing does"}]},
        "expected": expected,
        "not_compared": [],
        "container": container,
        "inputs": [
            {"role": "source", "place": "source/tool.tar.gz", "file": file("tool.tar.gz")},
            {"role": "dependency", "purl": "pkg:deb/debian/make@4", "place": "dependencies/make.deb", "file": file("make.deb")}
        ],
        "git": [
            {"place": "git/tool", "source": {"repository": "https://example.org/tool", "ref": "refs/tags/v1", "commit": "5995008213440709027a5666064bfdaba715df00"}, "submodules": true, "archive": Sha256::of("archive")},
            {"place": "git/other", "source": {"repository": "https://example.org/other"}, "submodules": false}
        ],
        "files": [{"place": "files/build.sh", "text": "make\n"}],
        "setup": {"env": {}, "steps": []}, "build": {"env": {}, "steps": []},
        "hostname": "h", "umask": 18,
        "limits": {"seconds": 60, "memory": 1_u64 << 30, "disk": 1_u64 << 30, "pids": 100, "cpus": 1},
        "assumptions": [
            {"what": "SOURCE_DATE_EPOCH", "value": "1", "origin": {"inferred": "the changelog"}},
            {"what": "build path", "value": "/build", "origin": {"convention": "the distribution's"}}
        ]
    });
    serde_json::from_value(plan).unwrap()
}

fn image() -> Value {
    json!({"image": {"repository": "docker.io/library/debian", "digest": "0".repeat(64)}})
}

fn packages() -> Value {
    json!({"name": "bookworm", "lock": {
        "version": 1, "epoch": 1, "tree": Sha256::of("tree"), "releases": [],
        "archives": [{"bases": ["https://example.org/debian"]}],
        "packages": [{"name": "libc6", "version": "2.36", "arch": "amd64", "size": 3, "sha256": Sha256::of("libc6"), "path": "pool/libc6_2.36_amd64.deb", "archive": 0}]
    }})
}

/// The outputs of a run that ended so.
fn outputs(verdict: &str) -> Vec<Value> {
    let output = |name: &str, released: Option<Sha256>, rebuilt: Option<Sha256>, differs: Value| json!({"name": name, "released": released, "rebuilt": rebuilt, "sizes": [8, 8], "differs": differs});
    let equivalent = |name: &str| {
        let (released, rebuilt) = (Sha256::of(name), Sha256::of(format!("rebuilt {name}")));
        let differs = json!({
            "version": 1, "outcome": "equivalent",
            "released": {"name": name, "size": 8, "sha256": released},
            "rebuilt": {"name": name, "size": 8, "sha256": rebuilt},
            "causes": [], "limits": [], "tree": null,
            "normalisations": [{"name": "tar-time", "version": 1, "places": 3}]
        });
        output(name, Some(released), Some(rebuilt), differs)
    };
    let same = |name: &str| {
        let digest = Some(Sha256::of(name));
        output(name, digest, digest, Value::Null)
    };
    let [first, second] = NAMES;
    match verdict {
        "equivalent" => vec![equivalent(first), same(second)],
        "both equivalent" => vec![equivalent(first), equivalent(second)],
        "mismatch" => vec![
            same(first),
            output(second, Some(Sha256::of(second)), None, Value::Null),
            output("extra", None, Some(Sha256::of("extra")), Value::Null),
        ],
        "extra" => vec![
            same(first),
            same(second),
            output("extra", None, Some(Sha256::of("extra")), Value::Null),
        ],
        _ => vec![same(first), same(second)],
    }
}

/// A run that ended so; `verdict` is one of those that [`outputs`] knows.
pub(crate) fn run(verdict: &str, in_image: bool) -> VerifiedRun {
    let plan = plan(&if in_image { image() } else { packages() });
    let word = match verdict {
        "both equivalent" => "equivalent",
        "extra" => "mismatch",
        other => other,
    };
    let record = json!({
        "version": 1, "id": "20260101T000000000Z-0123456789ab", "subject": plan.subject, "verdict": word,
        "plan": Sha256::of("plan"), "evidence": "verified",
        "outputs": outputs(verdict),
        "not_compared": [], "backend": "embedded", "not_enforced": ["disk"],
        "attempts": [
            {"number": 1, "plan": Sha256::of("first plan"), "ended": "it failed\u{1b}[2J", "places": 0, "seconds": 1.0, "chosen": false},
            {"number": 2, "because": "the first one failed", "ended": word, "places": 2, "seconds": 1.5, "chosen": true}
        ],
        "log": Sha256::of("built\n"), "rebuilder": "0.0.9",
        "started": "2026-01-01T00:00:00.5Z", "finished": "2026-01-01T00:01:00Z",
        "timings": {"prepare": 0.5, "setup": 0.0, "build": 0.25, "compare": 0.0, "total": 1.0}
    });
    let record: Record = serde_json::from_value(record).unwrap();
    VerifiedRun {
        record,
        plan,
        digest: Sha256::of("record"),
        report: Sha256::of("report"),
    }
}

/// What the signer says of itself: of a run of its own, or of another user's.
pub(crate) fn info(is_others: bool) -> SignerInfo {
    let named = |by, name: Option<&str>, uri: Option<&str>| Named {
        by,
        name: name.map(str::to_owned),
        uri: uri.map(str::to_owned),
    };
    let vouched = Vouched {
        policy: serde_json::from_value(
            json!({"policy": "own.toml", "digest": Sha256::of("policy"), "checks": []}),
        )
        .unwrap(),
        recipe: ("c-make".into(), Sha256::of("recipe")),
        container: "catalogue",
        inputs: BTreeMap::from([
            (
                "source/tool.tar.gz".into(),
                named(
                    "registry",
                    Some("tool.orig.tar.gz"),
                    Some("https://example.net/tool"),
                ),
            ),
            ("git/tool".into(), named("provenance", None, None)),
        ]),
        stated: BTreeMap::from([("hostname".into(), "h".into())]),
        signed_on: "2026-01-02T00:00:00Z".parse().unwrap(),
        agreement: vec![
            Agreeing {
                plan: Sha256::of("other plan"),
                differing: Some((0..102).map(|number| format!("value {number}")).collect()),
            },
            Agreeing {
                plan: Sha256::of("third plan"),
                differing: None,
            },
        ],
    };
    SignerInfo {
        builder_id: "https://example.com/rebuilder".into(),
        host: (!is_others).then(|| "host1".to_owned()),
        log: Anchor {
            sequence: 7,
            previous: Sha256::of("line"),
        },
        workers: if is_others { 2 } else { 0 },
        vouched: is_others.then_some(vouched),
    }
}

/// The bytes that are signed, with the version of this tool taken out, and the same to read.
pub(crate) fn shown(statement: Option<&Value>) -> String {
    let Some(statement) = statement else {
        return "no statement".into();
    };
    let own = format!("\"{}\"", env!("CARGO_PKG_VERSION"));
    let bytes = serde_json::to_string(statement).unwrap().replace(&own, "\"OWN\"");
    let again: Value = serde_json::from_str(&bytes).unwrap();
    format!("sha256:{}\n{again:#}", Sha256::of(bytes))
}

#[test]
fn what_is_signed_keeps_its_form() {
    for verdict in ["reproduced", "equivalent", "both equivalent", "mismatch", "extra"] {
        for is_others in [false, true] {
            let (run, info) = (run(verdict, is_others), info(is_others));
            let whose = if is_others { "others" } else { "own" };
            let name = format!("{}_{whose}", verdict.replace(' ', "_"));
            insta::assert_snapshot!(name.clone(), shown(statement(&run, &info).unwrap().as_ref()));
            if run.record.verdict == crate::run::Verdict::Equivalent {
                insta::assert_snapshot!(
                    format!("{name}_equivalence"),
                    shown(equivalence(&run, &info).unwrap().as_ref())
                );
            }
        }
    }
}

/// What is signed in other forms: links are for readers that know no newer one, and the result's form is proposed.
#[test]
fn other_forms_keep_their_form_too() {
    for verdict in ["reproduced", "equivalent", "mismatch", "extra"] {
        for is_others in [false, true] {
            let (run, info) = (run(verdict, is_others), info(is_others));
            let whose = if is_others { "others" } else { "own" };
            let stated = super::result::result(&run, &info).unwrap();
            insta::assert_snapshot!(format!("{verdict}_{whose}_result"), shown(Some(&stated)));
            let own = OwnPredicate::exactly(&parsed(&stated)).unwrap().unwrap();
            assert_eq!(own.signing_log(), Some(info.log));
            let OwnPredicate::Result(own) = own else {
                panic!("{own:?}")
            };
            assert_eq!(own.contradiction(), None, "{verdict}");
            match super::link::links(&run, &info) {
                Ok(links) => {
                    assert_eq!(verdict, "reproduced");
                    let texts = links
                        .values()
                        .map(|link| String::from_utf8(link.bytes.clone()).unwrap());
                    let texts: Vec<_> = texts.collect();
                    insta::assert_snapshot!(format!("{verdict}_{whose}_links"), texts.join("\n"));
                }
                Err(error) => {
                    assert_ne!(verdict, "reproduced");
                    assert!(
                        error.to_string().starts_with("cannot write an in-toto link"),
                        "{error}"
                    );
                }
            }
        }
    }
}

fn parsed(statement: &Value) -> Statement {
    Statement::parse(statement.to_string().as_bytes()).unwrap()
}

#[test]
fn what_is_signed_is_read_again_whole() {
    for verdict in ["reproduced", "equivalent", "both equivalent", "mismatch", "extra"] {
        for is_others in [false, true] {
            let (run, info) = (run(verdict, is_others), info(is_others));
            let signed = statement(&run, &info).unwrap().unwrap();
            let own = OwnPredicate::exactly(&parsed(&signed)).unwrap().unwrap();
            assert_eq!(own.signing_log(), Some(info.log), "{verdict}");
            assert_eq!(own.agreeing_workers(), Some(info.workers), "{verdict}");
            if let Some(signed) = equivalence(&run, &info).unwrap() {
                let own = OwnPredicate::exactly(&parsed(&signed)).unwrap();
                assert!(matches!(own, Some(OwnPredicate::Equivalence(_))), "{own:?}");
            }
        }
    }
}

#[test]
fn another_spelling_is_read_and_not_taken_for_exact() {
    let signed = statement(&run("reproduced", true), &info(false))
        .unwrap()
        .unwrap();
    let plan = "/predicate/buildDefinition/internalParameters";
    for (place, value, is_exact) in [
        (
            "/attempts/0/plan",
            json!(Sha256::of("x").to_hex().to_uppercase()),
            false,
        ),
        ("/signingLog/sequence", json!(8), true),
        ("/laterVersion", json!({"a": 1}), true),
        ("/host", Value::Null, true),
    ] {
        let mut changed = signed.clone();
        let (parent, name) = place.rsplit_once('/').unwrap();
        changed.pointer_mut(&format!("{plan}{parent}")).unwrap()[name] = value;
        let changed = parsed(&changed);
        assert!(OwnPredicate::read(&changed).unwrap().is_some(), "{place}");
        assert_eq!(OwnPredicate::exactly(&changed).is_ok(), is_exact, "{place}");
    }
}
