//! One requirement, in the forms that pip and the gate read alike.
//!
//! pip reads a text as a path if it contains a slash, begins with a dot, or ends like an archive. It then runs the code
//! that it finds there. So only names with versions, and addresses of wheels, are requirements here (PEP 508).

use std::sync::LazyLock;

use regex::Regex;

/// A name with versions and a condition: `NAME[EXTRA]>=1,<2; MARKER`.
static NAMED: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(&format!(r"^{NAME}{EXTRAS} *{VERSIONS}{MARKER}$")).ok());
/// A wheel at an address: `NAME @ URL ; MARKER`. The name may be left out.
static AT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(&format!(
        r"^(?:{NAME}{EXTRAS} *@ *)?(?P<url>https?://[A-Za-z0-9]{URL}*\.whl(?:\?{URL}*)?)(?P<digest>#sha256=[0-9a-f]{{64}})?(?: +{MARKER})?$"
    ))
    .ok()
});

const NAME: &str = "[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?";
const EXTRAS: &str = r"(?: *\[ *(?:[A-Za-z0-9._-]+(?: *, *[A-Za-z0-9._-]+)*)? *\])?";
const VERSIONS: &str = r"(?:(?:===|==|~=|!=|<=|>=|<|>) *[A-Za-z0-9._*+!-]+(?: *, *(?:===|==|~=|!=|<=|>=|<|>) *[A-Za-z0-9._*+!-]+)*)?";
/// Characters of an address that have no other meaning in a file of requirements.
const URL: &str = "[A-Za-z0-9._~:/@!&()*+,=%-]";
const MARKER: &str = r"(?: *; *[A-Za-z0-9_.,()'\x22<>=!~*+ -]+)?";
/// Names that pip reads as an archive if such a file exists.
const ARCHIVES: [&str; 13] = [
    ".zip",
    ".whl",
    ".tar.bz2",
    ".tbz",
    ".tar.gz",
    ".tgz",
    ".tar",
    ".tar.xz",
    ".txz",
    ".tlz",
    ".tar.lz",
    ".tar.lzma",
    ".egg",
];

/// What a requirement is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Requirement {
    Named,
    /// A wheel, by its address without a digest.
    Wheel(String),
}

/// Reads a requirement without options; `None` is anything else.
pub(super) fn read(text: &str) -> Option<Requirement> {
    // In a file, options begin there.
    if text.split(' ').any(|word| word.starts_with('-')) {
        return None;
    }
    if let Some(found) = AT.as_ref()?.captures(text) {
        return Some(Requirement::Wheel(found.name("url")?.as_str().to_owned()));
    }
    if !NAMED.as_ref()?.is_match(text) {
        return None;
    }
    let place = text
        .split([';', '['])
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let whole = text
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    let is_archive = |text: &str| ARCHIVES.iter().any(|end| text.ends_with(end));
    (!is_archive(&place) && !is_archive(&whole)).then_some(Requirement::Named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_and_wheels() {
        for text in [
            "idna",
            "idna==3.10",
            "idna == 3.10",
            "idna[all]>=3;python_version>'3'",
            "idna[a, b-c] >=3, !=3.1.*, <4 ; python_version > \"3\" and (os_name == 'posix' or extra == 'x')",
            "idna===3.10+local",
            "zope.interface~=5.0",
            "a",
            "idna>=3.0.tar",
        ] {
            let expected = (!text.ends_with("tar")).then_some(Requirement::Named);
            assert_eq!(read(text), expected, "{text}");
        }
        let url = "https://h.example/a-1-py3-none-any.whl";
        let digest = "0".repeat(64);
        for text in [
            url.to_owned(),
            format!("a @ {url}"),
            format!("a@{url}"),
            format!("a[b] @ {url} ; python_version > '3'"),
            format!("{url}#sha256={digest}"),
        ] {
            assert_eq!(read(&text), Some(Requirement::Wheel(url.to_owned())), "{text}");
        }
    }

    #[test]
    fn refuses_what_pip_may_take_for_a_path() {
        for text in [
            "",
            " ",
            ".",
            "./a",
            "..",
            ".hidden",
            "/tmp/a",
            "a/b",
            "a\\b",
            "~/a",
            "a.zip",
            "a.WHL",
            "a.tar.gz",
            "a.zip[x]",
            "a.egg",
            "a==1.zip",
            "a==1.tgz;python_version>'3'",
            "a @ ./b.whl",
            "a @ file:///tmp/a.whl",
            "file:///tmp/a.whl",
            "a @ git+https://h.example/r",
            "git+https://h.example/a.whl",
            "https://h.example/a.tar.gz",
            "https://h.example/a.tar.gz#x.whl",
            "https://h.example/a.tar.gz#egg=a.whl",
            "https://h.example/a.tar.gz?x=.whl",
            "https://h.example/a.whl#egg=b",
            "https://h.example/a.whl#subdirectory=x",
            "https://h.example/a.whl b",
            "https://h.example/a .whl",
            "https://h.example/a.tar.gz ;.whl",
            "HTTPS://h.example/a.whl",
            "https:///a.whl",
            "a @ https://h.example/a.tar.gz",
            "a @ b @ https://h.example/a.whl",
            "a; platform_version == '/'",
            "a ; x#y",
            "a\u{a0}b",
            "\u{ff41}",
            "a b",
            "a==1 b",
            "a=1",
            "a -e .",
            "-e .",
            "a(>=1)",
            "a\t",
            "a\n",
            "a==1\n-e .",
            "a[b]==1[c",
            "a>=${X}",
            "https://h.example/${X}.whl",
            "a ; os_name == 'x' -e .",
            "a== -e",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
