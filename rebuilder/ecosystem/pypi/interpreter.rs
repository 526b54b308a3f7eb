//! The Python that builds a wheel. Most wheels do not tell, and any version will do. Some name a version in their
//! tags, their bytecode, or their commands, and some run only on certain versions.

use pep440_rs::Version;

use super::registry::ReleasedFile;
use crate::plan::{Lock, Origin};

/// Name of the assumption about the newest Python at the time of the release, if another one builds the wheel.
pub(super) const OF_DAY: &str = "newest Python at the time of the release";

/// A Python that a container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ecosystem) struct Interpreter {
    /// The minor version: 11 for 3.11.
    pub minor: u64,
    /// Name of the container.
    pub container: &'static str,
    /// The distribution that it is from, for messages.
    pub distribution: &'static str,
    /// The number at the beginning of its bytecode files.
    magic: u16,
    /// The day of its first release, such as 2022-10-24.
    since: &'static str,
}

const fn interpreter(
    minor: u64,
    container: &'static str,
    distribution: &'static str,
    magic: u16,
    since: &'static str,
) -> Interpreter {
    Interpreter {
        minor,
        container,
        distribution,
        magic,
        since,
    }
}

/// The Python for wheels that do not ask for another.
const USUAL: Interpreter = interpreter(11, "bookworm-python", "Debian 12", 3495, "2022-10-24");

/// All of them, those nearest to the default first.
const ALL: [Interpreter; 7] = [
    USUAL,
    interpreter(12, "noble-python", "Ubuntu 24.04", 3531, "2023-10-02"),
    interpreter(10, "jammy-python", "Ubuntu 22.04", 3439, "2021-10-04"),
    interpreter(13, "trixie-python", "Debian 13", 3571, "2024-10-07"),
    interpreter(9, "bullseye-python", "Debian 11", 3425, "2020-10-05"),
    interpreter(14, "resolute-python", "Ubuntu 26.04", 3627, "2025-10-07"),
    interpreter(8, "focal-python", "Ubuntu 20.04", 3413, "2019-10-14"),
];

/// The oldest, for packages that are older than all of these.
const OLDEST: Interpreter = ALL[6];

/// A version of Python that something in a wheel names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sign {
    /// Such as `3.9`.
    pub version: String,
    /// Where it was found.
    pub evidence: String,
}

/// The Python of a plan.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    pub interpreter: Interpreter,
    pub origin: Origin,
    /// The newest at the time of the release, if that is another one and nothing asked for the chosen one.
    pub of_day: Option<Interpreter>,
}

impl Interpreter {
    /// The Python with this version, such as `3.9` or `3.9.2`.
    pub(super) fn named(version: &str) -> Option<Self> {
        let mut parts = version.split('.');
        let major = parts.next()?;
        let minor: u64 = parts.next()?.parse().ok()?;
        Self::with(|it| major == "3" && it.minor == minor)
    }

    fn with(fits: impl Fn(&Self) -> bool) -> Option<Self> {
        ALL.into_iter().find(fits)
    }

    /// All versions, for messages.
    pub(super) fn known() -> String {
        let mut all: Vec<_> = ALL.iter().map(|it| it.minor).collect();
        all.sort_unstable();
        let versions: Vec<_> = all.iter().map(|minor| format!("3.{minor}")).collect();
        versions.join(", ")
    }

    /// The version, such as `3.9`.
    pub(super) fn version(self) -> String {
        format!("3.{}", self.minor)
    }

    /// The newest that had been released on a day.
    fn of_day(uploaded: jiff::Timestamp) -> Self {
        let day = uploaded.strftime("%Y-%m-%d").to_string();
        let there = ALL.into_iter().filter(|it| it.since <= day.as_str());
        there.max_by_key(|it| it.minor).unwrap_or(OLDEST)
    }
}

/// The Python of Debian 12, whatever a wheel names.
pub(super) fn usual() -> Choice {
    Choice {
        interpreter: USUAL,
        origin: Origin::Convention("the container".into()),
        of_day: None,
    }
}

/// The default Python, since the container of the chosen one is not available.
pub(super) fn instead_of(chosen: &Choice, reason: &impl ToString) -> Choice {
    let (version, container) = (chosen.interpreter.version(), chosen.interpreter.container);
    Choice {
        origin: Origin::Convention(format!(
            "the container; the release asks for Python {version}, but {container} cannot be made: {}",
            reason.to_string()
        )),
        ..usual()
    }
}

/// The Python that the wheel asks for, otherwise the default.
pub(super) fn choose(sign: Option<&Sign>, released: &ReleasedFile) -> Choice {
    let asked = |interpreter, origin| Choice {
        interpreter,
        origin,
        of_day: None,
    };
    let tag = tagged(&released.file.name);
    let sign = tag.iter().chain(sign);
    let mut signed = sign.filter_map(|sign| Some((Interpreter::named(&sign.version)?, &sign.evidence)));
    if let Some((interpreter, evidence)) = signed.next() {
        return asked(interpreter, Origin::Inferred(evidence.clone()));
    }
    if let Some(bounds) = &released.requires_python {
        // A project asks for a minor version; patch releases never exclude one.
        let runs = |it: &Interpreter| {
            let version = Version::new([3, it.minor, 99]);
            bounds.contains(&version)
        };
        if let Some(interpreter) = Interpreter::with(runs).filter(|it| *it != USUAL) {
            let origin = Origin::Inferred(format!("Requires-Python of the released wheel: {bounds}"));
            return asked(interpreter, origin);
        }
    }
    let of_day = Interpreter::of_day(released.uploaded);
    Choice {
        of_day: (of_day != USUAL).then_some(of_day),
        ..usual()
    }
}

/// The Python tag of a wheel for every platform that setuptools does not write by default.
pub(super) fn odd_tag(name: &str) -> Option<&str> {
    let tag = name.strip_suffix("-none-any.whl")?.rsplit('-').next()?;
    (tag != "py3" && tag != "py2.py3").then_some(tag)
}

/// The single version in the Python tag of a wheel's name.
fn tagged(name: &str) -> Option<Sign> {
    let tag = name.strip_suffix(".whl")?.rsplit('-').nth(2)?;
    let digits = tag.strip_prefix("py3").or_else(|| tag.strip_prefix("cp3"))?;
    let minor: u64 = digits.parse().ok()?;
    Some(Sign {
        version: format!("3.{minor}"),
        evidence: format!("tag {tag} of the released wheel"),
    })
}

/// The version in the names in a wheel, its commands, or the beginning of one of its bytecode files.
pub(super) fn sign<'a>(
    mut paths: impl Iterator<Item = &'a String>,
    entry_points: &str,
    bytecode: Option<&[u8]>,
) -> Option<Sign> {
    let of = |version: String, evidence: String| Sign { version, evidence };
    let magic = bytecode.and_then(|bytes| Some(u16::from_le_bytes(*bytes.first_chunk()?)));
    let of_magic = magic.and_then(|magic| Interpreter::with(|it| it.magic == magic));
    if let Some(interpreter) = of_magic {
        let evidence = "bytecode in the released wheel".to_owned();
        return Some(of(interpreter.version(), evidence));
    }
    let namespace = paths.find_map(|path| Some((namespace_python(path)?, path)));
    if let Some((version, path)) = namespace {
        return Some(of(version, format!("name of {path} in the released wheel")));
    }
    let commands = entry_points
        .lines()
        .filter_map(|line| Some(line.split_once('=')?.0.trim()));
    let mut versions = commands.filter_map(|command| Some((command_python(command)?, command)));
    let (version, command) = versions.next()?;
    Some(of(version, format!("command {command} of the released wheel")))
}

/// `3.9` in `NAME-1.0-py3.9-nspkg.pth`: setuptools names the file after the Python that runs it.
fn namespace_python(path: &str) -> Option<String> {
    let (_, version) = path.strip_suffix("-nspkg.pth")?.rsplit_once("-py")?;
    let plain = version
        .split('.')
        .all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    plain.then(|| version.to_owned())
}

/// `3.9` in `pip3.9` and `easy_install-3.9`: some projects name commands after the Python that builds them.
fn command_python(command: &str) -> Option<String> {
    let name = command.trim_end_matches(|c: char| c.is_ascii_digit());
    let minor = command.strip_prefix(name)?;
    let name = name.strip_suffix("3.")?;
    let whole = name.ends_with(|c: char| c.is_ascii_alphabetic() || c == '-');
    (whole && !minor.is_empty()).then(|| format!("3.{minor}"))
}

/// The full version of a container's Python, from its list of packages; that of the default if it lists none.
pub(in crate::ecosystem) fn version_of(lock: Option<&Lock>) -> Version {
    let packages = lock.iter().flat_map(|lock| &lock.packages);
    let versions = packages.filter_map(|package| {
        package.name.strip_prefix("python3.")?.parse::<u64>().ok()?;
        package
            .version
            .split(['-', '+', '~'])
            .next()?
            .parse::<Version>()
            .ok()
    });
    versions
        .max()
        .unwrap_or_else(|| Version::new([3, USUAL.minor, 2]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wheel_tells_which_python_made_it() {
        for (path, entry_points, bytecode, expected) in [
            ("a/__init__.py", "", None, None),
            ("a-1-py3.9-nspkg.pth", "", None, Some("3.9")),
            ("a-1-py3.x-nspkg.pth", "", None, None),
            ("a.pyc", "", Some(&[0x6f_u8, 0x0d, 13, 10][..]), Some("3.10")),
            ("a.pyc", "", Some(&[0x00, 0x00][..]), None),
            ("a.pyc", "", Some(&[0x6f][..]), None),
            (
                "a",
                "[console_scripts]\npip = a:b\npip3.9 = a:b\n",
                None,
                Some("3.9"),
            ),
            (
                "a",
                "[console_scripts]\neasy_install-3.8 = a:b\n",
                None,
                Some("3.8"),
            ),
            (
                "a",
                "[console_scripts]\npip3 = a:b\nv1.3 = a:b\nq-13.2 = a:b\n",
                None,
                None,
            ),
        ] {
            let paths = [path.to_owned()];
            let found = sign(paths.iter(), entry_points, bytecode);
            assert_eq!(
                found.map(|sign| sign.version).as_deref(),
                expected,
                "{path} {entry_points}"
            );
        }
    }

    #[test]
    fn setuptools_is_told_of_tags_that_it_does_not_give_by_itself() {
        for (name, expected) in [
            ("a-1-py3-none-any.whl", None),
            ("a-1-py2.py3-none-any.whl", None),
            ("a-1-py2-none-any.whl", Some("py2")),
            ("a-1-1-py38-none-any.whl", Some("py38")),
            ("a-1-cp38-cp38-manylinux1_x86_64.whl", None),
        ] {
            assert_eq!(odd_tag(name), expected, "{name}");
        }
    }

    #[test]
    fn the_python_is_what_the_release_asks_for() {
        for (tags, requires, uploaded, expected, of_day) in [
            ("py3-none-any", ">=3.8", "2023-05-01", 11, None),
            ("py38-none-any", ">=3.8", "2023-05-01", 8, None),
            ("py37-none-any", "", "2023-05-01", 11, None),
            ("py2.py3-none-any", "", "2017-05-01", 11, Some(8)),
            ("py3-none-any", ">=3.6", "2021-12-01", 11, Some(10)),
            ("py3-none-any", ">=3.12", "2024-05-01", 12, None),
            ("py3-none-any", ">=3.13.1", "2025-05-01", 13, None),
            ("py3-none-any", ">=3.6,<3.10", "2021-05-01", 9, None),
            ("py3-none-any", "<3", "2014-05-01", 11, Some(8)),
            ("cp310-none-any", "", "2022-05-01", 10, None),
        ] {
            let released = ReleasedFile::of_test(&format!("a-1-{tags}.whl"), requires, uploaded);
            let choice = choose(None, &released);
            assert_eq!(choice.interpreter.minor, expected, "{tags} {requires}");
            assert_eq!(choice.of_day.map(|it| it.minor), of_day, "{tags} {uploaded}");
        }
    }
}
