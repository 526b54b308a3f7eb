//! The attack suite: everything that an outsider controls, tried against the real program.
//!
//! One module for each place that an attacker may hold, one [`Case`] for each thing tried there. Every case runs as
//! root and as an ordinary user, and where a build takes part, under every backend that works here. A case ends
//! well if the attack had no effect; all of them run before the count is printed, so one break hides no other.

pub mod ground;

mod address;
mod after;
mod build;
mod bundle;
mod engine;
mod root;
mod signer;
mod store;
mod text;

use crate::common::{self, DOCKER, NETWORK, ORDINARY_USER, ROOT, SANDBOX, needs};
use crate::harness::skip_by_hand;

use ground::{Ground, Who};

/// One thing that an attacker tries.
pub struct Case {
    /// What is tried, as a phrase that follows "an attacker can …".
    pub name: &'static str,
    /// Whether a build runs in it, so that every backend must hold.
    pub builds: bool,
    /// Tries it; says what the attacker gained, if anything.
    pub run: fn(&Ground) -> Result<(), String>,
}

const GROUPS: &[(&str, &[Case])] = &[
    ("a hostile root or layer", root::CASES),
    ("a hostile build", build::CASES),
    ("another run, or a local user, at the store", store::CASES),
    ("a build that goes on after its end", after::CASES),
    ("a hostile index, lock file or provenance", address::CASES),
    ("a hostile bundle or signature", bundle::CASES),
    ("a hostile worker or user at the signer", signer::CASES),
    ("text from outside", text::CASES),
    ("others on one engine", engine::CASES),
];

/// Runs every case for one user and backend; `REBUILDER_ATTACK` names the only ones to run, by a part of their name.
fn suite(who: Who, backend: &'static str, engine: Option<&str>) {
    let only = std::env::var("REBUILDER_ATTACK").unwrap_or_default();
    // What no backend takes part in runs once for each user.
    let all = backend == "embedded";
    let (mut count, mut broken) = (0, Vec::new());
    for (attacker, cases) in GROUPS {
        for case in cases
            .iter()
            .filter(|case| (all || case.builds) && case.name.contains(&only))
        {
            let ground = Ground::new(who, backend).on(engine);
            count += 1;
            let begun = std::time::Instant::now();
            // One case that breaks in an unforeseen way hides no other.
            let run = std::panic::AssertUnwindSafe(|| (case.run)(&ground));
            let result =
                std::panic::catch_unwind(run).unwrap_or_else(|_| Err("the case itself panicked".into()));
            println!(
                "{:6.1}s {attacker} can {}: {result:?}",
                begun.elapsed().as_secs_f32(),
                case.name
            );
            if let Err(gained) = result {
                broken.push(format!("{attacker} can {}: {gained}", case.name));
            }
        }
    }
    println!(
        "attack suite, {who:?}, {backend} {}: {count} cases, {} broken",
        engine.unwrap_or_default(),
        broken.len()
    );
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[apply(test)]
fn as_root_on_namespaces() {
    needs(&[NETWORK, SANDBOX, ROOT]);
    suite(Who::Root, "embedded", None);
}

#[apply(test)]
fn as_an_ordinary_user_on_namespaces() {
    needs(&[NETWORK, SANDBOX, ORDINARY_USER]);
    suite(Who::User, "embedded", None);
}

#[apply(test)]
fn as_root_on_docker() {
    needs(&[NETWORK, SANDBOX, ROOT, DOCKER]);
    suite(Who::Root, "docker", None);
}

#[apply(test)]
fn as_root_on_podman() {
    if std::env::var_os("REBUILDER_ATTACK").is_none() {
        skip_by_hand(
            "REBUILDER_ATTACK, which names the attacks; root on Docker and a user on Podman try the same",
        );
    }
    needs(&[NETWORK, SANDBOX, ROOT]);
    let engine = common::podman("REBUILDER_TEST_PODMAN_HOST");
    suite(Who::Root, "docker", Some(&engine));
}

#[apply(test)]
fn as_an_ordinary_user_on_podman() {
    needs(&[NETWORK, SANDBOX, ORDINARY_USER]);
    let engine = common::podman("REBUILDER_TEST_USERS_PODMAN_HOST");
    suite(Who::User, "docker", Some(&engine));
}
