//! The program that calls the backend inside the sandbox, and its input.

use serde_json::json;

use super::plan::Draft;
use super::source::Place;
use super::{alternatives, backend, interpreter};
use crate::plan::{InlineFile, places};

const DRIVER: &str = include_str!("../../../recipes/pypi/build_wheel.py");

impl Draft<'_> {
    /// The driver and its input.
    pub(super) fn files(&self, hook: &str) -> Vec<InlineFile> {
        let version = &self.released.version;
        let (archive, top, folder) = match &self.source.place {
            Place::Sdist(file) => (format!("source/{}", file.file.name), None, ""),
            Place::Git { pinned, folder } => (
                pinned.place.clone(),
                Some(format!("{}-{version}", self.project.name)),
                folder.as_str(),
            ),
        };
        let platform = self.native.then(|| {
            let stem = self.released.file.name.trim_end_matches(".whl");
            newest(stem.rsplit('-').next().unwrap_or_default())
        });
        let lacking = self.source.further.as_ref().map(|further| &further.folder);
        let build = json!({
            "archive": archive,
            "lacking": lacking,
            "top": top,
            "folder": folder,
            "backend": self.source.system.build_backend,
            "backend_path": self.backend_path(),
            "hook": hook,
            "options": self.options(),
            "described": self.is_described(),
            "ordered": self.is_ordered(),
            "empty": self.source.empty,
            "arguments": self.source.arguments,
            "uniform": self.facts.clock.uniform,
            "entries": self.facts.clock.shown(),
            "windows": self.facts.windows,
            "markers": self.lacking_markers(),
            "no_mode": self.facts.no_mode,
            "python": self.shown_python(),
            "sorted": self.facts.sorted,
            "pure": self.without_extensions().then_some(&self.project.name),
            "impure": self.facts.impure,
            "platform": platform
        });
        vec![
            InlineFile {
                place: places::DRIVER.into(),
                text: DRIVER.into(),
            },
            InlineFile {
                place: places::DRIVER_INPUT.into(),
                text: format!("{build}\n"),
            },
        ]
    }

    /// The markers of PEP 561 that the source may lack, by their names in the released wheel.
    pub(super) fn lacking_markers(&self) -> Vec<&str> {
        let wanted = self.planner.hints.settings.markers.is_some();
        let sdist = matches!(self.source.place, Place::Sdist(_));
        let names = self.facts.clock.entries.keys().filter(|_| wanted && sdist);
        let markers = names.filter(|name| alternatives::is_marker(name));
        markers.map(String::as_str).collect()
    }

    /// Whether the source distribution's own metadata gives the description.
    pub(super) fn is_described(&self) -> bool {
        self.planner.hints.settings.description.is_some() && self.has_own_metadata()
    }

    /// Whether the source distribution's own list gives the order of requirements.
    pub(super) fn is_ordered(&self) -> bool {
        self.planner.hints.settings.order.is_some() && self.has_own_metadata()
    }

    /// Whether the source is a distribution with metadata that setuptools wrote.
    fn has_own_metadata(&self) -> bool {
        let setuptools = self.source.system.build_backend.starts_with("setuptools");
        setuptools && matches!(self.source.place, Place::Sdist(_))
    }

    /// Whether setuptools must not build compiled code, since the released wheel has none.
    pub(super) fn without_extensions(&self) -> bool {
        let names = self.facts.clock.entries.keys();
        let compiled = |name: &String| name.ends_with(".so") || name.ends_with(".pyd");
        // A tool of another kind may have signed the wheel, as those of Bazel and Pants do; setuptools builds it here.
        let builds = self.source.system.build_backend.starts_with("setuptools");
        let setuptools = builds || backend::by_setuptools(&self.facts.generator);
        !self.native && setuptools && !names.into_iter().any(compiled)
    }

    /// The version of Python that the wheel names, if no interpreter of that version builds it.
    pub(super) fn shown_python(&self) -> Option<&str> {
        let version = self.facts.python.as_ref().map(|sign| sign.version.as_str());
        version.filter(|version| *version != self.python.interpreter.version())
    }

    /// Options of bdist_wheel that follow from the wheel's tags.
    pub(super) fn options(&self) -> serde_json::Map<String, serde_json::Value> {
        let mut options = serde_json::Map::new();
        let name = &self.released.file.name;
        if backend::by_setuptools(&self.facts.generator) && !self.native {
            if name.contains("-py2.py3-none-any") {
                options.insert("universal".into(), json!(1));
            } else if let Some(tag) = interpreter::odd_tag(name)
                && backend::has_tag_option(&self.facts.generator)
            {
                options.insert("python_tag".into(), json!(tag));
            }
        }
        options
    }

    /// The folders of the source that contain the backend itself, unless another version of that backend built the
    /// wheel.
    pub(super) fn backend_path(&self) -> &[String] {
        let version = self.released.version.to_string();
        if bootstraps(&self.facts.generator, &self.project.name, &version) {
            &self.source.system.backend_path
        } else {
            &[]
        }
    }
}

/// Whether a backend that is itself built may have built itself, rather than an earlier version of it.
fn bootstraps(generator: &str, project: &str, version: &str) -> bool {
    generator.split_once(' ').is_none_or(|(name, signed)| {
        let signed = signed.trim_matches(['(', ')']);
        name != project || signed == version || signed.contains("+local")
    })
}

/// The platform tag of those in a file name that asks for the newest system: auditwheel adds those of all older ones
/// that a wheel runs on.
fn newest(tags: &str) -> &str {
    let glibc = |tag: &str| -> u32 {
        let rest = tag.strip_prefix("manylinux").unwrap_or_default();
        let version = rest
            .strip_prefix("_2_")
            .and_then(|rest| rest.split('_').next()?.parse().ok());
        version.unwrap_or(match rest.split('_').next() {
            Some("1") => 5,
            Some("2010") => 12,
            Some("2014") => 17,
            _ => 0,
        })
    };
    let newer = |one, other| if glibc(other) > glibc(one) { other } else { one };
    tags.split('.').reduce(newer).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write as _, stderr};
    use std::process::Command;

    use super::{DRIVER, bootstraps, newest};

    /// Checks what a script prints that uses functions of the driver, in an empty folder. Without Python, the test is
    /// skipped, and says so.
    fn prints(script: &str, expected: &str) {
        let functions = DRIVER.strip_suffix("\nmain()\n").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let ran = Command::new("python3")
            .current_dir(folder.path())
            .args(["-c", &format!("{functions}\n{script}")])
            .output();
        let ran = match ran {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let required = std::env::var_os("REBUILDER_REQUIRE_SERVICES").is_some();
                assert!(!required, "python3 is missing");
                // Past the harness, which keeps what a test prints to itself.
                let _ = writeln!(stderr(), "skipped: a test of the wheel driver needs python3");
                return;
            }
            ran => ran.unwrap(),
        };
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        assert_eq!(String::from_utf8(ran.stdout).unwrap().trim_end(), expected);
    }

    #[test]
    fn files_that_a_build_writes_show_the_time_of_its_own_record() {
        let script = "
entry = lambda time: {\"time\": time, \"mode\": 0o644, \"position\": 0}
print(Shown({\"a/_vendor/b-1.dist-info/RECORD\": entry(1), \"a-1.dist-info/RECORD\": entry(2)}, False).now)
";
        prints(script, "2");
    }

    #[test]
    fn a_file_shows_another_mode_and_time_on_every_python() {
        let script = "
open(\"a\", \"w\").close()
shown = Shown({\"a\": {\"time\": 10, \"mode\": 0o640, \"position\": 0}}, False)
result = shown.shown(os.stat(\"a\"), \"a\")
print(oct(result.st_mode), oct(result[0]), result.st_mtime, result[8], result.st_mtime_ns, result.st_size)
";
        let expected = "0o100640 0o100640 10.0 10 10000000000 0";
        prints(script, expected);
    }

    #[test]
    fn a_source_has_the_time_of_the_file_that_is_not_beside_the_metadata() {
        let script = "
entry = lambda time: {\"time\": time, \"mode\": 0o644, \"position\": 0}
open(\"LICENSE\", \"w\").close()
date_sources(os.getcwd(), {\"a-1.dist-info/LICENSE\": entry(10), \"a-1.data/data/LICENSE\": entry(20)}, None)
print(int(os.stat(\"LICENSE\").st_mtime))
";
        prints(script, "20");
    }

    #[test]
    fn a_source_does_not_have_the_time_of_what_another_source_is_nearer_to() {
        let script = "
entry = lambda time: {\"time\": time, \"mode\": 0o644, \"position\": 0}
os.makedirs(\"a/vendor\")
for path in (\"LICENSE\", \"a/vendor/LICENSE\"):
    open(path, \"w\").close()
date_sources(os.getcwd(), {\"a-1.dist-info/LICENSE\": entry(10), \"a/vendor/LICENSE\": entry(20)}, None)
print(*(int(os.stat(path).st_mtime) for path in (\"LICENSE\", \"a/vendor/LICENSE\")))
";
        prints(script, "10 20");
    }

    #[test]
    fn auditwheel_is_given_the_newest_platform_of_a_wheel() {
        for (tags, expected) in [
            (
                "manylinux_2_17_x86_64.manylinux2014_x86_64",
                "manylinux_2_17_x86_64",
            ),
            (
                "manylinux2014_x86_64.manylinux_2_17_x86_64",
                "manylinux2014_x86_64",
            ),
            (
                "manylinux1_x86_64.manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_5_x86_64",
                "manylinux2014_x86_64",
            ),
            (
                "manylinux2014_x86_64.manylinux_2_17_x86_64.manylinux_2_28_x86_64",
                "manylinux_2_28_x86_64",
            ),
            ("linux_x86_64", "linux_x86_64"),
        ] {
            assert_eq!(newest(tags), expected, "{tags}");
        }
    }

    #[test]
    fn a_script_shows_its_own_time_and_not_that_of_a_module() {
        let script = "
entry = lambda time: {\"time\": time, \"mode\": 0o755, \"position\": 0}
shown = Shown({\"a.py\": entry(1), \"a-1.data/scripts/a.py\": entry(2), \"a-1.dist-info/RECORD\": entry(3)}, False)
print(*(shown.entry(path)[\"time\"] for path in (\"/s/build/scripts-3.11/a.py\", \"/s/build/lib/a.py\")))
";
        prints(script, "2 1");
    }

    #[test]
    fn windows_orders_paths_without_regard_to_case() {
        let script = "
paths = [pathlib.PurePath(name) for name in (\"METADATA\", \"WHEEL\", \"entry_points.txt\", \"a/B\", \"A/a\")]
sort_paths_as_windows()
print(*sorted(paths))
";
        let expected = "A/a a/B entry_points.txt METADATA WHEEL";
        prints(script, expected);
    }

    #[test]
    fn a_member_keeps_no_mode_and_others_keep_theirs() {
        let script = "
keep_members_without_mode()
with zipfile.ZipFile(\"a.zip\", \"w\") as archive:
    archive.writestr(zipfile.ZipInfo(\"none\"), b\"\")
    archive.writestr(\"usual\", b\"\")
print(*(oct(member.external_attr >> 16) for member in zipfile.ZipFile(\"a.zip\").infolist()))
";
        prints(script, "0o0 0o600");
    }

    #[test]
    fn what_a_source_lacks_is_put_beside_what_it_has() {
        let script = "
FURTHER = os.path.abspath(\"further.tar\")
with tarfile.open(FURTHER, \"w\") as archive:
    for path in (\"p/a/kept.py\", \"p/a/added.py\", \"p/file/below.py\", \"other/x.py\"):
        member = tarfile.TarInfo(path)
        member.size, member.mode = 6, 0o644
        archive.addfile(member, io.BytesIO(b\"commit\"))
os.makedirs(\"top/a\")
for path in (\"top/a/kept.py\", \"top/file\"):
    with open(path, \"w\") as file:
        file.write(\"source\")
add_lacking(\"top\", \"/p\")
for folder, _, names in sorted(os.walk(\"top\")):
    for name in sorted(names):
        with open(os.path.join(folder, name)) as file:
            print(os.path.join(folder, name), file.read())
";
        let expected = "top/file source\ntop/a/added.py commit\ntop/a/kept.py source";
        prints(script, expected);
    }

    #[test]
    fn a_setup_finds_its_words_before_the_command() {
        let script = "
with open(\"setup.py\", \"w\") as file:
    file.write(\"import sys; print(*sys.argv)\")
run_setup(\"/out\", [\"--release\"])
";
        prints(script, "setup.py --release bdist_wheel -d /out");
    }

    #[test]
    fn a_backend_builds_itself_unless_another_version_signed() {
        for (generator, expected) in [
            ("setuptools (84.2.1)", true),
            ("setuptools (84.2.0)", false),
            ("setuptools 84.2.1", true),
            ("setuptools (0.0.0+local)", true),
            ("bdist_wheel (0.43.0)", true),
            ("", true),
        ] {
            let found = bootstraps(generator, "setuptools", "84.2.1");
            assert_eq!(found, expected, "{generator}");
        }
    }

    #[test]
    fn an_empty_folder_is_beside_the_packages() {
        let script = "
for found in (\"src/a\", \"src/a.egg-info\"):
    os.makedirs(found)
add_empty(os.getcwd(), [\"local\", \"a\"])
print(*sorted(folder for folder, _, _ in os.walk(\".\")))
";
        prints(script, ". ./src ./src/a ./src/a.egg-info ./src/local");
    }

    #[test]
    fn a_source_distribution_says_how_it_was_described() {
        let script = "
for text in (
    \"Metadata-Version: 2.1\\nDescription: A\\n        =\\n        \\n          b\\n        \\nKeywords: x\\n\",
    \"Metadata-Version: 2.2\\nName: a\\n\\nA\\n=\\n\\n  b\\n\",
    \"Metadata-Version: 1.1\\nDescription: UNKNOWN\\n\",
    \"Name: a\\n\",
):
    with open(\"PKG-INFO\", \"w\") as file:
        file.write(text)
    print(repr(description(os.getcwd())))
";
        let expected = "'A\\n=\\n\\n  b\\n'\n'A\\n=\\n\\n  b\\n'\nNone\nNone";
        prints(script, expected);
    }

    #[test]
    fn requirements_keep_the_order_of_the_source_distribution_and_nothing_else_of_it() {
        let script = "
module = types.ModuleType(\"setuptools.command.egg_info\")
class egg_info:
    egg_info = \"a.egg-info\"
    def run(self):
        for name, text in ((\"PKG-INFO\", \"A: 1\\nB: 2\\n\"), (\"requires.txt\", \"x\\ny\\n\")):
            with open(os.path.join(self.egg_info, name), \"w\") as file:
                file.write(text)
module.egg_info = egg_info
sys.modules.update({\"setuptools\": types.ModuleType(\"setuptools\"), module.__name__: module})
os.makedirs(\"a.egg-info\")
for name, text in ((\"PKG-INFO\", \"B: 2\\nA: 1\\n\"), (\"requires.txt\", \"y\\nz\\n\")):
    with open(os.path.join(\"a.egg-info\", name), \"w\") as file:
        file.write(text)
keep_order(os.getcwd())
egg_info().run()
for name in (\"PKG-INFO\", \"requires.txt\"):
    with open(os.path.join(\"a.egg-info\", name)) as file:
        print(*file.read().split())
";
        prints(script, "B: 2 A: 1\nx y");
    }

    #[test]
    fn a_marker_is_put_only_into_a_package_that_the_source_has_and_if_its_setup_names_it() {
        let script = "
open(\"setup.cfg\", \"w\").close()
os.makedirs(\"a\")
open(\"a/__init__.py\", \"w\").close()
add_markers(os.getcwd(), [\"a/py.typed\"])
print(os.listdir(\"a\"))
with open(\"setup.cfg\", \"w\") as file:
    file.write(\"a = py.typed\")
os.remove(\"a/__init__.py\")
os.rmdir(\"a\")
for path in (\"src/a/__init__.py\", \"b/module.py\"):
    os.makedirs(os.path.dirname(path))
    open(path, \"w\").close()
add_markers(os.getcwd(), [\"a/py.typed\", \"b/py.typed\", \"c/py.typed\"])
print(*sorted(os.path.join(folder, name) for folder, _, names in os.walk(\".\") for name in names if name == \"py.typed\"))
";
        prints(script, "['__init__.py']\n./src/a/py.typed");
    }
}
