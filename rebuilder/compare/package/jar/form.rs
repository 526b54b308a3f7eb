//! The forms of values that build tools write into attributes and properties.

use std::sync::LazyLock;

use regex::Regex;

/// The form of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Milliseconds since 1970.
    Milliseconds,
    /// A date or a time, in any notation.
    Date,
    /// A version, with or without a vendor.
    Version,
    /// A tool and its version, or a version and its vendor.
    Tool,
    /// A person or an account.
    User,
    /// An e-mail address.
    Mail,
    /// A host.
    Host,
    /// A git commit, or a revision number.
    Commit,
    /// Branches, tags, and the output of `git describe`.
    Ref,
    /// A number or a label from a build server.
    Build,
    /// An operating system or an architecture.
    System,
    /// The vendor of a JDK.
    Vendor,
    /// The address of the source.
    Url,
    /// true or false.
    Flag,
    /// One word in lower case.
    Word,
    /// A whole number, or nothing.
    Number,
}

/// Maximum length of a value that has a form, in bytes.
const LONGEST: usize = 200;

macro_rules! forms {
    ($($form:ident $pattern:literal;)*) => {
        /// The pattern of a form; `None` for a form that is recognised without one.
        fn pattern(form: Form) -> Option<&'static LazyLock<Option<Regex>>> {
            match form {
                Form::User => None,
                $(Form::$form => {
                    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($pattern).ok());
                    Some(&PATTERN)
                })*
            }
        }

        #[cfg(test)]
        const FORMS: &[Form] = &[$(Form::$form),*];
    };
}

forms! {
    Milliseconds r"^[0-9]{12,14}$";
    Date r"^(?:(?:[0-9]{1,4}|[0-9]{6}|[0-9]{8,10}|[0-9]{12,14}|[0-9]{1,2}(?:st|nd|rd|th)|Mon|Tue|Wed|Thu|Fri|Sat|Sun|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day|Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?|AM|PM|am|pm|at|UTC|GMT|Z|[A-Z]{1,3}[SD]?T)(?:[ ,./:+-]{0,2}|T|_|$))+\)?$";
    Version r"^v?[0-9]{1,4}(?:[._][0-9]+)*(?:[-_.+~][A-Za-z0-9]+)*(?: \([A-Za-z0-9][A-Za-z0-9 .,&+/_-]*\))?$";
    Tool r"^(?:v?[0-9]{1,4}(?:[._][0-9]+)*(?:[-_.+~][A-Za-z0-9]+)*(?: \([A-Za-z0-9][A-Za-z0-9 .,&+/_-]*\))?|[A-Za-z][A-Za-z0-9.]*(?:[ -][A-Za-z][A-Za-z0-9.]*){0,4}(?:[ -]v?[0-9][A-Za-z0-9._+-]*)(?: \([A-Za-z0-9][A-Za-z0-9 .,&+/_-]*\))?|Apache Maven(?: Bundle Plugin)?|Maven (?:Archiver|Integration for Eclipse|Jar Plugin|Source Plugin)|Plexus Archiver|Apache Ant|Gradle|SingleJar|singlejar|bazel(?:-singlejar)?|Bazel|sbt|Signtool \(signtool\))$";
    Mail r"^(?:[A-Za-z0-9_.+%\[\]-]+@[A-Za-z0-9.\[\]-]+)?$";
    Host r"^(?:[A-Za-z0-9][A-Za-z0-9_.-]*(?:/[0-9A-Fa-f.:]+)?)?$";
    Commit r"^(?:(?:[0-9a-f]{7,40}|[0-9a-f]{64})(?:-dirty|\+dirty)?|[0-9]{1,8}|)$";
    Ref r"^(?:[A-Za-z0-9][A-Za-z0-9_.+/,#@-]*)?$";
    Build r"^[A-Za-z0-9_#.:+-]+$";
    System r"^(?:Linux|Windows|Mac OS X|macOS|Darwin|SunOS|Solaris|FreeBSD|OpenBSD|AIX|amd64|x86_64|x86|i[3-6]86|aarch64|arm[a-z0-9]*|ppc64(?:le)?|s390x|riscv64|v?[0-9]+(?:[._+~-][A-Za-z0-9]+)*)(?:[ ;,/()_-]{1,2}[A-Za-z0-9][A-Za-z0-9._+~-]*)*\)?$";
    Vendor r"^[A-Za-z][A-Za-z0-9 .,&+()-]*$";
    Url r"^(?:scm:[a-z]+:)?(?:(?:https?|ssh|git)://|git@)[A-Za-z0-9_.@:/~+%-]+(?:[?#][A-Za-z0-9_./=&-]*)?(?:;[a-z]+=[^\x00-\x20;,]*)*$";
    Flag r"^(?:true|false)$";
    Word r"^[a-z]{1,20}$";
    Number r"^[0-9]{0,12}$";
}

impl Form {
    pub fn has(self, value: &str) -> bool {
        // A text without a digit is not a date.
        let dated = self != Self::Date || value.contains(|c: char| c.is_ascii_digit());
        if value.len() > LONGEST || !dated {
            return false;
        }
        match pattern(self) {
            Some(pattern) => pattern.as_ref().is_some_and(|pattern| pattern.is_match(value)),
            None => is_user(value),
        }
    }
}

/// Whether a value is at most four words of letters, digits and characters of accounts, or a placeholder for no user.
fn is_user(value: &str) -> bool {
    const MOST_WORDS: usize = 4;
    let is_sign = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '@' | '\\' | '$' | '-');
    let is_word = |word: &str| !word.is_empty() && word.chars().all(is_sign);
    let begins = value.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    matches!(value, "" | "?" | "${user.name}")
        || (begins && value.split(' ').count() <= MOST_WORDS && value.split(' ').all(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    // One long table.
    #[test]
    fn values_of_tools_have_their_form_and_others_do_not() {
        assert!(
            FORMS
                .iter()
                .all(|form| pattern(*form).is_some_and(|pattern| pattern.is_some()))
        );
        let table: &[(Form, &[&str], &[&str])] = &[
            (
                Form::Milliseconds,
                &["1700000000123"],
                &["", "1700", "17000000001x3", "curl"],
            ),
            (
                Form::Date,
                &[
                    "2024-01-02",
                    "2024-01-02T03:04:05Z",
                    "2024-01-02 03:04:05 +0100",
                    "2024-01-02T03:04:05.123+01:00",
                    "Tue Jan 02 03:04:05 UTC 2024",
                    "Tue, 2 January 2024 at 3:04 PM",
                    "02.01.2024",
                    "20240102-0304",
                    "20240102030405",
                    "1704164645",
                    "Jan 2, 2024 3:04:05 AM",
                    "2024/01/02 03:04 CEST",
                ],
                &["", "yesterday", "2024-01-02; rm", "curl 2024", "1 evil"],
            ),
            (
                Form::Version,
                &[
                    "17.0.15",
                    "1.8.0_191-b12",
                    "11.0.2 (Oracle Corporation 11.0.2+9)",
                    "17",
                ],
                &["x", "17; x"],
            ),
            (
                Form::Tool,
                &[
                    "17.0.15 (Debian)",
                    "1.8.0_191-b12 (Oracle Corporation)",
                    "Apache Maven 3.6.0",
                    "Apache Maven",
                    "Maven JAR Plugin 3.4.1",
                    "Gradle 7.4",
                    "Apache Ant 1.10.5",
                    "Plexus Archiver",
                    "Bnd-5.1.1.202006162103",
                    "1.0 (Android)",
                    "11.0.1+13 (Azul Systems, Inc.)",
                ],
                &[
                    "run: curl evil | sh",
                    "",
                    "evil",
                    "http://evil/x",
                    "Apache Maven 3.6.0\u{202e}",
                ],
            ),
            (
                Form::System,
                &[
                    "Linux",
                    "Linux; 4.4.0; amd64",
                    "amd64",
                    "5.4.0-1042-azure",
                    "Windows 10",
                    "Mac OS X 10.15 (x86_64)",
                ],
                &["curl evil", "", "x"],
            ),
            (
                Form::User,
                &["root", "Jane Doe", "Jürgen", "", "a.b@c", "CORP\\jane"],
                &["$(curl evil)", "a; b", "../x"],
            ),
            (
                Form::Commit,
                &["0123abc", "0123456789012345678901234567890123456789"],
                &["main", "0123abx", "xyz0123"],
            ),
            (
                Form::Ref,
                &["main", "feature/x", "v1.2-3-g0123abc"],
                &["a b", "$(x)"],
            ),
            (
                Form::Url,
                &[
                    "git@github.com:a/b.git",
                    "https://github.com/a/b",
                    "scm:git:https://x/a.git;path=\"b\"",
                ],
                &["x", "javascript:1"],
            ),
        ];
        for (form, yes, no) in table {
            assert!(
                yes.iter().all(|value| form.has(value)),
                "{form:?} {:?}",
                yes.iter().find(|value| !form.has(value))
            );
            assert!(
                !no.iter().any(|value| form.has(value)),
                "{form:?} {:?}",
                no.iter().find(|value| form.has(value))
            );
        }
    }
}
