//! The arguments of `npm ci` and `npm install`. Only options that cannot change what is installed are accepted.
//!
//! npm accepts any prefix of an option's name (`--pre` is `--prefix`), with any number of dashes. So an option must be
//! written in full, as in the table; npm is given each in the form `--name=value`.

use super::lock;
use crate::cli::failure::Failure;

/// An option of npm that the gate accepts.
struct Known {
    name: &'static str,
    short: Option<&'static str>,
    has_value: bool,
    /// Whether only the run that resolves accepts it.
    resolves: bool,
}

const fn known(name: &'static str, short: Option<&'static str>, has_value: bool, resolves: bool) -> Known {
    Known {
        name,
        short,
        has_value,
        resolves,
    }
}

static KNOWN: [Known; 34] = [
    known("omit", None, true, false),
    known("include", None, true, false),
    known("workspace", Some("-w"), true, false),
    known("install-strategy", None, true, false),
    known("loglevel", None, true, false),
    known("workspaces", Some("-ws"), false, false),
    known("include-workspace-root", Some("-iwr"), false, false),
    known("ignore-scripts", None, false, false),
    known("foreground-scripts", None, false, false),
    known("legacy-peer-deps", None, false, false),
    known("strict-peer-deps", None, false, false),
    known("engine-strict", None, false, false),
    known("bin-links", None, false, false),
    known("production", None, false, false),
    known("audit", None, false, false),
    known("fund", None, false, false),
    known("progress", None, false, false),
    known("color", None, false, false),
    known("timing", None, false, false),
    known("update-notifier", None, false, false),
    known("prefer-offline", None, false, true),
    known("prefer-online", None, false, true),
    known("prefer-dedupe", None, false, true),
    known("save", Some("-S"), false, true),
    known("save-prod", Some("-P"), false, true),
    known("save-dev", Some("-D"), false, true),
    known("save-optional", Some("-O"), false, true),
    known("save-peer", None, false, true),
    known("save-exact", Some("-E"), false, true),
    known("save-prefix", None, true, true),
    known("tag", None, true, true),
    known("before", None, true, true),
    known("fetch-retries", None, true, true),
    known("fetch-timeout", None, true, true),
];

/// Options that make npm install something that was not checked, or install elsewhere.
const STEERING: [(&str, &str); 9] = [
    ("prefix", "C"),
    ("global", "g"),
    ("location", "L"),
    ("force", "f"),
    ("os", ""),
    ("cpu", ""),
    ("libc", ""),
    ("userconfig", ""),
    ("globalconfig", ""),
];

/// What npm is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Options and packages of the run that resolves; `npm ci` has none.
    pub resolve: Option<Vec<String>>,
    /// Options of the run that installs.
    pub install: Vec<String>,
}

impl Request {
    /// Reads the arguments after `--`.
    pub fn read(words: &[String]) -> Result<Self, Failure> {
        let (first, rest) = words
            .split_first()
            .map_or(("", words), |(first, rest)| (first.as_str(), rest));
        let resolves = match first {
            "ci" | "clean-install" => false,
            "install" | "i" | "add" => true,
            _ => {
                return Err(Failure::usage(
                    "cannot run this npm command: the gate supports \"npm ci\" and \"npm install\"".into(),
                ));
            }
        };
        let (mut all, mut install, mut packages) = (Vec::new(), Vec::new(), Vec::new());
        let mut rest = rest.iter().map(String::as_str).peekable();
        while let Some(word) = rest.next() {
            if !word.starts_with('-') {
                if !resolves {
                    // npm would take it for a package.
                    return Err(Failure::usage(format!(
                        "cannot run npm ci: it does not accept {word:?}"
                    )));
                }
                named(word)?;
                packages.push(word.to_owned());
                continue;
            }
            let (known, value) = option(word)?;
            if known.resolves && !resolves {
                return Err(refused(word, "\"npm ci\" does not accept it"));
            }
            let text = match value {
                Value::Given(value) => format!("--{}={value}", known.name),
                Value::Next => match rest.next() {
                    Some(value) if !value.starts_with('-') => format!("--{}={value}", known.name),
                    _ => return Err(refused(word, "it needs a value")),
                },
                // npm would take the next word for the flag's value.
                Value::Flag(_) if matches!(rest.peek(), Some(&("true" | "false" | "null"))) => {
                    return Err(refused(word, "its value must follow a \"=\""));
                }
                Value::Flag(on) => format!("--{}={on}", known.name),
            };
            if !known.resolves {
                install.push(text.clone());
            }
            all.push(text);
        }
        all.extend(packages);
        Ok(Self {
            resolve: resolves.then_some(all),
            install,
        })
    }
}

enum Value<'a> {
    Flag(bool),
    Given(&'a str),
    Next,
}

fn option(word: &str) -> Result<(&'static Known, Value<'_>), Failure> {
    if let Some(known) = KNOWN.iter().find(|known| known.short == Some(word)) {
        let value = if known.has_value {
            Value::Next
        } else {
            Value::Flag(true)
        };
        return Ok((known, value));
    }
    let (name, given) = word
        .split_once('=')
        .map_or((word, None), |(name, value)| (name, Some(value)));
    let by_name = |name: &str| KNOWN.iter().find(|known| known.name == name);
    let long = name.strip_prefix("--").unwrap_or_default();
    let negated = long.strip_prefix("no-").and_then(by_name);
    let value = match (by_name(long), negated, given) {
        (Some(known), _, None) if known.has_value => (known, Value::Next),
        (Some(known), _, Some(value)) if known.has_value => (known, Value::Given(value)),
        (Some(known), _, None | Some("true")) => (known, Value::Flag(true)),
        (Some(known), _, Some("false")) => (known, Value::Flag(false)),
        (None, Some(known), None) if !known.has_value => (known, Value::Flag(false)),
        _ => return Err(unknown(word)),
    };
    Ok(value)
}

fn unknown(word: &str) -> Failure {
    let mut bare = word.trim_start_matches('-').split('=').next().unwrap_or_default();
    while let Some(rest) = bare
        .get(..3)
        .filter(|no| no.eq_ignore_ascii_case("no-"))
        .and(bare.get(3..))
    {
        bare = rest;
    }
    let steers = STEERING
        .iter()
        .find(|(name, short)| !bare.is_empty() && (*short == bare || name.starts_with(bare)));
    match steers {
        Some((name, _)) => refused(
            word,
            &format!("npm reads it as --{name}, and could then install something that was not checked"),
        ),
        None => refused(word, "the gate does not support this option or this value"),
    }
}

fn refused(word: &str, why: &str) -> Failure {
    Failure::usage(format!("cannot use {word} of npm: {why}")).with_help(
        "write options in full (docs/gates.md lists them), and set registries and proxies in .npmrc",
    )
}

/// A package that npm finds by its name. To resolve any other, npm runs git or packs a folder.
fn named(word: &str) -> Result<(), Failure> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "@/._-~^<>=|*+ ".contains(c);
    let scope = word.strip_prefix('@').and_then(|rest| rest.split_once('/'));
    let bare = scope.map_or(word, |(_, bare)| bare);
    let (name, spec) = bare.split_once('@').unwrap_or((bare, ""));
    let fits = |part: &str| !part.is_empty() && lock::is_registry(part);
    if word.chars().all(is_name)
        && scope.is_none_or(|(scope, _)| fits(scope) && !scope.contains('@'))
        && fits(name)
        && lock::is_registry(spec)
    {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "cannot check {word:?}: only packages from a registry can be checked"
    ))
    .with_help("install a released package by its name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, String> {
        let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        Request::read(&words).map_err(|failure| failure.message())
    }

    #[test]
    fn takes_packages_of_registries_alone() {
        for word in [
            "left-pad",
            "left-pad@1.3.0",
            "left-pad@latest",
            "left-pad@>=1.0.0 <2",
            "left-pad@~1.3",
            "@scope/name@^1.0.0",
            "@scope/name",
        ] {
            assert!(named(word).is_ok(), "{word}");
        }
        for word in [
            "",
            ".",
            "./folder",
            "../folder",
            "/tmp/a.tgz",
            "a.tgz",
            "a.TGZ",
            "a.tar",
            "name@a.tar.gz",
            "name@.",
            "name@..",
            "name@ .",
            "~/folder",
            "@scope/name@.",
            "owner/repository",
            "git+https://h.example/r",
            "https://h.example/a.tgz",
            "github:owner/repository",
            "alias@npm:other",
            "name@file:folder",
        ] {
            assert!(named(word).is_err(), "{word}");
        }
    }

    #[test]
    fn options_are_given_in_one_form() {
        for (text, resolve, install) in [
            ("ci", None, ""),
            (
                "ci --omit dev --include=optional",
                None,
                "--omit=dev --include=optional",
            ),
            (
                "ci --ignore-scripts -w a",
                None,
                "--ignore-scripts=true --workspace=a",
            ),
            ("ci --no-bin-links", None, "--bin-links=false"),
            (
                "install -D --omit=dev left-pad",
                Some("--save-dev=true --omit=dev left-pad"),
                "--omit=dev",
            ),
            ("i --no-save left-pad", Some("--save=false left-pad"), ""),
            ("install", Some(""), ""),
        ] {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let request = Request {
                resolve: resolve.map(words),
                install: words(install),
            };
            assert_eq!(read(text), Ok(request), "{text}");
        }
    }

    #[test]
    fn refuses_options_that_steer_npm_elsewhere() {
        for command in ["ci", "install", "install left-pad"] {
            for (option, name) in [
                ("--prefix=/tmp/x", "--prefix"),
                ("--prefix /tmp/x", "--prefix"),
                ("--prefi=/tmp/x", "--prefix"),
                ("-prefix=/tmp/x", "--prefix"),
                ("---prefix=/tmp/x", "--prefix"),
                ("-C /tmp/x", "--prefix"),
                ("-C=/tmp/x", "--prefix"),
                ("-g", "--global"),
                ("--global", "--global"),
                ("--no-no-global", "--global"),
                ("--glob", "--global"),
                ("--location=global", "--location"),
                ("--location global", "--location"),
                ("-L global", "--location"),
                ("--os=darwin", "--os"),
                ("--os darwin", "--os"),
                ("--cpu=arm", "--cpu"),
                ("--cp arm", "--cpu"),
                ("--libc=musl", "--libc"),
                ("--userconfig=x", "--userconfig"),
                ("--userc x", "--userconfig"),
                ("--globalconfig=x", "--global"),
                ("--globalc x", "--globalconfig"),
                ("--force", "--force"),
                ("-f", "--force"),
                ("--No-force", "--force"),
            ] {
                let error = read(&format!("{command} {option}")).unwrap_err();
                assert!(
                    error.contains(&format!("reads it as {name}")),
                    "{command} {option}: {error}"
                );
            }
        }
    }

    #[test]
    fn refuses_options_that_it_does_not_know() {
        for command in ["ci", "install", "install left-pad"] {
            for option in [
                "--",
                "---",
                "-",
                "-gf",
                "--cache=x",
                "--registry=x",
                "--package-lock=false",
                "--offline=false",
                "--git=x",
                "--no-omit",
                "--omit",
                "--omit -w",
                "--ignore-scripts=x",
                "--ignore-script",
                "--ignore-scripts false",
                "--ignore-scriptsX",
                "--omitted=dev",
                "--install-links",
                "--node-options=x",
                "--script-shell=x",
                "--lockfile-version=1",
                "--unheard-of",
            ] {
                let error = read(&format!("{command} {option}")).unwrap_err();
                assert!(error.contains("cannot use -"), "{command} {option}: {error}");
            }
        }
    }

    #[test]
    fn refuses_what_does_not_belong_to_a_command() {
        for text in [
            "ci --save-dev",
            "ci left-pad",
            "ci true",
            "exec left-pad",
            "",
            "--prefix=x ci",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
