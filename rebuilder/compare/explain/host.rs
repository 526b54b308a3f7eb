//! Names of machines and users in places that record who built something, and where.

use super::spot::{Spot, words};
use super::{Context, keyed};
use crate::compare::cause::{Cause, Confidence, Reason};

/// A host or user name; the words before it say that it is that of the build.
pub(super) fn host(old: &Spot, new: &Spot) -> Option<Reason> {
    let (released, rebuilt) = (old.value(), new.value());
    let same_form = released.contains('@') == rebuilt.contains('@');
    (same_form && is_name(released) && is_name(rebuilt) && !old.is_in_url() && !new.is_in_url())
        .then(|| Reason::new(Cause::BuildHost, keyed(released, rebuilt), Confidence::Likely))
}

/// A field that records who built something, if its whole value is a name.
pub(super) fn field(released: &str, rebuilt: &str, context: Context) -> Option<Reason> {
    let value = |text: &'_ str| text.trim().trim_matches(['"', '\'', ',', ';']).to_owned();
    let (released, rebuilt) = (value(released), value(rebuilt));
    let fits = records_a_host(context.field, context.record) && is_name(&released) && is_name(&rebuilt);
    (fits && released != rebuilt)
        .then(|| Reason::new(Cause::BuildHost, keyed(&released, &rebuilt), Confidence::Likely))
}

/// A generic name such as `User` does not say that it is about the build, but in a file that records a build it is.
fn records_a_host(field: &str, record: bool) -> bool {
    const BUILDS: [&str; 8] = [
        "build",
        "built",
        "builder",
        "compile",
        "compiled",
        "packaged",
        "buildinfo",
        "configured",
    ];
    const NAMES: [&str; 11] = [
        "by", "host", "hostname", "user", "username", "machine", "node", "nodename", "on", "name", "login",
    ];
    const WHOLE: [&str; 6] = [
        "buildhost",
        "builduser",
        "builtby",
        "packager",
        "buildmachine",
        "buildhostname",
    ];
    const IN_RECORDS: [&str; 9] = [
        "host", "hostname", "user", "username", "nodename", "uname", "whoami", "logname", "machine",
    ];
    let words = words(field);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    has(&BUILDS) && has(&NAMES) || words.len() == 1 && has(&WHOLE) || record && has(&IN_RECORDS)
}

/// Whether a text is a name: at most three words, and only characters of names.
fn is_name(text: &str) -> bool {
    const LONGEST: usize = 100;
    let part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@' | ' ');
    !text.is_empty()
        && text.len() <= LONGEST
        && text.chars().all(part)
        && text.split(' ').count() <= 3
        && text.chars().any(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_records_of_builds_name_hosts() {
        for field in [
            "Built-By",
            "build_host",
            "buildUser",
            "BUILD_HOSTNAME",
            "Packager",
            "git.build.host",
        ] {
            assert!(records_a_host(field, false), "{field}");
        }
        for field in [
            "User",
            "Host",
            "hostname",
            "username",
            "created_by",
            "build",
            "name",
            "REMOTE",
        ] {
            assert!(!records_a_host(field, false), "{field}");
        }
        assert!(records_a_host("hostname", true));
        assert!(!is_name("www-data; rm -rf /") && !is_name("<a@b.c>"));
    }
}
