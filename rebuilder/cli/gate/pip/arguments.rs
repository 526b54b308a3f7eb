//! The arguments of `pip install`, taken apart: where to look, how to resolve, and where to install.
//!
//! Only options that are known are taken, as one that is not could bring code to run before it is checked.

use std::path::Path;

use super::file::{self, Line};
use super::requirement::{self, Requirement};
use super::settings::Setting;
use crate::bounded;
use crate::cli::failure::Failure;

/// The runs of pip that an option is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Resolve,
    Download,
    Install,
}

/// Arguments that were read.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    options: Vec<(&'static Known, Option<String>)>,
    /// Requirements, one a line, for a file of the gate's own.
    pub requirements: Vec<String>,
    /// Constraints likewise.
    pub constraints: Vec<String>,
    /// Addresses of wheels among both.
    urls: Vec<String>,
}

/// An option of pip.
#[derive(Debug)]
struct Known {
    name: &'static str,
    short: Option<&'static str>,
    has_value: bool,
    phases: &'static [Phase],
}

const ALL: &[Phase] = &[Phase::Resolve, Phase::Download, Phase::Install];
const FETCH: &[Phase] = &[Phase::Resolve, Phase::Download];
const PLACE: &[Phase] = &[Phase::Resolve, Phase::Install];
const RESOLVE: &[Phase] = &[Phase::Resolve];
const INSTALL: &[Phase] = &[Phase::Install];

const fn with(name: &'static str, short: Option<&'static str>, phases: &'static [Phase]) -> Known {
    Known {
        name,
        short,
        has_value: true,
        phases,
    }
}

const fn flag(name: &'static str, short: Option<&'static str>, phases: &'static [Phase]) -> Known {
    Known {
        name,
        short,
        has_value: false,
        phases,
    }
}

static KNOWN: [Known; 40] = [
    with("--index-url", Some("-i"), FETCH),
    with("--extra-index-url", None, FETCH),
    with("--find-links", Some("-f"), FETCH),
    flag("--no-index", None, FETCH),
    flag("--pre", None, FETCH),
    with("--platform", None, ALL),
    with("--python-version", None, ALL),
    with("--implementation", None, ALL),
    with("--abi", None, ALL),
    with("--trusted-host", None, FETCH),
    with("--proxy", None, FETCH),
    with("--cert", None, FETCH),
    with("--client-cert", None, FETCH),
    with("--keyring-provider", None, FETCH),
    with("--retries", None, FETCH),
    with("--timeout", None, FETCH),
    with("--exists-action", None, FETCH),
    with("--cache-dir", None, FETCH),
    flag("--no-cache-dir", None, FETCH),
    with("--use-feature", None, ALL),
    with("--use-deprecated", None, ALL),
    with("--log", None, ALL),
    flag("--no-deps", None, RESOLVE),
    flag("--upgrade", Some("-U"), PLACE),
    with("--upgrade-strategy", None, PLACE),
    flag("--force-reinstall", None, PLACE),
    flag("--ignore-installed", Some("-I"), PLACE),
    flag("--ignore-requires-python", None, ALL),
    flag("--user", None, PLACE),
    with("--target", Some("-t"), PLACE),
    with("--root", None, PLACE),
    with("--prefix", None, PLACE),
    flag("--break-system-packages", None, PLACE),
    with("--root-user-action", None, INSTALL),
    flag("--compile", None, INSTALL),
    flag("--no-compile", None, INSTALL),
    flag("--no-warn-script-location", None, INSTALL),
    flag("--require-hashes", None, RESOLVE),
    flag("--prefer-binary", None, RESOLVE),
    flag("--require-virtualenv", None, ALL),
];

/// Options of which a setting has several values.
const REPEATED: [&str; 7] = [
    "--extra-index-url",
    "--find-links",
    "--trusted-host",
    "--platform",
    "--abi",
    "--use-feature",
    "--use-deprecated",
];

/// How deep files of requirements may name each other.
const DEPTH: u32 = 8;

impl Arguments {
    /// Reads the arguments after `--`; the settings come before them.
    pub fn read(words: &[String], settings: &[Setting]) -> Result<Self, Failure> {
        let Some(("install", rest)) = words.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
            return Err(Failure::usage(
                "cannot run this command of pip: the gate is for \"pip install\" alone".into(),
            ));
        };
        let mut read = Self::default();
        for setting in settings {
            read.setting(setting)?;
        }
        let (mut files, mut asked) = (Vec::new(), false);
        let mut rest = rest.iter().cloned();
        while let Some(word) = rest.next() {
            if !word.starts_with('-') {
                read.requirement(&word, &[], false)?;
                asked = true;
                continue;
            }
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name.to_owned(), Some(value.to_owned())),
                _ => (word.clone(), None),
            };
            let mut value = || {
                inline.clone().or_else(|| rest.next()).ok_or_else(|| {
                    Failure::usage(format!("cannot read the arguments of pip: {name} needs a value"))
                })
            };
            if let Some(constrains) = names_file(&name) {
                files.push((value()?, constrains));
                asked |= !constrains;
                continue;
            }
            let known = known(&name).ok_or_else(|| unknown(&word))?;
            let value = if known.has_value {
                Some(value()?)
            } else if inline.is_some() {
                return Err(Failure::usage(format!(
                    "cannot use {word} of pip: {name} takes no value"
                )));
            } else {
                None
            };
            read.options.push((known, value));
        }
        if !asked {
            return Err(Failure::usage("cannot run pip: nothing is required".into())
                .with_help("name packages, or a file of them with --requirement"));
        }
        // pip goes by what a file says after what the command line says.
        for (path, constrains) in files {
            read.file(Path::new(&path), constrains, DEPTH)?;
        }
        Ok(read)
    }

    /// The options for one run.
    pub fn of(&self, phase: Phase) -> Vec<String> {
        let of = |(known, value): &(&Known, Option<String>)| match value {
            Some(value) => format!("{}={value}", known.name),
            None => known.name.to_owned(),
        };
        let options = self.options.iter();
        options
            .filter(|(known, _)| known.phases.contains(&phase))
            .map(of)
            .collect()
    }

    /// Whether the user named this address.
    pub fn names_url(&self, url: &str) -> bool {
        self.urls.iter().any(|known| known == url)
    }

    /// An option that is set in the environment or in pip's configuration.
    fn setting(&mut self, setting: &Setting) -> Result<(), Failure> {
        let known = known(&format!("--{}", setting.name)).ok_or_else(|| setting.refused())?;
        if !known.has_value {
            if setting.is_on()? {
                self.options.push((known, None));
            }
        } else if REPEATED.contains(&known.name) {
            let values = setting.value.split_whitespace();
            self.options
                .extend(values.map(|value| (known, Some(value.to_owned()))));
        } else {
            self.options.push((known, Some(setting.value.clone())));
        }
        Ok(())
    }

    /// A requirement must be a name, or the address of a wheel.
    fn requirement(&mut self, text: &str, hashes: &[String], constrains: bool) -> Result<(), Failure> {
        match requirement::read(text) {
            None => {
                return Err(Failure::usage(format!(
                    "cannot check {text:?}: pip runs the code of folders, repositories and source archives to resolve them"
                ))
                .with_help("require a released package as NAME==VERSION, or a wheel by its http address"));
            }
            Some(Requirement::Named) => {}
            Some(Requirement::Wheel(url)) => self.urls.push(url),
        }
        let line = [&[text.to_owned()], hashes].concat().join(" ");
        if constrains {
            self.constraints.push(line);
        } else {
            self.requirements.push(line);
        }
        Ok(())
    }

    /// A file of requirements or constraints, and those that it names.
    fn file(&mut self, path: &Path, constrains: bool, depth: u32) -> Result<(), Failure> {
        let unusable = |reason: String| {
            Failure::usage(format!(
                "cannot use the requirements {}: {reason}",
                path.display()
            ))
            .with_help("docs/gates.md says what such a file may have")
        };
        let below = depth
            .checked_sub(1)
            .ok_or_else(|| unusable("they name each other".into()))?;
        let text =
            bounded::read_text(path, bounded::DOCUMENT).map_err(|error| unusable(error.to_string()))?;
        for line in file::read(&text).map_err(unusable)? {
            match line {
                Line::Requirement(text, hashes) => self.requirement(&text, &hashes, constrains)?,
                Line::Option(name, value) => {
                    let value = value.as_deref();
                    if let (Some(constrains), Some(value)) = (names_file(&name), value) {
                        self.file(&file::beside(path, value), constrains, below)?;
                    } else if let Some(known) = known(&name) {
                        self.options
                            .push((known, value.map(|value| file::place(path, known.name, value))));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether an option names a file of constraints, or of requirements.
fn names_file(name: &str) -> Option<bool> {
    match name {
        "-r" | "--requirement" => Some(false),
        "-c" | "--constraint" => Some(true),
        _ => None,
    }
}

fn known(name: &str) -> Option<&'static Known> {
    KNOWN
        .iter()
        .find(|known| known.name == name || known.short == Some(name))
}

fn unknown(word: &str) -> Failure {
    let builds = ["-e", "--editable", "--no-binary", "--only-binary"];
    let why = if builds.iter().any(|name| word.starts_with(name)) {
        "the gate takes released wheels alone, as pip runs the code of everything else before it can be checked"
    } else {
        "the gate does not know this option"
    };
    Failure::usage(format!("cannot use {word} of pip: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Arguments, String> {
        let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        Arguments::read(&words, &[]).map_err(|failure| failure.message())
    }

    #[test]
    fn options_go_where_they_belong() {
        let given = read("install -i https://i.example/simple --target=lib idna==3.10 -U attrs>=20").unwrap();
        assert_eq!(given.requirements, ["idna==3.10", "attrs>=20"]);
        let (index, target) = (
            ["--index-url=https://i.example/simple"],
            ["--target=lib", "--upgrade"],
        );
        assert_eq!(given.of(Phase::Resolve), [&index[..], &target[..]].concat());
        assert_eq!(given.of(Phase::Download), index);
        assert_eq!(given.of(Phase::Install), target);
    }

    #[test]
    fn refuses_what_runs_code_before_it_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let nested = file(
            "nested.txt",
            "idna \\\n  --hash=sha256:00\n-e git+https://h.example/r\n",
        );
        for (text, reason) in [
            ("download idna".to_owned(), "alone"),
            ("install -e .".to_owned(), "-e"),
            ("install .".to_owned(), "folders"),
            ("install git+https://h.example/r".to_owned(), "folders"),
            ("install a@git+https://h.example/r".to_owned(), "folders"),
            ("install https://h.example/a-1.tar.gz".to_owned(), "folders"),
            ("install https://h.example/a-1.tar.gz#x.whl".to_owned(), "folders"),
            ("install --no-binary :all: idna".to_owned(), "--no-binary"),
            ("install --config-settings a=b idna".to_owned(), "does not know"),
            ("install --target".to_owned(), "needs a value"),
            (format!("install -r {nested}"), "-e cannot be used"),
            (
                format!("install -r {}", file("loop.txt", "-r loop.txt\n")),
                "name each other",
            ),
            ("install --pre=-e idna".to_owned(), "takes no value"),
            ("install -c constraints.txt".to_owned(), "nothing is required"),
            ("install --upgrade".to_owned(), "nothing is required"),
            ("install idna.zip".to_owned(), "folders"),
            (
                "install -r https://h.example/r.txt".to_owned(),
                "cannot use the requirements",
            ),
            (
                format!("install -r {}", file("at.txt", "a @ file:///tmp/a\n")),
                "folders",
            ),
        ] {
            let error = read(&text).map(|_| ()).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
        for text in [
            "install idna==3.10".to_owned(),
            "install idna[all]>=3;python_version>'3'".to_owned(),
            "install https://h.example/a-1-py3-none-any.whl".to_owned(),
            format!(
                "install -r {}",
                file("good.txt", "# all\nidna==3.10 --hash=sha256:00 # why\n")
            ),
        ] {
            assert!(read(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn pip_is_given_what_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir_all(folder.path().join("below/wheels")).unwrap();
        write(
            "all.txt",
            "--pre\n-r below/more.txt\n-c limits.txt\nidna \\\n --hash sha256:00 # why\n",
        );
        write(
            "below/more.txt",
            "-f wheels\n-i https://file.example/simple\nattrs>=20 ; python_version > '3'\n-r ../last.txt",
        );
        write("last.txt", "six");
        // What a file of constraints requires is a requirement.
        write("limits.txt", "attrs<30\n-r required.txt\n");
        write("required.txt", "zipp\n");
        let given = read(&format!(
            "install -r {}/all.txt -i https://i.example typing-extensions",
            folder.path().display()
        ))
        .unwrap();
        let requirements = [
            "typing-extensions",
            "attrs>=20 ; python_version > '3'",
            "six",
            "zipp",
            "idna --hash=sha256:00",
        ];
        assert_eq!(given.requirements, requirements);
        assert_eq!(given.constraints, ["attrs<30"]);
        let links = format!("--find-links={}/below/wheels", folder.path().display());
        let options = [
            "--index-url=https://i.example",
            "--pre",
            &links,
            "--index-url=https://file.example/simple",
        ];
        assert_eq!(given.of(Phase::Resolve), options);
    }

    #[test]
    fn settings_are_taken_as_their_options_are() {
        let words = ["install".to_owned(), "idna".to_owned(), "--timeout=9".to_owned()];
        let with = |name: &str, value: &str| {
            let setting = Setting {
                name: name.to_owned(),
                value: value.to_owned(),
            };
            let read = Arguments::read(&words, &[setting]).map_err(|failure| failure.message())?;
            Ok::<_, String>(read.of(Phase::Resolve).join(" "))
        };
        for (name, value, options) in [
            (
                "index-url",
                "https://i.example",
                "--index-url=https://i.example --timeout=9",
            ),
            (
                "extra-index-url",
                "a b\nc",
                "--extra-index-url=a --extra-index-url=b --extra-index-url=c --timeout=9",
            ),
            ("timeout", "180", "--timeout=180 --timeout=9"),
            ("pre", "yes", "--pre --timeout=9"),
            ("pre", "0", "--timeout=9"),
            ("target", "a b", "--target=a b --timeout=9"),
        ] {
            assert_eq!(with(name, value).as_deref(), Ok(options), "{name}");
        }
        for name in [
            "requirement",
            "constraint",
            "editable",
            "no-binary",
            "python",
            "group",
            "config-settings",
            "unheard-of",
        ] {
            assert!(with(name, "x").is_err_and(|error| error.contains(name)), "{name}");
        }
        assert!(with("pre", "perhaps").is_err());
    }
}
