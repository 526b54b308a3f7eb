//! What a lease is worth, and what becomes of a job whose lease ends without a verdict.

use std::collections::BTreeMap;
use std::time::Duration;

use rebuilder::queue::wire::Lease;
use rebuilder::queue::{Ending, NewJob};

use super::OVER;
use super::desk::{Desk, LEASE, probe, verdict};

pub(super) async fn only_who_holds_the_lease_is_heard_and_a_repeat_is_told_the_same(desk: Desk) {
    desk.0.enqueue(&[probe(1, "a", "x")]).await.unwrap();
    let first = desk.claim_for("slow", 1, OVER).await[0].1;
    assert!(!desk.end("other", first, verdict("stolen")).await);
    desk.reap().await;
    let second = desk.claim("quick", 1).await[0].1;
    assert_eq!(second, Lease { attempt: 2, ..first });
    // A worker that was stopped wakes up.
    assert!(
        desk.0
            .heartbeat("slow", &[first], LEASE)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(!desk.end("slow", first, verdict("late")).await);
    assert!(
        desk.0
            .heartbeat("other", &[second], LEASE)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        desk.0
            .heartbeat("quick", &[second, first], LEASE)
            .await
            .unwrap()
            .len(),
        1
    );
    for _ in 0..3 {
        assert!(desk.end("quick", second, verdict("good")).await);
    }
    assert!(desk.end("quick", second, verdict("changed its mind")).await);
    assert!(!desk.end("slow", first, verdict("late")).await);
    assert_eq!(desk.verdict_of(first).await, ("done".into(), Some("good".into())));
    // What befell the attempts before is not a reason of this verdict.
    assert_eq!(desk.0.list(None, None, 1).await.unwrap()[0].reason, None);
}

pub(super) async fn a_lost_job_goes_first_again_and_poison_ends(desk: Desk) {
    let jobs: Vec<_> = (1..=3)
        .map(|number| NewJob {
            attempts: 3,
            ..probe(number, "a", "x")
        })
        .collect();
    desk.0.enqueue(&jobs).await.unwrap();
    let mut starts = 0;
    loop {
        let (number, lease) = desk.claim_for("w", 1, OVER).await[0];
        if number != 1 {
            assert!(desk.end("w", lease, verdict("probed")).await);
            break;
        }
        starts += 1;
        desk.reap().await;
    }
    assert_eq!(starts, 3);
    let dead = desk.0.list(Some("dead"), None, 10).await.unwrap();
    assert_eq!(
        (dead.len(), dead[0].lost, dead[0].verdict.as_deref()),
        (1, 3, Some("inconclusive"))
    );
    // The operator has it tried again; the old one keeps its verdict.
    let again = desk.0.retry(dead[0].id).await.unwrap();
    assert!(again > dead[0].id && desk.0.retry(dead[0].id).await.is_err());
    assert_eq!(desk.order("w").await.len(), 2);
    assert_eq!(
        desk.0.tally().await.unwrap().verdicts,
        BTreeMap::from([("inconclusive".into(), 1), ("probed".into(), 3)])
    );
}

pub(super) async fn what_fails_waits_and_then_is_a_dead_letter(desk: Desk) {
    desk.0
        .enqueue(&[NewJob {
            attempts: 2,
            ..probe(1, "a", "x")
        }])
        .await
        .unwrap();
    let again = |after| Ending::Again {
        reason: "inputs".into(),
        after,
    };
    let lease = desk.claim("w", 1).await[0].1;
    assert!(desk.end("w", lease, again(Duration::from_millis(300))).await);
    desk.reap().await;
    assert!(desk.claim("w", 1).await.is_empty());
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert_eq!(desk.reap().await, 1);
    let lease = desk.claim("w", 1).await[0].1;
    assert!(desk.end("w", lease, again(Duration::ZERO)).await);
    assert!(
        desk.end("w", lease, again(Duration::ZERO)).await,
        "a repeat is told the same"
    );
    assert_eq!(
        desk.verdict_of(lease).await,
        ("dead".into(), Some("inconclusive".into()))
    );
}

pub(super) async fn a_running_job_is_cancelled_at_the_next_heartbeat(desk: Desk) {
    desk.0
        .enqueue(&[probe(1, "a", "x"), probe(2, "a", "x"), probe(3, "a", "x")])
        .await
        .unwrap();
    let running = desk.claim("w", 2).await;
    let (told, lost) = (running[0].1, running[1].1);
    assert!(
        !desk.end("w", told, Ending::Cancelled).await,
        "a worker cannot cancel"
    );
    let waiting = desk.0.list(Some("ready"), None, 1).await.unwrap()[0].id;
    for job in [told.job, lost.job, waiting] {
        desk.0.cancel(job).await.unwrap();
    }
    let beats = desk.0.heartbeat("w", &[told, lost], OVER).await.unwrap();
    assert!(beats.len() == 2 && beats.iter().all(|beat| beat.cancel));
    assert!(desk.end("w", told, Ending::Cancelled).await);
    // The other worker died before it could say so.
    desk.reap().await;
    assert_eq!(
        desk.0.tally().await.unwrap().verdicts,
        BTreeMap::from([("cancelled".into(), 3)])
    );
    assert!(desk.0.cancel(told.job).await.is_err());
}

pub(super) async fn a_job_given_back_costs_no_attempt(desk: Desk) {
    desk.0
        .enqueue(&[NewJob {
            attempts: 1,
            ..probe(1, "a", "x")
        }])
        .await
        .unwrap();
    for _ in 0..3 {
        let lease = desk.claim("w", 1).await[0].1;
        assert_eq!(desk.0.release("other", &[lease]).await.unwrap(), []);
        assert_eq!(desk.0.release("w", &[lease]).await.unwrap(), [lease]);
        assert!(!desk.end("w", lease, verdict("late")).await);
    }
    assert_eq!(desk.order("w").await, [1]);
}

pub(super) async fn a_job_given_back_again_and_again_ends(desk: Desk) {
    desk.0
        .enqueue(&[NewJob {
            attempts: 1,
            ..probe(1, "a", "x")
        }])
        .await
        .unwrap();
    let mut times = 0;
    while let Some((_, lease)) = desk.claim("evil", 1).await.pop() {
        desk.0.release("evil", &[lease]).await.unwrap();
        times += 1;
        assert!(times < 100, "for ever");
    }
    assert_eq!(times, 11);
    let dead = desk.0.list(Some("dead"), None, 10).await.unwrap();
    assert_eq!(dead[0].verdict.as_deref(), Some("inconclusive"));
    assert_eq!(dead[0].reason.as_deref(), Some("it was given back too often"));
}

pub(super) async fn what_failed_goes_behind_the_others(desk: Desk) {
    let jobs: Vec<_> = (1..=21).map(|number| probe(number, "a", "x")).collect();
    desk.0.enqueue(&jobs).await.unwrap();
    for (_, lease) in desk.claim("w", 21).await {
        let run = Ending::Verdict {
            verdict: "reproduced".into(),
            reason: None,
            run: Some("[]".into()),
            sign: true,
        };
        assert!(desk.end("w", lease, run).await);
    }
    let due = desk.0.due_runs(20).await.unwrap();
    for run in &due {
        let wait = Duration::from_secs(4);
        desk.0.sign_later(run.lease.job, wait).await.unwrap();
        desk.0.publish_later(run.lease.job, wait).await.unwrap();
    }
    let others = desk.0.due_runs(20).await.unwrap();
    assert_eq!(others.len(), 1, "only the one that has not failed");
    assert_eq!(desk.0.unpublished(20).await.unwrap().len(), 1);
    tokio::time::sleep(Duration::from_millis(4500)).await;
    let again = desk.0.due_runs(30).await.unwrap();
    assert_eq!((again.len(), again[0].lease), (21, others[0].lease));
    assert_eq!((again[0].tries, again[1].tries), (0, 1));
}

pub(super) async fn after_an_outage_leases_hold(desk: Desk) {
    desk.0.enqueue(&[probe(1, "a", "x")]).await.unwrap();
    let lease = desk.claim_for("w", 1, OVER).await[0].1;
    assert_eq!(desk.0.renew_all(LEASE).await.unwrap(), 1);
    assert_eq!(desk.reap().await, 0);
    assert!(desk.end("w", lease, verdict("probed")).await);
}
