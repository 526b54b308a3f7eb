//! Jobs that ended, made without a build: a plan, the record of it, and a verdict in the queue.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use rebuilder::artifact::Sha256;
use rebuilder::memory::Memory;
use rebuilder::plan::Plan;
use rebuilder::queue::wire::{Lease, Resources, RunFile, Task};
use rebuilder::queue::{Claimant, Ending, NewJob, Queue};
use rebuilder::run::failure::{Failure, FailureCode};
use rebuilder::run::{Circumstances, Compared, Concluded, Evidence, OutputResult, Record, Stage, Timings};
use rebuilder::server::Artifacts;
use rebuilder::store::Store;
use serde_json::{Value, json};

use super::ask;
use crate::queue::service::{Service, wait_until};

pub const LOG: &str = "dpkg-buildpackage: a log that is long enough to be worth compressing\n";

/// A released file: package, architecture, and whether its bytes were built.
pub type File<'a> = (&'a str, &'a str, bool);

pub struct Seed {
    queue: Queue,
    artifacts: Artifacts,
}

/// What a job is said to have come to.
pub struct Told<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub files: &'a [File<'a>],
    /// Whether everything that decides the bytes was declared.
    pub declared: bool,
    /// The stage at which it failed.
    pub failed: Option<FailureCode>,
}

pub fn purl(name: &str, version: &str, arch: &str) -> String {
    format!(
        "pkg:deb/debian/{name}@{}?arch={arch}&distro=bookworm",
        version.replace('+', "%2B")
    )
}

pub fn file_name((name, arch, _): File<'_>, version: &str) -> String {
    format!("{name}_{version}_{arch}.deb")
}

pub fn plan(told: &Told<'_>) -> Plan {
    let mut plan: Value = serde_json::from_str(include_str!("../../../rebuilder/plan/saved.json")).unwrap();
    plan["subject"] = json!(purl(told.name, told.version, "amd64"));
    plan["ecosystem"] = json!("debian");
    let files = told.files.iter().map(|file| {
        let name = file_name(*file, told.version);
        let url = format!("https://mirror.example/debian/pool/main/c/{}/{name}", told.name);
        json!({"purl": purl(file.0, told.version, file.1),
            "file": {"name": name, "urls": [url], "sha256": Sha256::of(&name), "size": 10}})
    });
    plan["expected"] = files.collect();
    if told.declared {
        plan["assumptions"] = json!([]);
    }
    serde_json::from_value(plan).unwrap()
}

/// A comparison by the program itself: of two texts, or of gzip files that were made at different times.
fn difference(name: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one.txt"), folder.path().join("two.txt"));
    if name.starts_with("gz-") {
        let header = |time: u8| [&[0x1f, 0x8b, 8, 0, time, 0, 0, 0x5e, 2, 3][..], &[3, 0], &[0; 8]].concat();
        std::fs::write(&one, header(1)).unwrap();
        std::fs::write(&two, header(2)).unwrap();
        return compared(&one, &two);
    }
    std::fs::write(&one, "first line\n<script>alert(1)</script>\n").unwrap();
    std::fs::write(&two, "another line\n<script>alert(2)</script>\n").unwrap();
    compared(&one, &two)
}

fn compared(one: &std::path::Path, two: &std::path::Path) -> Value {
    let mut command = crate::common::rebuilder();
    let output = command
        .args(["--json", "compare"])
        .args([one, two])
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

pub fn record(told: &Told<'_>, plan: &Plan) -> Record {
    record_at(told, plan, "2026-11-25T12:00:00.5Z".parse().unwrap())
}

/// The record of a build that ended then.
pub fn record_at(told: &Told<'_>, plan: &Plan, finished: Timestamp) -> Record {
    let outputs = told.files.iter().map(|file| {
        let name = file_name(*file, told.version);
        let released = Sha256::of(&name);
        OutputResult {
            released: Some(released),
            rebuilt: Some(if file.2 {
                released
            } else {
                Sha256::of("other bytes")
            }),
            sizes: (Some(10), Some(10)),
            differs: (!file.2).then(|| serde_json::from_value(difference(told.name)).unwrap()),
            name,
        }
    });
    let compared = Compared {
        outputs: outputs.collect(),
        ..Compared::default()
    };
    Record::concluded(
        plan,
        Concluded {
            compared: match told.failed {
                None => Ok(compared),
                Some(_) => Err((Stage::Build, "it failed".into())),
            },
            failure: told.failed.map(Failure::known),
            credentials: Vec::new(),
            not_searched: Vec::new(),
            log: Sha256::of(LOG.repeat(20)),
        },
        Circumstances {
            evidence: Evidence::Verified,
            backend: "embedded".into(),
            started: finished - jiff::SignedDuration::from_millis(120_500),
            finished,
            timings: Timings::default(),
        },
    )
    .unwrap()
}

impl Seed {
    pub async fn open(service: &Service) -> Self {
        let store = Store::open(Some(service.store())).unwrap();
        Self {
            artifacts: Artifacts::open(store.artifacts().to_str().unwrap()).unwrap(),
            queue: Queue::new(Memory::open(service.database(), &store).await.unwrap()),
        }
    }

    async fn keep(&self, path: &str, bytes: Vec<u8>) -> RunFile {
        self.artifacts.keep_bytes(path.into(), bytes).await.unwrap()
    }

    /// The files of a run.
    pub async fn files(&self, plan: &Plan, record: &Record) -> Vec<RunFile> {
        vec![
            self.keep("plan.json", plan.canonical().unwrap()).await,
            self.keep("record.json", serde_json::to_vec(record).unwrap())
                .await,
            self.keep("build.log", LOG.repeat(20).into_bytes()).await,
        ]
    }

    /// A job that ended so.
    pub async fn ended(&self, subject: &str, end: Ending) -> i64 {
        let attempts = None;
        let task = Task::Rebuild {
            subject: subject.into(),
            attempts,
        };
        self.queue
            .enqueue(&[NewJob::new(task, "debian", "seed")])
            .await
            .unwrap();
        let free = Resources {
            memory: 4096,
            disk: 10_000,
            cores: 4,
        };
        let who = Claimant {
            worker: "one".into(),
            architecture: "x86_64".into(),
            free,
        };
        let jobs = self.queue.claim(&who, 1, Duration::from_mins(1)).await.unwrap();
        let lease: Lease = jobs.first().unwrap().lease;
        let taken = self
            .queue
            .finish("one", &BTreeMap::from([(lease, end)]))
            .await
            .unwrap();
        assert_eq!(taken.len(), 1);
        lease.job
    }

    pub async fn run(&self, told: &Told<'_>, sign: bool) -> i64 {
        let plan = plan(told);
        let record = record(told, &plan);
        self.recorded(told, (&plan, &record), sign).await
    }

    /// A run that ended now.
    pub async fn run_now(&self, told: &Told<'_>) -> i64 {
        let plan = plan(told);
        let record = record_at(told, &plan, Timestamp::now());
        self.recorded(told, (&plan, &record), false).await
    }

    async fn recorded(&self, told: &Told<'_>, (plan, record): (&Plan, &Record), sign: bool) -> i64 {
        let files = self.files(plan, record).await;
        let verdict = match &record.verdict {
            rebuilder::run::Verdict::Inconclusive { .. } => "inconclusive".into(),
            other => other.to_string(),
        };
        let end = Ending::Verdict {
            verdict,
            reason: told
                .failed
                .map(|code| format!("build ({}): it failed", code.about().name)),
            run: Some(serde_json::to_string(&files).unwrap()),
            sign,
        };
        self.ended(&plan.subject, end).await
    }

    /// The signer says this of a job; if it signed, it gave a bundle and a link for each of these files.
    pub async fn signer(&self, job: i64, said: &str, files: &[&str]) {
        let mut signed = vec![
            self.keep("attestation.sigstore.json", b"{\"bundle\": true}".to_vec())
                .await,
        ];
        for file in files {
            let link =
                json!({"signatures": [], "signed": {"_type": "link", "name": format!("rebuild {file}")}});
            signed.push(
                self.keep(&format!("links/{file}.link"), link.to_string().into_bytes())
                    .await,
            );
        }
        self.queue.keep_signed(job, &signed).await.unwrap();
        self.queue.signer_said(job, said, None).await.unwrap();
    }

    pub async fn waits(&self, subject: &str) {
        let task = Task::Rebuild {
            subject: subject.into(),
            attempts: None,
        };
        self.queue
            .enqueue(&[NewJob::new(task, "debian", "seed")])
            .await
            .unwrap();
    }
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// A server with five builds and a job that waits: 1 is reproduced and signed, 2 a mismatch of one of two files, 3 found no
/// build, 4 failed, 5 has no run, and 6 waits.
pub fn server(options: &[&str]) -> Service {
    server_with_lease("1.5", options)
}

pub fn server_with_lease(lease: &'static str, options: &[&str]) -> Service {
    let service = Service::start_with_lease(None, lease, options);
    block_on(async {
        let seed = Seed::open(&service).await;
        let told = |name, files, declared, failed| Told {
            name,
            version: "4.3-2+deb12u1",
            files,
            declared,
            failed,
        };
        let good: &[File<'_>] = &[("chrony", "amd64", true), ("chrony-doc", "all", true)];
        let job = seed.run(&told("chrony", good, true, None), true).await;
        seed.signer(
            job,
            "signed",
            &[
                "chrony_4.3-2+deb12u1_amd64.deb",
                "chrony-doc_4.3-2+deb12u1_all.deb",
            ],
        )
        .await;
        let bad: &[File<'_>] = &[("tar", "amd64", false), ("tar-scripts", "amd64", true)];
        seed.run(&told("tar", bad, true, None), false).await;
        seed.run(&told("sed", &[("sed", "amd64", false)], false, None), false)
            .await;
        let failed = Some(FailureCode::TestsFailed);
        seed.run(&told("grep", &[("grep", "amd64", true)], true, failed), false)
            .await;
        let reason = "infrastructure (unreachable): <b>no answer</b>";
        let last = Ending::Verdict {
            verdict: "inconclusive".into(),
            reason: Some(reason.into()),
            run: None,
            sign: false,
        };
        seed.ended("deb:gzip=1.12-1", last).await;
        seed.waits("deb:bash=5.2-1").await;
    });
    let header = format!("X-Auth-Cookie: {}", read_token(&service));
    let read = |path: &str| {
        let answer = ask(&service, path, &["--header", &header]);
        if answer.status == 200 {
            answer.json()
        } else {
            Value::Null
        }
    };
    let sum = |counts: &Value| -> i64 {
        let counts = counts.as_object().into_iter().flat_map(|counts| counts.values());
        counts.filter_map(Value::as_i64).sum()
    };
    wait_until("everything is published", Duration::from_mins(1), || {
        read("/api/v1/builds")["total"] == 5
    });
    // On a busy machine the counts may be those from before for a moment.
    wait_until("everything is counted", Duration::from_mins(1), || {
        let files = read("/api/v0/dashboard");
        let files = files["suites"]
            .as_object()
            .into_iter()
            .flat_map(|suites| suites.values());
        sum(&read("/api/v1/dashboard")["rebuilds"]) == 5 && files.map(sum).sum::<i64>() == 6
    });
    service
}

/// A token with the scope `read`.
pub fn read_token(service: &Service) -> String {
    let path = service.folder.path().join("token-reader");
    if let Ok(token) = std::fs::read_to_string(&path) {
        return token;
    }
    let made = service.operator(&["serve", "token", "add", "reader", "--scope", "read"]);
    let token = made["token"].as_str().unwrap().to_owned();
    std::fs::write(&path, &token).unwrap();
    token
}
