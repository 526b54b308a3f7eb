//! A run whose bundle is changed and verified.

use super::*;

/// A run that ended, and the evidence bundle about it.
pub(super) struct Scene<'a> {
    pub(super) ground: &'a Ground,
    pub(super) plan: Plan,
}

pub(super) const NAME: &str = "tool-1.0.tar.gz";

impl<'a> Scene<'a> {
    /// A run whose output is what was released, or something else; attested by the key `own.pem`.
    pub(super) fn new(ground: &'a Ground, reproduced: bool) -> Self {
        let output = ground
            .rebuilder()
            .args(["key", "generate", "--to"])
            .arg(ground.folder().join("own.pem"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let material = json!({"name": NAME, "urls": [], "sha256": Sha256::of("released"), "size": 8});
        let plan = json!({
            "version": 1, "subject": "pkg:generic/tool@1.0", "ecosystem": "provenance", "claims": [],
            "policy": {"policy": "built-in", "checks": []},
            "expected": [{"purl": "pkg:generic/tool@1.0", "file": material}],
            "not_compared": [],
            "container": {"image": {"repository": "docker.io/library/debian", "digest": "0".repeat(64)}},
            "inputs": [{"role": "source", "place": "a", "file": {"name": "a", "urls": ["https://example.org/a"], "sha256": Sha256::of("a"), "size": 1}}],
            "files": [], "setup": {"env": {}, "steps": []}, "build": {"env": {}, "steps": []},
            "hostname": "h", "umask": 18,
            "limits": {"seconds": 60, "memory": 1_u64 << 30, "disk": 1_u64 << 30, "pids": 100, "cpus": 1},
            "assumptions": []
        });
        let plan: Plan = serde_json::from_value(plan).unwrap();
        let scene = Self { ground, plan };
        ground.write("run/plan.json", scene.plan.canonical().unwrap());
        ground.write("run/build.log", "built\n");
        let rebuilt = if reproduced { "released" } else { "something else" };
        ground.write(&format!("run/rebuilt/{NAME}"), rebuilt);
        let record = scene.record(reproduced);
        write_run(
            &record,
            &scene.plan,
            &RunFolder::new(&ground.folder().join("run")),
        );
        for name in ["record.json", "report.html"] {
            let bytes = fs::read(ground.folder().join("run").join(name)).unwrap();
            fs::remove_file(ground.folder().join("run").join(name)).unwrap();
            ground.write(&format!("run/{name}"), bytes);
        }
        scene.own();
        let output = ground
            .rebuilder()
            .arg("attest")
            .arg(ground.folder().join("run"))
            .arg("--key")
            .arg(ground.folder().join("own.pem"))
            .arg("--log")
            .arg(ground.folder().join("log.jsonl"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
        scene
    }

    /// Gives everything to the user of the case.
    pub(super) fn own(&self) {
        use std::os::unix::fs::{MetadataExt as _, chown};
        let owner = fs::metadata(self.ground.folder()).unwrap();
        for entry in walkdir::WalkDir::new(self.ground.folder()).into_iter().flatten() {
            chown(entry.path(), Some(owner.uid()), Some(owner.gid())).unwrap();
        }
    }

    pub(super) fn record(&self, reproduced: bool) -> Record {
        let rebuilt = Sha256::of(if reproduced { "released" } else { "something else" });
        let zero = json!({"prepare": 0.5, "setup": 0.0, "build": 0.25, "compare": 0.0, "total": 1.0});
        serde_json::from_value(json!({
            "version": 1, "id": "run-1", "subject": self.plan.subject,
            "verdict": if reproduced { "reproduced" } else { "mismatch" },
            "plan": self.plan.digest().unwrap(), "evidence": "verified",
            "outputs": [{"name": NAME, "released": Sha256::of("released"), "rebuilt": rebuilt, "sizes": [8, 8], "differs": null}],
            "not_compared": [], "backend": "embedded", "not_enforced": [],
            "log": Sha256::of("built\n"),
            "rebuilder": env!("CARGO_PKG_VERSION"),
            "started": "2026-01-01T00:00:00Z", "finished": "2026-01-01T00:00:01Z", "timings": zero
        }))
        .unwrap()
    }

    /// The bundle, file by file; its list signed by the same key, or by nobody.
    pub(super) fn export(&self, signed: bool) -> BTreeMap<String, Vec<u8>> {
        let to = self.ground.folder().join("good.tar.gz");
        let mut command = self.ground.rebuilder();
        command
            .args(["evidence", "export"])
            .arg(self.ground.folder().join("run"))
            .arg("--out")
            .arg(&to);
        if signed {
            command
                .arg("--sign")
                .arg("--key")
                .arg(self.ground.folder().join("own.pem"));
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let archive = flate2::read::GzDecoder::new(fs::File::open(&to).unwrap());
        let mut files = BTreeMap::new();
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            files.insert(name.strip_prefix("evidence/").unwrap().to_owned(), bytes);
        }
        files
    }

    pub(super) fn verify(&self, archive: &[u8]) -> Output {
        let file = self.ground.write("attacked.tar.gz", archive);
        self.ground
            .rebuilder()
            .args(["--offline", "evidence", "verify"])
            .arg(file)
            .arg("--trusted-key")
            .arg(self.ground.folder().join("own.pem.pub"))
            .output()
            .unwrap()
    }
}
