//! The rules of the queue, each on SQLite and on PostgreSQL.

mod desk;
mod leases;

use std::collections::BTreeSet;
use std::time::Duration;

use rebuilder::artifact::Sha256;
use rebuilder::memory::Memory;
use rebuilder::queue::wire::{Resources, Task};
use rebuilder::queue::{Ending, Enqueued, NewJob, Queue, Scope};
use rebuilder::store::Store;

use super::postgres::Postgres;
use desk::{Desk, LEASE, claimant, probe, verdict};
use leases::{
    a_job_given_back_again_and_again_ends, a_job_given_back_costs_no_attempt,
    a_lost_job_goes_first_again_and_poison_ends, a_running_job_is_cancelled_at_the_next_heartbeat,
    after_an_outage_leases_hold, only_who_holds_the_lease_is_heard_and_a_repeat_is_told_the_same,
    what_failed_goes_behind_the_others, what_fails_waits_and_then_is_a_dead_letter,
};

/// A lease that is over before the next statement.
const OVER: Duration = Duration::ZERO;

type Ruling = std::pin::Pin<Box<dyn Future<Output = ()>>>;
type Rule = (&'static str, fn(Desk) -> Ruling);

macro_rules! rules {
    ($($name:ident),* $(,)?) => { [$((stringify!($name), |desk: Desk| -> Ruling { Box::pin($name(desk)) })),*] };
}

const RULES: [Rule; 19] = rules![
    the_line_is_kept_by_priority_and_audits_take_turns,
    a_job_that_waits_or_runs_is_not_added_again,
    what_the_newest_job_of_an_audit_concluded_is_settled,
    an_agreement_settles_a_subject_if_each_of_its_jobs_does,
    a_job_queued_again_does_not_make_its_agreement_the_newest,
    only_who_holds_the_lease_is_heard_and_a_repeat_is_told_the_same,
    a_lost_job_goes_first_again_and_poison_ends,
    what_fails_waits_and_then_is_a_dead_letter,
    a_running_job_is_cancelled_at_the_next_heartbeat,
    limits_hold_over_all_workers,
    jobs_go_where_they_fit,
    workers_that_agree_are_different_ones,
    a_job_given_back_costs_no_attempt,
    a_job_given_back_again_and_again_ends,
    what_failed_goes_behind_the_others,
    artifacts_without_a_name_are_forgotten,
    after_an_outage_leases_hold,
    runs_that_wait_are_due_again_once_one_is_signed,
    tokens_end,
];

fn run(url: Option<&str>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (name, rule) in RULES {
        println!("{name}");
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().join("store"))).unwrap();
        runtime.block_on(async {
            let memory = Memory::open(url, &store).await.unwrap();
            for table in [
                "queue_verdict",
                "queue_job",
                "queue_limit",
                "queue_token",
                "queue_artifact",
                "queue_sent",
            ] {
                let empty = sqlx::AssertSqlSafe(format!("DELETE FROM {table}"));
                sqlx::query(empty).execute(memory.write()).await.unwrap();
            }
            rule(Desk(Queue::new(memory.clone()))).await;
            memory.close().await;
        });
    }
}

#[apply(test)]
fn the_rules_hold_on_sqlite() {
    run(None);
}

#[apply(test)]
fn the_rules_hold_on_postgresql() {
    let postgres = Postgres::start();
    run(Some(&postgres.url()));
}

async fn the_line_is_kept_by_priority_and_audits_take_turns(desk: Desk) {
    let long: Vec<_> = (1..=6).map(|number| probe(number, "a", "long")).collect();
    desk.0.enqueue(&long).await.unwrap();
    // Two of the long line are done when a short one comes.
    for expected in [1, 2] {
        let (number, lease) = desk.claim("w", 1).await[0];
        assert_eq!(number, expected);
        desk.end("w", lease, verdict("probed")).await;
    }
    let urgent = NewJob {
        priority: 5,
        ..probe(30, "a", "long")
    };
    let later = NewJob {
        delay: Duration::from_mins(10),
        ..probe(40, "a", "short")
    };
    desk.0
        .enqueue(&[probe(20, "a", "short"), probe(21, "a", "short"), later, urgent])
        .await
        .unwrap();
    assert_eq!(desk.order("w").await, [30, 3, 20, 4, 21, 5, 6]);
}

async fn a_job_that_waits_or_runs_is_not_added_again(desk: Desk) {
    let enqueued = |added, known| Enqueued {
        added,
        known,
        settled: 0,
    };
    let both = [probe(1, "a", "x"), probe(2, "a", "x")];
    assert_eq!(desk.0.enqueue(&both).await.unwrap(), enqueued(2, 0));
    let lease = desk.claim("w", 1).await[0].1;
    let twice = NewJob {
        agree: 3,
        ..probe(3, "a", "x")
    };
    assert_eq!(desk.0.enqueue(&both).await.unwrap(), enqueued(0, 2));
    assert_eq!(
        desk.0.enqueue(std::slice::from_ref(&twice)).await.unwrap(),
        enqueued(3, 0)
    );
    assert_eq!(desk.0.enqueue(&[twice]).await.unwrap(), enqueued(0, 3));
    desk.end("w", lease, verdict("probed")).await;
    assert_eq!(desk.0.enqueue(&both).await.unwrap(), enqueued(1, 1));
}

/// A job that rebuilds.
fn rebuild(subject: &str, audit: &str) -> NewJob {
    let task = Task::Rebuild {
        subject: subject.to_owned(),
        attempts: None,
    };
    NewJob::new(task, "pypi", audit)
}

async fn what_the_newest_job_of_an_audit_concluded_is_settled(desk: Desk) {
    for (subject, audit, words) in [
        ("good", "a", &["inconclusive", "reproduced"][..]),
        ("bad", "a", &["mismatch"]),
        ("lost", "a", &["reproduced", "inconclusive"]),
        ("elsewhere", "b", &["reproduced"]),
    ] {
        for word in words {
            desk.0.enqueue(&[rebuild(subject, audit)]).await.unwrap();
            let lease = desk.claim("w", 1).await[0].1;
            assert!(desk.end("w", lease, verdict(word)).await);
        }
    }
    desk.0.enqueue(&[rebuild("bad", "b")]).await.unwrap();
    let settled = |audit| desk.0.settled(audit);
    assert_eq!(
        settled("a").await.unwrap(),
        ["good", "bad"].map(str::to_owned).into()
    );
    assert_eq!(settled("b").await.unwrap(), ["elsewhere".to_owned()].into());
}

async fn an_agreement_settles_a_subject_if_each_of_its_jobs_does(desk: Desk) {
    let three = |subject: &str| NewJob {
        agree: 3,
        ..rebuild(subject, "a")
    };
    let is_settled = async |subject: &str| desk.0.settled("a").await.unwrap().contains(subject);
    for (subject, words, expected) in [
        ("agreed", ["reproduced", "reproduced", "reproduced"], true),
        ("refused", ["refused", "mismatch", "not-reproduced"], true),
        ("first", ["inconclusive", "reproduced", "reproduced"], false),
        ("last", ["reproduced", "reproduced", "inconclusive"], false),
        ("two", ["inconclusive", "inconclusive", "reproduced"], false),
        // The newest agreement counts.
        ("two", ["reproduced", "equivalent", "reproduced"], true),
        ("agreed", ["reproduced", "inconclusive", "reproduced"], false),
    ] {
        desk.0.enqueue(&[three(subject)]).await.unwrap();
        for (worker, word) in ["one", "two", "three"].into_iter().zip(words) {
            assert!(!is_settled(subject).await, "{subject}, before {worker}");
            let lease = desk.claim(worker, 1).await[0].1;
            assert!(desk.end(worker, lease, verdict(word)).await);
        }
        assert_eq!(is_settled(subject).await, expected, "{subject}: {words:?}");
    }

    // A job that was cancelled, and its repetition.
    desk.0.enqueue(&[three("again")]).await.unwrap();
    let jobs = desk.0.list(Some("ready"), None, 3).await.unwrap();
    let cancelled = jobs.iter().map(|job| job.id).min().unwrap();
    desk.0.cancel(cancelled).await.unwrap();
    for worker in ["one", "two"] {
        let lease = desk.claim(worker, 1).await[0].1;
        assert!(desk.end(worker, lease, verdict("reproduced")).await);
    }
    assert!(!is_settled("again").await);
    desk.0.retry(cancelled).await.unwrap();
    assert!(!is_settled("again").await);
    let lease = desk.claim("three", 1).await[0].1;
    assert!(desk.end("three", lease, verdict("reproduced")).await);
    assert!(is_settled("again").await);
}

async fn a_job_queued_again_does_not_make_its_agreement_the_newest(desk: Desk) {
    for (newer, expected) in [("inconclusive", false), ("reproduced", true)] {
        let subject = format!("newer-{newer}");
        let both = NewJob {
            agree: 2,
            ..rebuild(&subject, "a")
        };
        let is_settled = async || desk.0.settled("a").await.unwrap().contains(&subject);
        let done = async |worker: &str, word: &str| {
            let lease = desk.claim(worker, 1).await[0].1;
            assert!(desk.end(worker, lease, verdict(word)).await);
        };
        desk.0.enqueue(std::slice::from_ref(&both)).await.unwrap();
        let jobs = desk.0.list(Some("ready"), None, 2).await.unwrap();
        let cancelled = jobs.iter().map(|job| job.id).max().unwrap();
        desk.0.cancel(cancelled).await.unwrap();
        done("one", "reproduced").await;
        desk.0.enqueue(&[both]).await.unwrap();
        done("one", "reproduced").await;
        done("two", newer).await;
        assert_eq!(is_settled().await, expected, "{newer}");

        // The older agreement is complete later than the newer one, and is not newer for that.
        desk.0.retry(cancelled).await.unwrap();
        assert_eq!(is_settled().await, expected, "{newer}: it waits");
        done("two", "mismatch").await;
        assert_eq!(is_settled().await, expected, "{newer}: it ended");
    }
}

async fn limits_hold_over_all_workers(desk: Desk) {
    desk.0.limit("npm", Some(2)).await.unwrap();
    let jobs = (1..=5).map(|number| probe(number, "npm", "x"));
    desk.0
        .enqueue(&jobs.chain([probe(9, "deb", "x")]).collect::<Vec<_>>())
        .await
        .unwrap();
    let first = desk.claim("one", 10).await;
    assert_eq!(
        first.iter().map(|job| job.0).collect::<BTreeSet<_>>(),
        BTreeSet::from([1, 2, 9])
    );
    assert!(desk.claim("two", 10).await.is_empty());
    assert!(desk.end("one", first[0].1, verdict("probed")).await);
    assert_eq!(desk.claim("two", 10).await.len(), 1);
    desk.0.limit("npm", None).await.unwrap();
    assert_eq!(desk.claim("two", 10).await.len(), 2);
}

async fn jobs_go_where_they_fit(desk: Desk) {
    let needs = |memory, cores| Resources {
        memory,
        disk: 0,
        cores,
    };
    let pinned = NewJob {
        architecture: "aarch64".into(),
        ..probe(1, "a", "x")
    };
    let large = NewJob {
        needs: needs(8192, 1),
        ..probe(2, "a", "x")
    };
    let half = NewJob {
        needs: needs(2048, 2),
        ..probe(3, "a", "x")
    };
    let other = NewJob {
        needs: needs(2048, 2),
        ..probe(4, "a", "x")
    };
    desk.0.enqueue(&[pinned, large, half, other]).await.unwrap();
    // Two halves are a whole; of three slots each must be within a third.
    assert!(desk.claim("w", 3).await.is_empty());
    assert_eq!(desk.claim("w", 2).await.len(), 2);
    let mut arm = claimant("arm");
    arm.architecture = "aarch64".into();
    assert_eq!(desk.claim_as(&arm, 1, LEASE).await[0].0, 1);
    let mut big = claimant("big");
    big.free.memory = 8192;
    assert_eq!(desk.claim_as(&big, 1, LEASE).await[0].0, 2);
}

async fn workers_that_agree_are_different_ones(desk: Desk) {
    desk.0
        .enqueue(&[NewJob {
            agree: 2,
            ..probe(1, "a", "x")
        }])
        .await
        .unwrap();
    let first = desk.claim("one", 5).await;
    assert_eq!(first.len(), 1);
    assert!(desk.claim("one", 5).await.is_empty());
    assert!(desk.end("one", first[0].1, verdict("probed")).await);
    assert!(desk.claim("one", 5).await.is_empty());
    let second = desk.claim_for("two", 5, OVER).await;
    assert_eq!(second.len(), 1);
    // What another one lost is still nothing for the first.
    desk.reap().await;
    assert!(desk.claim("one", 5).await.is_empty());
    assert_eq!(desk.claim("three", 5).await.len(), 1);
}

async fn artifacts_without_a_name_are_forgotten(desk: Desk) {
    let [named, spoken_of, left] = ["named", "spoken of", "left"].map(Sha256::of);
    for sha256 in [named, spoken_of, left] {
        desk.0.unnamed(sha256).await.unwrap();
    }
    desk.0.enqueue(&[probe(1, "a", "x")]).await.unwrap();
    let lease = desk.claim("w", 1).await[0].1;
    let run = Ending::Verdict {
        verdict: "reproduced".into(),
        reason: None,
        run: Some(format!(
            r#"[{{"path": "x", "sha256": "{}", "size": 1}}]"#,
            named.to_hex()
        )),
        sign: false,
    };
    assert!(desk.end("w", lease, run).await);
    tokio::time::sleep(Duration::from_millis(600)).await;
    desk.0.spoken_of(&BTreeSet::from([spoken_of])).await.unwrap();
    for expected in [vec![left], Vec::new()] {
        let unnamed = desk
            .0
            .forget_unnamed(Duration::from_millis(500), 10)
            .await
            .unwrap();
        assert_eq!(unnamed.artifacts, expected);
        unnamed.commit().await.unwrap();
    }
}

async fn runs_that_wait_are_due_again_once_one_is_signed(desk: Desk) {
    desk.0
        .enqueue(&[
            NewJob {
                agree: 2,
                ..probe(1, "a", "x")
            },
            probe(2, "a", "x"),
        ])
        .await
        .unwrap();
    for worker in ["one", "two"] {
        for (_, lease) in desk.claim(worker, 2).await {
            let run = Ending::Verdict {
                verdict: "reproduced".into(),
                reason: None,
                run: Some("[]".into()),
                sign: true,
            };
            desk.end(worker, lease, run).await;
        }
    }
    let due = desk.0.due_runs(10).await.unwrap();
    assert_eq!(due.len(), 3);
    // The one that waits by itself is the first.
    let mut jobs: Vec<_> = due.iter().map(|run| run.lease.job).collect();
    jobs.sort_unstable();
    for (job, said) in [(jobs[0], "waits"), (jobs[1], "waits"), (jobs[2], "signed")] {
        desk.0.signer_said(job, said, None).await.unwrap();
    }
    let due = desk.0.due_runs(10).await.unwrap();
    assert_eq!(due.iter().map(|run| run.lease.job).collect::<Vec<_>>(), [jobs[1]]);
}

async fn tokens_end(desk: Desk) {
    let token = desk.0.add_token("w1", &[Scope::Worker], None).await.unwrap();
    let holder = desk.0.holder_of(token.secret()).await.unwrap().unwrap();
    assert!(holder.name == "w1" && holder.may(Scope::Worker) && !holder.may(Scope::Metrics));
    assert!(desk.0.holder_of(&token.secret()[1..]).await.unwrap().is_none());
    assert!(desk.0.add_token("w1", &[Scope::Worker], None).await.is_err());
    assert!(desk.0.add_token("a b", &[Scope::Worker], None).await.is_err());
    desk.0.revoke_token("w1").await.unwrap();
    assert!(desk.0.revoke_token("w1").await.is_err());
    assert!(desk.0.holder_of(token.secret()).await.unwrap().is_none());
    let second = desk.0.add_token("w1", &[Scope::Metrics], Some(1)).await.unwrap();
    assert!(
        desk.0
            .holder_of(second.secret())
            .await
            .unwrap()
            .unwrap()
            .may(Scope::Metrics)
    );
    assert!(desk.0.holder_of(token.secret()).await.unwrap().is_none());
}
