//! What ended is published once, honestly, and whatever happens to the server.

use std::time::Duration;

use nix::sys::signal::Signal;
use rebuilder::artifact::Sha256;
use rebuilder::queue::Ending;
use serde_json::{Value, json};

use super::ask;
use super::seed::{Seed, Told, block_on};
use crate::queue::postgres::Postgres;
use crate::queue::service::{Service, wait_until};

fn told<'a>(version: &'a str, files: &'a [super::seed::File<'a>]) -> Told<'a> {
    Told {
        name: "chrony",
        version,
        files,
        declared: true,
        failed: None,
    }
}

fn get(service: &Service, path: &str) -> Value {
    ask(service, path, &[]).json()
}

fn total(service: &Service, what: &str) -> i64 {
    get(service, &format!("/api/v1/{what}?limit=1"))["total"]
        .as_i64()
        .unwrap()
}

#[apply(test)]
fn a_server_that_is_killed_publishes_each_build_once() {
    let mut service = Service::start(None, &["--public"]);
    service.end(Signal::SIGKILL);
    let jobs = 40;
    block_on(async {
        let seed = Seed::open(&service).await;
        for job in 0..jobs {
            let version = format!("4.3-{job}");
            seed.run(
                &told(
                    &version,
                    &[("chrony", "amd64", job % 2 == 0), ("chrony-doc", "all", true)],
                ),
                false,
            )
            .await;
        }
    });
    for pause in [0, 40, 90, 150, 220] {
        service.up();
        std::thread::sleep(Duration::from_millis(pause));
        service.end(Signal::SIGKILL);
    }
    service.up();
    wait_until("all is published", Duration::from_mins(1), || {
        total(&service, "builds") == jobs
    });
    assert_eq!(total(&service, "packages/binary"), 2 * jobs);
    // Its figures are counted now and then.
    let counted = json!({"good": jobs / 2, "bad": jobs / 2, "fail": 0, "unknown": 0});
    wait_until("all is counted", Duration::from_mins(1), || {
        get(&service, "/api/v1/dashboard")["rebuilds"] == counted
    });
}

#[apply(test)]
fn the_newest_conclusion_is_shown_and_only_what_was_signed_counts() {
    newest_conclusions(None);
}

#[apply(test)]
fn the_newest_conclusion_is_shown_on_postgresql() {
    let postgres = Postgres::start();
    newest_conclusions(Some(postgres.url()));
}

/// What is shown of a package is the newest build that concluded something, and what a signer has not signed counts for
/// nothing.
fn newest_conclusions(url: Option<String>) {
    let service = Service::start(url, &["--public"]);
    let file: &[super::seed::File<'_>] = &[("chrony", "amd64", true)];
    let shown = |number: i64| {
        wait_until("it is published", Duration::from_secs(20), || {
            total(&service, "builds") == number
        });
        let found = get(&service, "/api/v1/packages/binary?name=chrony");
        assert_eq!(found["total"], 1, "{found}");
        let record = &found["records"][0];
        (
            record["build_id"].as_i64().unwrap(),
            record["status"].as_str().unwrap().to_owned(),
        )
    };
    let run =
        |files, sign| block_on(async { Seed::open(&service).await.run(&told("4.3-1", files), sign).await });
    let job = run(file, true);
    assert_eq!(shown(1), (job, "UNKWN".into()));
    block_on(async {
        Seed::open(&service)
            .await
            .signer(job, "signed", &["chrony_4.3-1_amd64.deb"])
            .await
    });
    wait_until("it counts", Duration::from_secs(20), || {
        shown(1) == (job, "GOOD".into())
    });
    // A worker that was lost says nothing of the package.
    let lost = Ending::Verdict {
        verdict: "inconclusive".into(),
        reason: Some("its worker was lost at the last attempt".into()),
        run: None,
        sign: false,
    };
    let subject = super::seed::purl("chrony", "4.3-1", "amd64");
    block_on(async { Seed::open(&service).await.ended(&subject, lost).await });
    assert_eq!(shown(2), (job, "GOOD".into()));
    let worse = run(&[("chrony", "amd64", false)], false);
    assert_eq!(shown(3), (worse, "BAD".into()));
    let refused = run(file, true);
    block_on(async { Seed::open(&service).await.signer(refused, "refused", &[]).await });
    wait_until("the refusal is told", Duration::from_secs(20), || {
        shown(4) == (refused, "UNKWN".into())
    });
}

/// A worker's word for a verdict is worth nothing: it follows from the record, and the record from the plan.
#[apply(test)]
fn documents_that_do_not_fit_are_never_good() {
    let service = Service::start(None, &["--public"]);
    block_on(async {
        let seed = Seed::open(&service).await;
        let told = told("4.3-1", &[("chrony", "amd64", false)]);
        let plan = super::seed::plan(&told);
        let honest = super::seed::record(&told, &plan);
        let mut lies = honest.clone();
        lies.verdict = rebuilder::run::Verdict::Reproduced;
        let mut another = honest.clone();
        another.plan = Sha256::of("another");
        let mut missing = seed.files(&plan, &honest).await;
        missing[1].sha256 = Sha256::of("what nobody handed in");
        let mut all = Vec::new();
        for record in [&lies, &another] {
            all.push(seed.files(&plan, record).await);
        }
        all.push(missing);
        for files in all {
            let end = Ending::Verdict {
                verdict: "reproduced".into(),
                reason: None,
                run: Some(serde_json::to_string(&files).unwrap()),
                sign: false,
            };
            seed.ended(&plan.subject, end).await;
        }
    });
    wait_until("all is published", Duration::from_secs(20), || {
        total(&service, "builds") == 3
    });
    let builds = get(&service, "/api/v1/builds");
    for build in builds["records"].as_array().unwrap() {
        assert_eq!(build["status"], "UNKWN", "{build}");
    }
    assert_eq!(total(&service, "packages/binary"), 0);
}
