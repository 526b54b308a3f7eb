//! The regression alarm, night after night: packages that always reproduced, in an index of our own, with what may go
//! wrong planted into one release of each, while the network, the mirror and the worker are broken on purpose.
//!
//! `REBUILDER_REPLAY=30x10 cargo test --test it regression:: -- --nocapture` replays 300 versions of 30 packages, and
//! prints what each night found; by itself the test replays a few. Every version is released by the index, planned, and built
//! in the sandbox.

mod nights;

use std::fs;
use std::process::Command;

use base64::Engine as _;
use serde_json::{Value, json};

use crate::common::postgres::{POSTGRES, Postgres};
use crate::common::releases::{Plant, Tonight, move_tag};
use crate::common::{GIT, NETWORK, Need, SANDBOX, checked, code, needs, rebuilder, text, verifiers};
use nights::Nights;

const PYTHON: Need = Need {
    what: "python3",
    there: || Command::new("python3").arg("--version").output().is_ok(),
};

/// What is planted into the newest release of these, and what an alarm about it must name.
const PLANTED: [(&str, Plant, &str); 4] = [
    ("rbplantpoison", Plant::PoisonedSource, "__init__.py"),
    ("rbplantchange", Plant::ChangedFile, "__init__.py"),
    ("rbplantdrop", Plant::DroppedFile, "data.txt"),
    ("rbplantnoise", Plant::Noise, "stamp.py"),
];
/// The tag of its newest version is moved after that was reproduced.
const TAGGED: &str = "rbplanttag";

/// How much history there is: packages, and versions of each.
fn size() -> (usize, u8) {
    let asked = std::env::var("REBUILDER_REPLAY").ok();
    let size = asked.as_deref().and_then(|asked| {
        let (packages, versions) = asked.split_once('x')?;
        Some((packages.parse().ok()?, versions.parse().ok()?))
    });
    let (packages, versions) = size.unwrap_or((8, 4));
    assert!(packages >= 8 && (4..28).contains(&versions), "as 30x10");
    (packages, versions)
}

/// Subject, worth, rule, verdict of the control.
fn alarms(summary: &Value) -> Vec<[String; 4]> {
    let alarms = summary["alarms"].as_array().cloned().unwrap_or_default();
    let words = |alarm: &Value| {
        let verdict = &alarm["control"]["verdict"];
        let words = [
            &alarm["subject"],
            &alarm["worth"],
            &alarm["basis"]["rule"],
            verdict,
        ];
        words.map(|word| word.as_str().unwrap_or_default().to_owned())
    };
    let mut all: Vec<_> = alarms.iter().map(words).collect();
    all.sort();
    all
}

fn subject(name: &str, version: u8) -> String {
    format!("pypi:{name}==1.{version}")
}

fn replay(memory: &str, url: Option<String>) {
    let (packages, versions) = size();
    println!("{packages} packages with {versions} versions each, {memory}");
    let newest = versions - 1;
    let plain: Vec<String> = (PLANTED.len() + 1..packages)
        .map(|number| format!("rbplain{number:02}"))
        .collect();
    let planted = PLANTED.iter().map(|&(name, plant, _)| (name, plant));
    let names: Vec<(&str, Plant)> = planted
        .chain([(TAGGED, Plant::MovedTag)])
        .chain(plain.iter().map(|name| (name.as_str(), Plant::Nothing)))
        .collect();
    let mut all = Vec::new();
    for &(name, plant) in &names {
        for version in 0..versions {
            let sound = version < newest && plant != Plant::MovedTag;
            all.push((name, version, if sound { Plant::Nothing } else { plant }));
        }
    }
    let nights = Nights::new(&all, url);
    let new: Vec<String> = names.iter().map(|(name, _)| subject(name, newest)).collect();

    let old = all.iter().filter(|(_, version, _)| *version < newest);
    let list: Vec<String> = old.map(|(name, version, _)| subject(name, *version)).collect();
    let (code, summary) = nights.night("earlier versions", Tonight::Fine, &list, &[]);
    assert_eq!(
        (code, &summary["verdicts"]),
        (0, &json!({"reproduced": list.len()})),
        "{summary}"
    );
    everything_breaks(&nights, &new, &plain);
    the_planted_are_found(&nights, &new, &plain, newest);
    a_tag_is_moved(&nights, &subject(TAGGED, newest));
    println!(
        "{} versions of {packages} packages: {} alarms, 0 of them false",
        all.len(),
        nights.told().len()
    );
}

/// Nobody is told anything while the network is away, the index lies or the worker dies.
fn everything_breaks(nights: &Nights, new: &[String], plain: &[String]) {
    let again = ["--again=inconclusive"];
    for (about, broken) in [
        ("the network is away", Tonight::Down),
        ("answers are cut short", Tonight::CutsShort),
    ] {
        let (code, summary) = nights.night(about, broken, new, &again);
        assert_eq!(
            (code, &summary["verdicts"]),
            (4, &json!({"inconclusive": new.len()})),
            "{summary}"
        );
        assert_eq!(
            (&summary["alarms"], &summary["withheld"]),
            (&Value::Null, &Value::Null)
        );
    }
    // It lies about good versions as well: what is rebuilt as a control is not good, so nothing is the packages' fault.
    let is_of = |subject: &String, name: &str| subject.starts_with(&format!("pypi:{name}=="));
    let lied_about = [PLANTED[0].0, &plain[0], &plain[1]];
    let some: Vec<String> = new
        .iter()
        .filter(|subject| lied_about.iter().any(|name| is_of(subject, name)))
        .cloned()
        .collect();
    let (code, summary) = nights.night("the index lies", Tonight::Lies, &some, &again);
    assert_eq!(
        (code, &summary["verdicts"]),
        (1, &json!({"not-reproduced": 3})),
        "{summary}"
    );
    assert_eq!(alarms(&summary), [] as [[String; 4]; 0], "{summary}");
    assert_eq!(summary["withheld"].as_array().unwrap().len(), 3, "{summary}");
    for _ in 0..2 {
        nights.killed(new, &again);
    }
    assert_eq!(nights.told(), [] as [Value; 0]);
}

/// All is well again: what is planted is named once, and what the lies were about is taken back.
fn the_planted_are_found(nights: &Nights, new: &[String], plain: &[String], newest: u8) {
    let (code, summary) = nights.night("all is well", Tonight::Fine, new, &["--again=inconclusive"]);
    assert_eq!(code, 1, "{summary}");
    let mut expected: Vec<_> = PLANTED
        .iter()
        .map(|(name, ..)| {
            let [worth, rule, control] = ["confirmed", "earlier-versions", "reproduced"].map(str::to_owned);
            [subject(name, newest), worth, rule, control]
        })
        .collect();
    expected.sort();
    assert_eq!(alarms(&summary), expected, "{summary}");
    let taken_back = summary["taken_back"].as_array().unwrap();
    let taken_back: Vec<_> = taken_back.iter().map(|it| &it["subject"]).collect();
    assert_eq!(
        taken_back,
        [&subject(&plain[0], newest), &subject(&plain[1], newest)]
    );
    assert_eq!(
        summary["verdicts"],
        json!({"not-reproduced": PLANTED.len(), "reproduced": new.len() - PLANTED.len()}),
        "{summary}"
    );
    // What changed since the last good version.
    for (name, plant, place) in PLANTED {
        let raised = summary["alarms"].as_array().unwrap();
        let alarm = raised
            .iter()
            .find(|alarm| alarm["subject"] == subject(name, newest))
            .unwrap();
        assert_eq!(alarm["control"]["subject"], subject(name, newest - 1));
        let (files, sources) = (
            alarm["changed"]["files"].to_string(),
            &alarm["changed"]["sources"],
        );
        assert!(files.contains(&format!("{name}/{place}")), "{files}");
        let varies = alarm["nondeterministic"] == true;
        assert_eq!(varies, plant == Plant::Noise, "{alarm}");
        let (was, is) = (&sources[0]["was"], &sources[0]["is"]);
        assert!(
            was.to_string()
                .contains(&format!("{name}-1.{}.tar.gz", newest - 1))
        );
        assert!(is.to_string().contains(&format!("{name}-1.{newest}.tar.gz")));
    }
    for alarm in summary["alarms"].as_array().unwrap() {
        is_signed_statement(nights, &summary, alarm);
    }
    // Everybody was told, once.
    let mut heard: Vec<_> = nights
        .told()
        .iter()
        .map(|alarm| alarm["subject"].to_string())
        .collect();
    assert_eq!(heard.len(), PLANTED.len());
    heard.sort();
    heard.dedup();
    assert_eq!(heard.len(), PLANTED.len());
    let requests = nights.receiver.requests();
    assert_eq!(requests.len(), PLANTED.len());
    let is_signed = |it: &String| it.to_lowercase().contains("x-rebuilder-signature: sha256=");
    assert!(requests.iter().all(is_signed));
    let feed = fs::read_to_string(nights.at("feed.xml")).unwrap();
    assert_eq!(feed.matches("<entry>").count(), PLANTED.len(), "{feed}");
}

/// An alarm is a statement that others can verify with the key: about the released bytes, and as it was told.
fn is_signed_statement(nights: &Nights, summary: &Value, alarm: &Value) {
    let results = summary["results"].as_array().unwrap();
    let result = results
        .iter()
        .find(|it| it["subject"] == alarm["subject"])
        .unwrap();
    let bundle = &alarm["attestation"];
    assert!(bundle.is_object(), "{alarm}");
    let (file, public) = (nights.at("alarm.sigstore.json"), nights.at("keys/key.pem.pub"));
    fs::write(&file, bundle.to_string()).unwrap();
    let mut key = rebuilder();
    let key = key
        .args(["key", "public", "--key", &nights.at("keys/key.pem")])
        .output();
    fs::write(&public, key.unwrap().stdout).unwrap();
    let payload = bundle["dsseEnvelope"]["payload"].as_str().unwrap();
    let payload = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
    let statement = checked(serde_json::from_slice(&payload).unwrap());
    // What is stated is what is told, without the statement itself.
    let mut told = alarm.clone();
    told.as_object_mut().unwrap().remove("attestation");
    assert_eq!(statement["predicate"]["stated"], told);
    let verdict = &statement["predicate"]["run"]["verdict"];
    assert_eq!(
        (verdict, &alarm["verdict"]),
        (&result["verdict"], &result["verdict"])
    );
    // Strangers' verifiers accept it.
    for mut verifier in verifiers() {
        let said = verifier.arg(&file).arg(&public).output().unwrap();
        assert_eq!(code(&said), 0, "{}", text(&said));
    }
    // It is about the released bytes. This program finds its signature good, and relies on no warning.
    let name = statement["subject"][0]["name"].as_str().unwrap();
    let released = nights.releases.lock().unwrap().file(name);
    let digest = rebuilder::artifact::Sha256::of(&released).to_hex();
    assert_eq!(statement["subject"][0]["digest"]["sha256"], digest);
    let place = nights.at(name);
    fs::write(&place, &released).unwrap();
    let mut inspect = rebuilder();
    inspect.args(["inspect", &place, "--provenance", &file, "--trusted-key", &public]);
    let output = inspect.output().unwrap();
    assert_eq!(code(&output), 4, "{}", text(&output));
    assert!(
        text(&output).contains("the signature is good"),
        "{}",
        text(&output)
    );
}

/// The source of a version that was good is another one: what got worse comes first, with an exit code of its own.
fn a_tag_is_moved(nights: &Nights, tagged: &String) {
    let version = tagged.split_once("==").unwrap().1;
    move_tag(nights.folder.path(), TAGGED, version);
    let list = [tagged.clone()];
    let (code, summary) = nights.night("a tag is moved", Tonight::Fine, &list, &["--again"]);
    assert_eq!(code, 6, "{summary}");
    assert_eq!(summary["regressed"][0]["subject"], *tagged);
    let [worth, rule, control] = ["confirmed", "same-version", "reproduced"].map(str::to_owned);
    assert_eq!(
        alarms(&summary),
        [[tagged.clone(), worth, rule, control]],
        "{summary}"
    );
    let changed = &summary["alarms"][0]["changed"];
    assert!(
        changed["sources"][0]["what"]
            .as_str()
            .unwrap()
            .starts_with("git at "),
        "{changed}"
    );
    assert_ne!(changed["sources"][0]["was"], changed["sources"][0]["is"]);
    // It is told once, however often it is found again.
    let (_, summary) = nights.night("the same once more", Tonight::Fine, &list, &[]);
    assert_eq!(summary["alarms"], Value::Null);
    assert_eq!(nights.told().len(), PLANTED.len() + 1);
}

#[apply(test)]
fn what_always_reproduced_and_now_does_not_is_told_and_nothing_else_on_sqlite() {
    needs(&[NETWORK, SANDBOX, PYTHON, GIT]);
    replay("SQLite", None);
}

#[apply(test)]
fn what_always_reproduced_and_now_does_not_is_told_and_nothing_else_on_postgresql() {
    needs(&[NETWORK, SANDBOX, PYTHON, GIT, POSTGRES]);
    let server = Postgres::start();
    replay("PostgreSQL", Some(server.url()));
}
