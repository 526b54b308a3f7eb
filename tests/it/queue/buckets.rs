//! Artifacts in a bucket that fails: one of our own, which speaks S3 and breaks in every way that a network has.

mod bucket;

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rebuilder::artifact::Sha256;
use serde_json::{Value, json};

use super::hostile::Peer;
use super::service::{Service, end, wait_until};
use crate::common::{self, NETWORK, SANDBOX, needs};
use crate::reading::seed;
use bucket::{Bucket, Fault};

const FAULTS: [Fault; 6] = [
    Fault::Status(500),
    Fault::Status(503),
    Fault::CutRequest,
    Fault::CutAnswer,
    Fault::HalfAnswer,
    Fault::Stall,
];

/// A run whose largest file does not fit into one request: paths and bytes.
fn run(number: u8) -> Vec<(String, Vec<u8>)> {
    let (name, version) = (format!("p{number}"), "1-1");
    let told = seed::Told {
        name: &name,
        version,
        files: &[(&name, "amd64", true)],
        declared: true,
        failed: None,
    };
    let plan = seed::plan(&told);
    let record = seed::record(&told, &plan);
    let large: Vec<u8> = (0..20_u32 << 20)
        .map(|at| (at >> 4).to_le_bytes()[0] ^ number)
        .collect();
    vec![
        ("plan.json".into(), serde_json::to_vec(&plan).unwrap()),
        ("record.json".into(), serde_json::to_vec(&record).unwrap()),
        ("build.log".into(), seed::LOG.repeat(20).into_bytes()),
        ("rebuilt/large".into(), large),
    ]
}

/// Hands a run in as a worker does: what is not taken is sent again, for as long as it takes.
fn hand_in(service: &Service, peer: &Peer<'_>, lease: &Value, path: &str, files: &[(String, Vec<u8>)]) {
    let begun = Instant::now();
    let limit = Duration::from_mins(4);
    let held = json!({"held": [lease]});
    for (_, bytes) in files {
        while peer.put(path, bytes) != 200 {
            assert!(
                begun.elapsed() < limit,
                "an artifact is not taken: {}",
                service.server_log()
            );
            peer.ask("heartbeat", &held);
        }
        peer.ask("heartbeat", &held);
    }
    let list: Vec<Value> = files
        .iter()
        .map(|(path, bytes)| json!({"path": path, "sha256": Sha256::of(bytes), "size": bytes.len()}))
        .collect();
    let outcome = json!({"ended": "run", "files": list});
    let result = json!({"job": lease["job"], "attempt": lease["attempt"], "outcome": outcome});
    loop {
        let (status, said) = peer.ask("results", &json!({"results": [result]}));
        if status == 200 {
            assert_eq!(said["taken"], json!([lease]), "{said}");
            return;
        }
        assert!(begun.elapsed() < limit, "a result is not taken: {status} {said}");
        peer.ask("heartbeat", &held);
    }
}

#[apply(test)]
fn a_bucket_that_fails_loses_no_run_and_keeps_no_half_of_one() {
    let bucket = Bucket::start();
    let mut service = bucket.server("60");
    let jobs: Vec<u8> = (0..4).collect();
    for number in &jobs {
        service.operator(&["queue", "add", &format!("deb:p{number}=1-1")]);
    }
    let random = Mutex::new(fastrand::Rng::with_seed(7));
    bucket.breaks(move || {
        let mut random = random.lock().unwrap();
        if random.u8(0..100) < 55 {
            Fault::None
        } else {
            random.choice(FAULTS).unwrap()
        }
    });
    let peer = Peer::new(&service, "one");
    for number in &jobs {
        let (lease, path) = peer.claim();
        hand_in(&service, &peer, &lease, &path, &run(*number));
        assert_eq!(bucket.wrong(), [] as [String; 0]);
    }
    let seen = bucket.kept.lock().unwrap().seen.clone();
    println!("{seen:?}");
    let all: BTreeSet<Fault> = FAULTS.into_iter().chain([Fault::None]).collect();
    assert!(seen.keys().copied().collect::<BTreeSet<_>>() == all, "{seen:?}");
    let status = service.operator(&["queue", "status"]);
    assert_eq!(status["jobs"], json!({"done": 4}));
    assert_eq!(status["verdicts"], json!({"reproduced": 4}));

    // Every file of every run is there, whole.
    bucket.breaks(|| Fault::None);
    let kept = bucket.kept.lock().unwrap().objects.clone();
    for (path, bytes) in jobs.iter().flat_map(|number| run(*number)) {
        let hex = Sha256::of(&bytes).to_hex();
        let found = kept.iter().find(|(name, _)| name.ends_with(&hex));
        assert!(found.is_some_and(|(_, kept)| *kept == bytes), "{path}");
    }
    assert_eq!(service.get("/health/ready", None).0, 200);
    // While nothing works, that is what it says, in time for a proxy.
    for fault in [Fault::Status(503), Fault::Stall] {
        bucket.breaks(move || fault);
        let begun = Instant::now();
        let (status, said) = service.get("/health/ready", None);
        assert_eq!((status, said.as_str()), (503, "artifacts cannot be stored\n"));
        assert!(begun.elapsed() < Duration::from_secs(9), "{:?}", begun.elapsed());
    }
    bucket.breaks(|| Fault::None);
    service.end(Signal::SIGTERM);
    let log = service.server_log();
    assert!(!log.contains("tests-secret"), "{log}");
}

/// A worker keeps its run, and its lease, until the bucket works again.
#[apply(test)]
fn a_worker_hands_in_once_the_bucket_is_there() {
    needs(&[NETWORK, SANDBOX]);
    let bucket = Bucket::start();
    let service = bucket.server("5");
    bucket.breaks(|| Fault::Status(503));
    service.operator(&["queue", "add", "pypi:idna==3.10"]);
    let worker = service.worker("one", Some(&common::store()), &[]);
    wait_until("the run cannot be stored", Duration::from_mins(4), || {
        service.server_log().contains("cannot")
    });
    assert_eq!(service.jobs("running"), 1);
    bucket.breaks(|| Fault::None);
    assert!(service.drained(Duration::from_mins(2)));
    let status = service.operator(&["queue", "status"]);
    assert_eq!(
        (&status["jobs"], &status["verdicts"]),
        (&json!({"done": 1}), &json!({"reproduced": 1}))
    );
    let listed = service.operator(&["queue", "list"]);
    assert_eq!(
        (&listed["jobs"][0]["attempt"], &listed["jobs"][0]["lost"]),
        (&1.into(), &0.into())
    );
    assert_eq!(bucket.wrong(), [] as [String; 0]);
    end(worker, Signal::SIGTERM);
}
