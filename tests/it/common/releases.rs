//! Releases of packages that anybody can build, with what may go wrong planted into one of each, and an index that has
//! them. One package has its source in git only, at the tags of its versions.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use rebuilder::artifact::Sha256;
use serde_json::json;

use crate::common::http::Reply;
use crate::common::{git, text};

/// A build backend that needs nothing (PEP 517), and gives the same bytes with any Python.
const BACKEND: &str = r#"
import base64, hashlib, os, zipfile

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    name, version = open("VERSION").read().split()
    info = f"{name}-{version}.dist-info"
    files = {f"{name}/{file}": open(f"{name}/{file}", "rb").read() for file in sorted(os.listdir(name))}
    if os.path.exists("NOISE"):
        files[f"{name}/stamp.py"] = f"STAMP = {os.urandom(8).hex()!r}\n".encode()
    files[f"{info}/METADATA"] = open("PKG-INFO", "rb").read()
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

/// Builds the tree in each folder, in one process.
const BUILD_ALL: &str = "import os, sys
top = sys.argv[1]
sys.path.insert(0, os.path.join(top, '0'))
import backend
for number in range(int(sys.argv[2])):
    os.chdir(os.path.join(top, str(number)))
    print(backend.build_wheel('.'))
";

/// Owner of the repository at the public host.
const OWNER: &str = "rbplant";

/// What is wrong with a release.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    Nothing,
    /// The source distribution has code that the wheel was not built from.
    PoisonedSource,
    /// A file of the wheel was changed after it was built.
    ChangedFile,
    /// A file of the source is not in the wheel.
    DroppedFile,
    /// No two builds are the same.
    Noise,
    /// The source is the tag of a version, which leads to another commit later.
    MovedTag,
}

/// The files of a source tree.
type Tree = BTreeMap<String, String>;

fn tree(name: &str, version: &str) -> Tree {
    let home = format!("https://github.com/{OWNER}/{name}");
    let files = [
        (
            "PKG-INFO",
            format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nHome-page: {home}\n"),
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

fn lay_out(tree: &Tree, folder: &Path) {
    for (path, content) in tree {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
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

fn wheels(trees: &[Tree]) -> Vec<Vec<u8>> {
    let top = tempfile::tempdir().unwrap();
    for (number, tree) in trees.iter().enumerate() {
        lay_out(tree, &top.path().join(number.to_string()));
    }
    let built = Command::new("python3")
        .args(["-B", "-c", BUILD_ALL])
        .arg(top.path())
        .arg(trees.len().to_string())
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", text(&built));
    let names = String::from_utf8(built.stdout).unwrap();
    let read = |(number, name): (usize, &str)| fs::read(top.path().join(number.to_string()).join(name));
    names.lines().enumerate().map(|it| read(it).unwrap()).collect()
}

/// How the index answers tonight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tonight {
    /// As it should.
    Fine,
    /// With 503, to everything.
    Down,
    /// It closes connections in the middle of an answer.
    CutsShort,
    /// Every source distribution has other code, and the page vouches for it: the index, or somebody before it, lies.
    Lies,
}

/// A file that was released.
struct Released {
    project: String,
    version: u8,
    name: String,
    bytes: Vec<u8>,
    /// What the index gives while it lies.
    lie: Vec<u8>,
}

/// What was released.
pub struct Releases {
    pub tonight: Tonight,
    all: Vec<Released>,
}

impl Releases {
    /// Releases version `1.NUMBER` of each of these; git repositories are in `folder`.
    pub fn new(all: &[(&str, u8, Plant)], folder: &Path) -> Self {
        let mut sources = Vec::new();
        let mut built = Vec::new();
        for &(name, number, plant) in all {
            let mut source = tree(name, &format!("1.{number}"));
            if plant == Plant::Noise {
                source.insert("NOISE".into(), String::new());
            }
            let init = format!("{name}/__init__.py");
            let mut tree = source.clone();
            match plant {
                Plant::PoisonedSource => source.get_mut(&init).unwrap().push_str("import os\n"),
                Plant::ChangedFile => tree.get_mut(&init).unwrap().push_str("DEBUG = True\n"),
                Plant::DroppedFile => drop(tree.remove(&format!("{name}/data.txt"))),
                Plant::Nothing | Plant::Noise | Plant::MovedTag => {}
            }
            sources.push(source);
            built.push(tree);
        }
        let mut releases = Self {
            tonight: Tonight::Fine,
            all: Vec::new(),
        };
        for ((&(name, number, plant), source), wheel) in all.iter().zip(sources).zip(wheels(&built)) {
            let version = format!("1.{number}");
            releases.add(
                (name, number),
                format!("{name}-{version}-py3-none-any.whl"),
                wheel.clone(),
                wheel,
            );
            if plant == Plant::MovedTag {
                tag(folder, name, &version, &source);
                continue;
            }
            let mut lie = source.clone();
            let init = lie.get_mut(&format!("{name}/__init__.py")).unwrap();
            init.push_str("import socket\n");
            let (bytes, lie) = (sdist(name, &version, &source), sdist(name, &version, &lie));
            releases.add((name, number), format!("{name}-{version}.tar.gz"), bytes, lie);
        }
        releases
    }

    fn add(&mut self, (project, version): (&str, u8), name: String, bytes: Vec<u8>, lie: Vec<u8>) {
        self.all.push(Released {
            project: project.to_owned(),
            version,
            name,
            bytes,
            lie,
        });
    }

    /// The bytes of a released file.
    pub fn file(&self, name: &str) -> Vec<u8> {
        self.all
            .iter()
            .find(|file| file.name == name)
            .unwrap()
            .bytes
            .clone()
    }

    pub fn answer(&self, path: &str) -> Reply {
        match self.tonight {
            Tonight::Down => return Reply::status(503),
            Tonight::CutsShort => return Reply::Broken,
            Tonight::Fine | Tonight::Lies => {}
        }
        let given = |file: &Released| {
            let lies = self.tonight == Tonight::Lies;
            if lies {
                file.lie.clone()
            } else {
                file.bytes.clone()
            }
        };
        if let Some(project) = path.strip_prefix("/simple/") {
            let project = project.trim_end_matches('/');
            let of = self.all.iter().filter(|file| file.project == project);
            let files: Vec<_> = of
                .map(|file| {
                    let (bytes, name) = (given(file), &file.name);
                    json!({
                        "filename": name, "url": format!("https://files.pythonhosted.org/packages/{name}"),
                        "hashes": {"sha256": Sha256::of(&bytes[..]).to_string()}, "size": bytes.len(),
                        "upload-time": format!("2025-03-{:02}T00:00:00Z", file.version + 1), "yanked": false
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
        let found = self.all.iter().find(|released| released.name == file);
        found.map_or(Reply::status(404), |file| Reply::ok(given(file)))
    }
}

/// Commits a tree and tags it; its mirror has it at once.
fn tag(folder: &Path, name: &str, version: &str, tree: &Tree) {
    let (work, mirror) = (folder.join("work").join(name), mirrors(folder).join(OWNER));
    let bare = mirror.join(format!("{name}.git"));
    if !work.exists() {
        fs::create_dir_all(&work).unwrap();
        fs::create_dir_all(&mirror).unwrap();
        git(&work, &["init", "--quiet"]);
        git(&mirror, &["init", "--quiet", "--bare", &format!("{name}.git")]);
    }
    lay_out(tree, &work);
    git(&work, &["add", "--all"]);
    git(&work, &["commit", "--quiet", "--allow-empty", "-m", version]);
    git(&work, &["tag", "--force", &format!("v{version}")]);
    let to = bare.to_str().unwrap();
    git(&work, &["push", "--quiet", "--force", "--all", to]);
    git(&work, &["push", "--quiet", "--force", "--tags", to]);
}

/// Where mirrors of a public host's repositories are.
pub fn mirrors(folder: &Path) -> std::path::PathBuf {
    folder.join("mirrors")
}

/// Moves a tag to a commit with other code.
pub fn move_tag(folder: &Path, name: &str, version: &str) {
    let mut source = tree(name, version);
    let init = source.get_mut(&format!("{name}/__init__.py")).unwrap();
    init.push_str("import pickle\n");
    tag(folder, name, version, &source);
}
