//! The regression alarm, night after night: packages that always reproduced, in an index of our own, with what may go
//! wrong planted into one release of each, and an index that is broken on purpose.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::common::http::{Reply, Server};
use crate::common::postgres::{POSTGRES, Postgres};
use crate::common::{NETWORK, Need, SANDBOX, code, json as document, needs, part_needs, rebuilder, text};

const PYTHON: Need = Need {
    what: "python3",
    there: || Command::new("python3").arg("--version").output().is_ok(),
};

/// A build backend that needs nothing (PEP 517), and gives the same bytes with any Python.
const BACKEND: &str = r#"
import base64, hashlib, os, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name, version = open("VERSION").read().split()
    info = f"{name}-{version}.dist-info"
    files = {f"{name}/{file}": open(f"{name}/{file}", "rb").read() for file in sorted(os.listdir(name))}
    if os.path.exists("NOISE"):
        files[f"{name}/stamp.py"] = f"STAMP = {os.urandom(8).hex()!r}\n".encode()
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: own 1\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    record = ""
    for file, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += f"{file},sha256={digest},{len(data)}\n"
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    wheel = f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, wheel), "w", zipfile.ZIP_STORED) as archive:
        for file, data in files.items():
            entry = zipfile.ZipInfo(file, (2025, 1, 1, 0, 0, 0))
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data)
    return wheel
"#;

/// What is wrong with a release.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plant {
    Nothing,
    /// The source distribution has code that the wheel was not built from.
    PoisonedSource,
    /// A file of the wheel was changed after it was built.
    ChangedFile,
    /// A file of the source is not in the wheel.
    DroppedFile,
    /// No two builds are the same.
    Noise,
}

/// The files of a source tree.
type Tree = BTreeMap<String, String>;

fn tree(name: &str, version: &str) -> Tree {
    let files = [
        (
            "PKG-INFO",
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"),
        ),
        ("VERSION", format!("{name} {version}\n")),
        ("backend.py", BACKEND.to_owned()),
        (
            "pyproject.toml",
            "[build-system]\nrequires = []\nbuild-backend = \"backend\"\nbackend-path = [\".\"]\n".to_owned(),
        ),
        (&format!("{name}/__init__.py"), format!("VERSION = {version:?}\n")),
        (&format!("{name}/data.txt"), "data\n".to_owned()),
    ];
    files
        .into_iter()
        .map(|(path, content)| (path.to_owned(), content))
        .collect()
}

fn sdist(name: &str, version: &str, tree: &Tree) -> Vec<u8> {
    let gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let mut archive = tar::Builder::new(gzip);
    for (path, content) in tree {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(1_735_689_600);
        let path = format!("{name}-{version}/{path}");
        archive
            .append_data(&mut header, path, content.as_bytes())
            .unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

fn wheel(tree: &Tree) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in tree {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let out = tempfile::tempdir().unwrap();
    let built = Command::new("python3")
        .args([
            "-B",
            "-c",
            "import sys; sys.path.insert(0, '.'); import backend; print(backend.build_wheel(sys.argv[1]))",
        ])
        .arg(out.path())
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", text(&built));
    let name = String::from_utf8(built.stdout).unwrap();
    fs::read(out.path().join(name.trim())).unwrap()
}

/// How the index answers tonight.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tonight {
    /// As it should.
    Fine,
    /// With 503, to everything.
    Down,
    /// It closes connections in the middle of an answer.
    CutsShort,
    /// Every source distribution has other code, and the page vouches for it: the index, or somebody before it, lies.
    Lies,
}

/// Released files by name, and what the index gives for the source distributions while it lies.
struct Files {
    tonight: Tonight,
    /// Project, version, name of the file, bytes, bytes while it lies.
    all: Vec<(String, String, String, Vec<u8>, Vec<u8>)>,
}

impl Files {
    fn release(&mut self, name: &str, version: &str, plant: Plant) {
        let mut source = tree(name, version);
        if plant == Plant::Noise {
            source.insert("NOISE".into(), String::new());
        }
        let init = format!("{name}/__init__.py");
        let mut built = source.clone();
        match plant {
            Plant::PoisonedSource => source.get_mut(&init).unwrap().push_str("import os\n"),
            Plant::ChangedFile => built.get_mut(&init).unwrap().push_str("DEBUG = True\n"),
            Plant::DroppedFile => drop(built.remove(&format!("{name}/data.txt"))),
            Plant::Nothing | Plant::Noise => {}
        }
        let mut lie = source.clone();
        lie.get_mut(&init).unwrap().push_str("import socket\n");
        let (file, wheel) = (format!("{name}-{version}-py3-none-any.whl"), wheel(&built));
        self.all
            .push((name.into(), version.into(), file, wheel.clone(), wheel));
        self.all.push((
            name.into(),
            version.into(),
            format!("{name}-{version}.tar.gz"),
            sdist(name, version, &source),
            sdist(name, version, &lie),
        ));
    }

    /// Puts another source distribution in the place of a released one.
    fn replace_source(&mut self, name: &str, version: &str) {
        let mut source = tree(name, version);
        source
            .get_mut(&format!("{name}/__init__.py"))
            .unwrap()
            .push_str("import pickle\n");
        let file = format!("{name}-{version}.tar.gz");
        for (_, _, _, bytes, _) in self.all.iter_mut().filter(|(_, _, other, ..)| *other == file) {
            *bytes = sdist(name, version, &source);
        }
    }

    fn answer(&self, path: &str) -> Reply {
        match self.tonight {
            Tonight::Down => return Reply::status(503),
            Tonight::CutsShort => return Reply::Broken,
            Tonight::Fine | Tonight::Lies => {}
        }
        let lies = self.tonight == Tonight::Lies;
        let given = |bytes: &'_ Vec<u8>, lie: &'_ Vec<u8>| if lies { lie.clone() } else { bytes.clone() };
        if let Some(project) = path.strip_prefix("/simple/") {
            let project = project.trim_end_matches('/');
            let of = self.all.iter().filter(|(name, ..)| name == project);
            let files: Vec<_> = of
                .map(|(_, version, file, bytes, lie)| {
                    let bytes = given(bytes, lie);
                    let day = version.trim_start_matches("1.").parse::<u8>().unwrap() + 1;
                    json!({
                        "filename": file, "url": format!("https://files.pythonhosted.org/packages/{file}"),
                        "hashes": {"sha256": rebuilder::artifact::Sha256::of(&bytes[..]).to_string()},
                        "size": bytes.len(), "upload-time": format!("2025-03-{day:02}T00:00:00Z"), "yanked": false
                    })
                })
                .collect();
            if !files.is_empty() {
                let page = json!({"meta": {"api-version": "1.1"}, "name": project, "files": files});
                let kind = vec![("content-type", "application/vnd.pypi.simple.v1+json".to_owned())];
                return Reply::Give(200, kind, page.to_string().into_bytes());
            }
        }
        let file = path.rsplit('/').next().unwrap_or_default();
        let found = self.all.iter().find(|(_, _, name, ..)| name == file);
        found.map_or(Reply::status(404), |(_, _, _, bytes, lie)| {
            Reply::ok(given(bytes, lie))
        })
    }
}

/// An audit of packages from an index of our own.
struct Nights<'a> {
    folder: &'a Path,
    files: Arc<Mutex<Files>>,
    index: Server,
    receiver: Server,
    memory: String,
}

impl Nights<'_> {
    /// Audits these packages; gives the exit code and the summary.
    fn night(&self, tonight: Tonight, list: &[&str], more: &[&str]) -> (i32, Value) {
        self.files.lock().unwrap().tonight = tonight;
        let at = |name: &str| self.folder.join(name).display().to_string();
        fs::write(at("list.txt"), list.join("\n")).unwrap();
        let mut command = rebuilder();
        for host in ["https://pypi.org", "https://files.pythonhosted.org"] {
            command
                .arg("--mirror")
                .arg(format!("{host}={}", self.index.url()));
        }
        command.args(["--json", "audit", "run", &at("list.txt"), "--out", &at("out")]);
        command.args(["--memory", &self.memory, "--attempts", "1", "--unsigned"]);
        command.args(["--alarm-command", &at("tell"), "--alarm-feed", &at("feed.xml")]);
        command.args(["--alarm-webhook", &format!("{}/alarms", self.receiver.url())]);
        command.args(["--alarm-secret-file", &at("secret")]).args(more);
        let output = command.output().unwrap();
        (code(&output), document(&output))
    }

    /// What the command was told so far.
    fn told(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.join("told")).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// Subject, worth, rule, verdict of the control.
fn told(summary: &Value) -> Vec<(String, String, String, String)> {
    let field = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let alarms = summary["alarms"].as_array().cloned().unwrap_or_default();
    alarms
        .iter()
        .map(|alarm| {
            (
                field(&alarm["subject"]),
                field(&alarm["worth"]),
                field(&alarm["basis"]["rule"]),
                field(&alarm["control"]["verdict"]),
            )
        })
        .collect()
}

const PLANTED: [(&str, Plant); 4] = [
    ("rbplantpoison", Plant::PoisonedSource),
    ("rbplantchange", Plant::ChangedFile),
    ("rbplantdrop", Plant::DroppedFile),
    ("rbplantnoise", Plant::Noise),
];

#[apply(test)]
fn what_always_reproduced_and_now_does_not_is_told_and_nothing_else() {
    needs(&[NETWORK, SANDBOX, PYTHON]);
    let folder = tempfile::tempdir().unwrap();
    let server = part_needs(&POSTGRES).then(Postgres::start);
    let file = format!("sqlite:{}", folder.path().join("memory.sqlite").display());
    let files = Arc::new(Mutex::new(Files {
        tonight: Tonight::Fine,
        all: Vec::new(),
    }));
    for (name, plant) in PLANTED.into_iter().chain([("rbplantnone", Plant::Nothing)]) {
        for version in ["1.0", "1.1", "1.2"] {
            files.lock().unwrap().release(name, version, Plant::Nothing);
        }
        files.lock().unwrap().release(name, "1.3", plant);
    }
    let answers = files.clone();
    let nights = Nights {
        folder: folder.path(),
        files,
        index: Server::new(move |path| answers.lock().unwrap().answer(path)),
        receiver: Server::new(|_| Reply::ok("")),
        memory: server.as_ref().map_or(file, Postgres::url),
    };
    let at = |name: &str| folder.path().join(name);
    fs::write(
        at("tell"),
        format!("#!/bin/sh\ncat >>{0}; echo >>{0}\n", at("told").display()),
    )
    .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(at("tell"), mode).unwrap();
    fs::File::create(at("secret"))
        .unwrap()
        .write_all(b"secret\n")
        .unwrap();

    let all = |version: &str| -> Vec<String> {
        let names = PLANTED.iter().map(|(name, _)| *name).chain(["rbplantnone"]);
        names.map(|name| format!("pypi:{name}=={version}")).collect()
    };
    let good: Vec<String> = ["1.0", "1.1", "1.2"]
        .iter()
        .flat_map(|version| all(version))
        .collect();
    let (new, good): (Vec<_>, Vec<&str>) = (all("1.3"), good.iter().map(String::as_str).collect());
    let new: Vec<&str> = new.iter().map(String::as_str).collect();

    // Night after night, three versions of each were reproduced.
    let (code, summary) = nights.night(Tonight::Fine, &good, &[]);
    assert_eq!(
        (code, &summary["verdicts"]),
        (0, &json!({"reproduced": 15})),
        "{summary}"
    );

    // The index is down, then falls silent in the middle of its answers: nobody knows, and nobody is told.
    for broken in [Tonight::Down, Tonight::CutsShort] {
        let (code, summary) = nights.night(broken, &new, &["--again=inconclusive"]);
        assert_eq!(
            (code, &summary["verdicts"]),
            (4, &json!({"inconclusive": 5})),
            "{summary}"
        );
        assert_eq!((told(&summary), &summary["withheld"]), (vec![], &Value::Null));
    }
    // It lies, about good versions as well: what is rebuilt as a control is not good, so nothing is the packages' fault.
    let two = ["pypi:rbplantnone==1.3", "pypi:rbplantpoison==1.3"];
    let (code, summary) = nights.night(Tonight::Lies, &two, &["--again=inconclusive"]);
    assert_eq!(code, 1, "{summary}");
    assert_eq!(told(&summary), [], "{summary}");
    assert_eq!(summary["withheld"].as_array().unwrap().len(), 2, "{summary}");
    assert_eq!(nights.told(), [] as [Value; 0]);

    // All is well again. Each of the four is named once; the fifth came out well, and what was found last night is taken back.
    let (code, summary) = nights.night(Tonight::Fine, &new, &["--again=inconclusive"]);
    assert_eq!(code, 1, "{summary}");
    let mut found = told(&summary);
    found.sort();
    let mut expected: Vec<_> = PLANTED
        .iter()
        .map(|(name, _)| {
            let words = ["confirmed", "earlier-versions", "reproduced"].map(str::to_owned);
            let [worth, rule, control] = words;
            (format!("pypi:{name}==1.3"), worth, rule, control)
        })
        .collect();
    expected.sort();
    assert_eq!(found, expected, "{summary}");
    let verdict = |subject: &str| {
        let results = summary["results"].as_array().unwrap();
        let of = results.iter().find(|line| line["subject"] == subject).unwrap();
        of["verdict"].clone()
    };
    assert_eq!(verdict("pypi:rbplantnone==1.3"), "reproduced");
    let of = |name: &str| {
        let alarms = summary["alarms"].as_array().unwrap();
        let subject = format!("pypi:{name}==1.3");
        alarms.iter().find(|alarm| alarm["subject"] == *subject).unwrap()
    };
    // What changed since the last good version.
    let dropped = of("rbplantdrop")["changed"]["files"].to_string();
    assert!(dropped.contains("rbplantdrop/data.txt"), "{dropped}");
    let sources = of("rbplantpoison")["changed"]["sources"].to_string();
    assert!(
        sources.contains("rbplantpoison-1.2.tar.gz") && sources.contains("rbplantpoison-1.3.tar.gz"),
        "{sources}"
    );
    assert_eq!(of("rbplantnoise")["control"]["subject"], "pypi:rbplantnoise==1.2");

    // Everybody was told, once.
    let mut heard: Vec<_> = nights
        .told()
        .iter()
        .map(|alarm| alarm["subject"].to_string())
        .collect();
    heard.sort();
    heard.dedup();
    assert_eq!((heard.len(), nights.told().len()), (4, 4));
    let requests = nights.receiver.requests();
    assert_eq!(requests.len(), 4);
    assert!(
        requests
            .iter()
            .all(|it| it.to_lowercase().contains("x-rebuilder-signature: sha256="))
    );
    let feed = fs::read_to_string(at("feed.xml")).unwrap();
    assert_eq!(feed.matches("<entry>").count(), 4, "{feed}");

    // The source of a version that was good is replaced: what got worse comes first, with an exit code of its own.
    nights.files.lock().unwrap().replace_source("rbplantnone", "1.2");
    let (code, summary) = nights.night(Tonight::Fine, &["pypi:rbplantnone==1.2"], &["--again"]);
    assert_eq!(code, 6, "{summary}");
    assert_eq!(summary["regressed"][0]["subject"], "pypi:rbplantnone==1.2");
    let words = ["pypi:rbplantnone==1.2", "confirmed", "same-version", "reproduced"].map(str::to_owned);
    let [subject, worth, rule, control] = words;
    assert_eq!(told(&summary), [(subject, worth, rule, control)], "{summary}");
    assert_eq!(nights.told().len(), 5);
}
