//! Judges two values of one class by their place in the text.

use super::pattern::Class;
use super::spot::Spot;
use super::{date, host, keyed, path, revision};
use crate::compare::cause::{Cause, Confidence, Reason};

/// The reason why two values differ; `None` if they may be something else.
pub(super) fn reason(class: Class, old: &Spot, new: &Spot, tool: bool) -> Option<Reason> {
    let (released, rebuilt) = (old.value(), new.value());
    let both = || keyed(released, rebuilt);
    let likely = |cause, key: String| Some(Reason::new(cause, key, Confidence::Likely));
    // What a program does with such a value cannot be known from the value.
    let recorded = |cause, key: String| {
        let confidence = if old.context.code && !names_a_build(old) {
            Confidence::Possible
        } else {
            Confidence::Likely
        };
        Some(Reason::new(cause, key, confidence))
    };
    // Requirements of packages compare versions too.
    let compared = class != Class::Version && (old.is_compared() || new.is_compared());
    if old.context.code && compared && !old.is_in_comment() {
        return None;
    }
    match class {
        Class::Uuid => uuid(old, new),
        Class::Revision => revision::revision(old, new),
        Class::Date | Class::Month => date::date(old, new),
        Class::Years => date::years(old, new),
        Class::Unix => date::unix(old, new),
        Class::Temporary if !is_made_up(old, new) => None,
        // A program may use the file; a comment and the line directives of a generator only name it.
        Class::Temporary if old.is_in_comment() || old.line.trim_start().starts_with('#') => {
            likely(Cause::Randomness, "name of a temporary file".into())
        }
        Class::Temporary => recorded(Cause::Randomness, "name of a temporary file".into()),
        Class::Path => path::path_at(old, new),
        Class::Kernel | Class::Processor if is_requirement(old) || old.is_in_url() => None,
        Class::Kernel | Class::Processor => recorded(Cause::HostSystem, both()),
        Class::Jobs => recorded(Cause::Parallelism, both()),
        Class::Locale => recorded(Cause::Locale, both()),
        Class::Zone => recorded(Cause::Timezone, both()),
        Class::Umask if !old.after().trim().is_empty() => None,
        Class::Umask => recorded(Cause::Permissions, both()),
        Class::Host => host::host(old, new),
        Class::Generator if is_requirement(old) || is_requirement(new) || old.is_in_url() => None,
        // A program may print such a line, or look for it.
        Class::Generator if old.context.code && is_in_statement(old) => {
            Some(Reason::new(Cause::ToolVersion, both(), Confidence::Possible))
        }
        Class::Generator => Some(Reason::new(Cause::ToolVersion, both(), Confidence::Proven)),
        Class::Version if old.is_in_url() || new.is_in_url() => None,
        Class::Version if tool => Some(Reason::new(Cause::ToolVersion, both(), Confidence::Proven)),
        Class::Version => Some(Reason::new(Cause::DependencyVersion, both(), Confidence::Proven)),
        Class::Address => is_in_memory(old, new)
            .then(|| likely(Cause::Randomness, "address in memory".into()))
            .flatten(),
    }
}

/// Two UUIDs of one version, made from random bits or the time, in a place where each build makes one.
fn uuid(old: &Spot, new: &Spot) -> Option<Reason> {
    const NAMES: [&str; 13] = [
        "id",
        "uuid",
        "guid",
        "build",
        "serial",
        "serialnumber",
        "instance",
        "document",
        "mvid",
        "run",
        "generated",
        "namespace",
        "invocation",
    ];
    let made = |spot: &Spot| {
        let version = spot.value().as_bytes().get(14).copied();
        let variant = spot.value().as_bytes().get(19).map(u8::to_ascii_lowercase);
        let fine = matches!(version, Some(b'1' | b'4' | b'6' | b'7'))
            && matches!(variant, Some(b'8' | b'9' | b'a' | b'b'));
        version.filter(|_| fine)
    };
    if made(old)? != made(new)? || old.is_in_url() {
        return None;
    }
    let words = super::spot::words(old.key());
    // A `client_id` is not made for each build; a `build_id` is.
    let named = words.first().is_some_and(|first| NAMES.contains(&first.as_str()))
        && words
            .iter()
            .all(|word| NAMES.contains(&word.as_str()) || word == "urn");
    let in_urn = old.before().ends_with("urn:uuid:");
    // Each bill of materials has its own.
    let is_serial = in_urn && old.context.field.eq_ignore_ascii_case("serialNumber");
    let confidence = if is_serial || (named || in_urn || old.is_alone()) && !old.context.code {
        Confidence::Likely
    } else {
        Confidence::Possible
    };
    Some(Reason::new(Cause::Randomness, "UUID", confidence))
}

/// Whether two names look generated: below a folder of temporary files, or with digits among the letters.
fn is_made_up(old: &Spot, new: &Spot) -> bool {
    let below = |spot: &Spot| {
        let token = spot
            .before()
            .rsplit([' ', '"', '\'', '='])
            .next()
            .unwrap_or_default();
        ["/tmp/", "/T/", "/temp/", "\\Temp\\"]
            .iter()
            .any(|folder| token.contains(folder))
    };
    let mixed = |spot: &Spot| {
        let name = spot.value();
        let digit = name.bytes().any(|byte| byte.is_ascii_digit());
        let upper = name.bytes().any(|byte| byte.is_ascii_uppercase());
        let lower = name.bytes().skip(3).any(|byte| byte.is_ascii_lowercase());
        lower && (digit || upper)
    };
    let same_end = old.value().rsplit_once('.').map(|(_, end)| end.len())
        == new.value().rsplit_once('.').map(|(_, end)| end.len());
    !old.is_in_url()
        && same_end
        && [old, new]
            .into_iter()
            .all(|spot| below(spot) || mixed(spot) && !spot.value().starts_with("tmp"))
}

/// Whether two values are addresses, as Python's `repr` shows them, or in the ranges where Linux puts heaps, stacks
/// and libraries.
fn is_in_memory(old: &Spot, new: &Spot) -> bool {
    let mapped = |spot: &Spot| {
        let digits = spot.value().trim_start_matches("0x");
        digits.len() == 12
            && (digits.starts_with("7f") || digits.starts_with("55") || digits.starts_with("56"))
    };
    let shown = |spot: &Spot| spot.before().ends_with("at ");
    shown(old)
        && (old.first_after() == Some('>') || mapped(old) && mapped(new))
        && !(old.context.code && old.first_after() != Some('>'))
}

/// Whether the words before a value say that it belongs to the build, such as `BUILD_SYSTEM`.
pub(super) fn names_a_build(spot: &Spot) -> bool {
    const BUILDS: [&str; 8] = [
        "build",
        "built",
        "buildinfo",
        "compiled",
        "configured",
        "makeflags",
        "uname",
        "recorded",
    ];
    let words = super::spot::words(spot.before());
    words
        .iter()
        .chain(&super::spot::words(spot.context.field))
        .any(|word| BUILDS.contains(&word.as_str()))
}

/// Whether the value is in a string of a statement, rather than in a comment or a directive.
fn is_in_statement(spot: &Spot) -> bool {
    spot.line
        .trim_start()
        .starts_with(|c: char| c.is_alphanumeric() || c == '_')
        && spot.before().contains(['"', '\'', '('])
}

/// Whether a text says what something needs, rather than what made it.
fn is_requirement(spot: &Spot) -> bool {
    let after = spot.after().trim_start();
    let line = spot.line.to_ascii_lowercase();
    [
        "or newer",
        "or later",
        "or higher",
        "or above",
        "and newer",
        "and later",
        "+",
    ]
    .iter()
    .any(|words| after.starts_with(words))
        || ["require", "minimum", "at least", ">=", "depends", "support"]
            .iter()
            .any(|word| line.contains(word))
}
