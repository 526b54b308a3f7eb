//! The Python that builds a wheel. Most wheels do not tell, and any version will do. Some name a version in their
//! tags, their bytecode, or their commands, and some run only on certain versions.

use pep440_rs::Version;

use super::registry::ReleasedFile;
use crate::plan::{Lock, Origin};

/// Name of the assumption about the newest Python at the time of the release, if another one builds the wheel.
pub(super) const OF_DAY: &str = "newest Python at the time of the release";

/// Name of the assumption about the Python that wrote the archive, if another one builds the wheel.
pub(super) const ARCHIVE_WRITER: &str = "archive writer";

/// The last Python that was new while Python 2 was still in use.
pub(super) const LAST_BESIDE_PYTHON_2: &str = "3.8";

/// A version of Python without its patch number, such as (3, 11).
pub(in crate::ecosystem) type Series = (u64, u64);

/// A Python that a container has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ecosystem) struct Interpreter {
    pub series: Series,
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
    series: Series,
    container: &'static str,
    distribution: &'static str,
    magic: u16,
    since: &'static str,
) -> Interpreter {
    Interpreter {
        series,
        container,
        distribution,
        magic,
        since,
    }
}

/// The Python for wheels that do not ask for another.
const USUAL: Interpreter = interpreter((3, 11), "bookworm-python", "Debian 12", 3495, "2022-10-24");

/// The Python for wheels that only Python 2 can have made.
const OLD: Interpreter = interpreter((2, 7), "bullseye-python2", "Debian 11", 62211, "2010-07-03");

/// All of them, those nearest to the default first.
const ALL: [Interpreter; 8] = [
    USUAL,
    interpreter((3, 12), "noble-python", "Ubuntu 24.04", 3531, "2023-10-02"),
    interpreter((3, 10), "jammy-python", "Ubuntu 22.04", 3439, "2021-10-04"),
    interpreter((3, 13), "trixie-python", "Debian 13", 3571, "2024-10-07"),
    interpreter((3, 9), "bullseye-python", "Debian 11", 3425, "2020-10-05"),
    interpreter((3, 14), "resolute-python", "Ubuntu 26.04", 3627, "2025-10-07"),
    interpreter((3, 8), "focal-python", "Ubuntu 20.04", 3413, "2019-10-14"),
    OLD,
];

/// The oldest Python 3, for packages that are older than all of these.
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
        let mut part = || parts.next()?.parse().ok();
        let series = (part()?, part()?);
        Self::with(|it| it.series == series)
    }

    fn with(fits: impl Fn(&Self) -> bool) -> Option<Self> {
        ALL.into_iter().find(fits)
    }

    /// All versions, for messages.
    pub(super) fn known() -> String {
        let mut all = ALL;
        all.sort_unstable_by_key(|it| it.series);
        all.map(Self::version).join(", ")
    }

    /// The version, such as `3.9`.
    pub(super) fn version(self) -> String {
        let (major, minor) = self.series;
        format!("{major}.{minor}")
    }

    pub(super) fn is_python_2(self) -> bool {
        self == OLD
    }

    /// Name of the recipe that builds with it.
    pub(super) fn recipe(self) -> &'static str {
        if self.is_python_2() {
            "pypi-wheel-python2"
        } else {
            "pypi-wheel"
        }
    }

    /// The newest Python 3 that had been released on a day.
    fn of_day(uploaded: jiff::Timestamp) -> Self {
        let day = uploaded.strftime("%Y-%m-%d").to_string();
        let there = ALL
            .into_iter()
            .filter(|it| !it.is_python_2() && it.since <= day.as_str());
        there.max_by_key(|it| it.series).unwrap_or(OLDEST)
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
    let of_day = Interpreter::of_day(released.uploaded);
    let asked = |interpreter: Interpreter, origin| Choice {
        interpreter,
        origin,
        // Packages that Python 2 made may be built by another as well.
        of_day: interpreter.is_python_2().then_some(of_day),
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
            let version = Version::new([it.series.0, it.series.1, 99]);
            bounds.contains(&version)
        };
        if let Some(interpreter) = Interpreter::with(runs).filter(|it| *it != USUAL) {
            let origin = Origin::Inferred(format!("Requires-Python of the released wheel: {bounds}"));
            return asked(interpreter, origin);
        }
    }
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
    let digits = tag.strip_prefix("py").or_else(|| tag.strip_prefix("cp"))?;
    let (major, minor) = digits.split_at_checked(1)?;
    // Python 2 calls what it makes `py2`, and its last version is the only one that is left.
    let minor: u64 = if digits == "2" { 7 } else { minor.parse().ok()? };
    Some(Sign {
        version: format!("{major}.{minor}"),
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

/// `3.9` in `NAME-1.0-py3.9-nspkg.pth`: setuptools names the file after the Python that runs it, but that of Debian does
/// not.
fn namespace_python(path: &str) -> Option<String> {
    let name = path.strip_suffix("-nspkg.pth")?;
    let Some((_, version)) = name.rsplit_once("-py") else {
        return Some(String::new());
    };
    let plain = version
        .split('.')
        .all(|part| part.bytes().all(|b| b.is_ascii_digit()));
    plain.then(|| version.to_owned())
}

/// `3.9` in `pip3.9` and `easy_install-3.9`: some projects name commands after the Python that builds them.
fn command_python(command: &str) -> Option<String> {
    let name = command.trim_end_matches(|c: char| c.is_ascii_digit());
    let minor = command.strip_prefix(name)?;
    let of = |major| Some((name.strip_suffix(major)?, major));
    let (name, major) = of("3.").or_else(|| of("2."))?;
    let whole = name.ends_with(|c: char| c.is_ascii_alphabetic() || c == '-');
    (whole && !minor.is_empty()).then(|| format!("{major}{minor}"))
}

/// The full version of a container's Python, from its list of packages; that of the default if it lists none.
pub(in crate::ecosystem) fn version_of(lock: Option<&Lock>) -> Version {
    let packages = lock.iter().flat_map(|lock| &lock.packages);
    let versions = packages.filter_map(|package| {
        let name = &package.name;
        let minor = name
            .strip_prefix("python3.")
            .or_else(|| name.strip_prefix("python2."))?;
        minor.parse::<u64>().ok()?;
        package
            .version
            .split(['-', '+', '~'])
            .next()?
            .parse::<Version>()
            .ok()
    });
    versions
        .max()
        .unwrap_or_else(|| Version::new([USUAL.series.0, USUAL.series.1, 2]))
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
            ("a-1-nspkg.pth", "", None, Some("")),
            ("a.pyc", "", Some(&[0x6f_u8, 0x0d, 13, 10][..]), Some("3.10")),
            ("a.pyc", "", Some(&[0x03, 0xf3, 13, 10][..]), Some("2.7")),
            ("a-1-py2.7-nspkg.pth", "", None, Some("2.7")),
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
            ("a", "[console_scripts]\npip2.7 = a:b\n", None, Some("2.7")),
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
            ("py3-none-any", ">=3.8", "2023-05-01", (3, 11), None),
            ("py38-none-any", ">=3.8", "2023-05-01", (3, 8), None),
            ("py37-none-any", "", "2023-05-01", (3, 11), None),
            ("py2.py3-none-any", "", "2017-05-01", (3, 11), Some((3, 8))),
            ("py3-none-any", ">=3.6", "2021-12-01", (3, 11), Some((3, 10))),
            ("py3-none-any", ">=3.12", "2024-05-01", (3, 12), None),
            ("py3-none-any", ">=3.13.1", "2025-05-01", (3, 13), None),
            ("py3-none-any", ">=3.6,<3.10", "2021-05-01", (3, 9), None),
            ("py2.py3-none-any", "<3", "2014-05-01", (2, 7), Some((3, 8))),
            ("py2-none-any", "", "2021-05-01", (2, 7), Some((3, 9))),
            ("py27-none-any", "", "2024-11-01", (2, 7), Some((3, 13))),
            ("py26-none-any", "", "2014-05-01", (3, 11), Some((3, 8))),
            ("cp310-none-any", "", "2022-05-01", (3, 10), None),
        ] {
            let released = ReleasedFile::of_test(&format!("a-1-{tags}.whl"), requires, uploaded);
            let choice = choose(None, &released);
            assert_eq!(choice.interpreter.series, expected, "{tags} {requires}");
            assert_eq!(choice.of_day.map(|it| it.series), of_day, "{tags} {uploaded}");
        }
    }
}
