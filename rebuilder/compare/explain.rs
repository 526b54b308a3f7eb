//! Why two pieces of text differ.
//!
//! Every pattern that builds are known to leave behind is blanked out on both sides. Only when nothing else is
//! left to differ are the blanked values the reason; a text with anything more in it stays unexplained.

use std::sync::{LazyLock, OnceLock};

use jiff::civil::DateTime;
use regex::Regex;

use super::cause::{Cause, Confidence, Reason};
use super::package::{self, Meaning};

/// What is known of the place that a text stands in.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Context<'a> {
    /// Whether versions in it are those of tools.
    pub tool: bool,
    /// Whether versions in it are those of dependencies.
    pub dependency: bool,
    /// Whether a folder in it is the one that was built in.
    pub build_folder: bool,
    /// Name of the field, where the text is the value of one.
    pub field: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Uuid,
    Date,
    Temporary,
    Path,
    Kernel,
    Processor,
    Jobs,
    Locale,
    Zone,
    Umask,
    Account,
    Version,
    Address,
}

/// Words and digits of ASCII only: what builds leave behind has no others, and patterns with all of Unicode's take
/// tens of milliseconds to compile.
fn ascii(pattern: &str) -> String {
    pattern
        .replace(r"\b", r"(?-u:\b)")
        .replace(r"\d", "[0-9]")
        .replace(r"\w", "[A-Za-z0-9_]")
        .replace(r"\W", "[^A-Za-z0-9_]")
}

/// One form of what builds leave behind; compiled when a text first may have it.
struct Pattern {
    class: Class,
    text: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    fn regex(&self) -> Option<&Regex> {
        // A pattern that does not compile is caught by the first test.
        self.compiled
            .get_or_init(|| Regex::new(&ascii(self.text)).ok())
            .as_ref()
    }
}

macro_rules! patterns {
    ($($class:ident $pattern:literal;)*) => {
        static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| vec![$(Pattern {
            class: Class::$class, text: $pattern, compiled: OnceLock::new(),
        }),*]);
    };
}

/// What a text has that the patterns of a class cannot do without: most texts are passed over by this alone.
struct Signs {
    digit: bool,
    slash: bool,
    at: bool,
    dash: bool,
    dot: bool,
}

impl Signs {
    fn of(text: &str) -> Self {
        let mut signs = Self {
            digit: false,
            slash: false,
            at: false,
            dash: false,
            dot: false,
        };
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => signs.digit = true,
                b'/' => signs.slash = true,
                b'@' => signs.at = true,
                b'-' => signs.dash = true,
                b'.' => signs.dot = true,
                _ => {}
            }
        }
        signs
    }

    fn allow(&self, class: Class, text: &str) -> bool {
        let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match class {
            Class::Uuid => self.digit && self.dash,
            Class::Umask => self.digit && any(&["mask", "MASK"]),
            Class::Date | Class::Jobs | Class::Version => self.digit,
            Class::Temporary => any(&["tmp", "cc", "pip-", "go-build", "rustc"]),
            Class::Path => self.slash,
            Class::Kernel => self.digit && (any(&["Linux", "SMP"]) || self.dash && self.dot),
            Class::Processor => any(&[
                "-m", "cpu", "x86", "Intel", "AMD", "znver", "lake", "well", "rapids", "model",
            ]),
            Class::Locale => any(&[
                "LANG", "LC_", "ocale", "OCALE", "ncoding", "NCODING", "harset", "HARSET",
            ]),
            Class::Zone => {
                self.slash || any(&["TZ", "one", "ONE", "UTC", "GMT", "CE", "ST", "DT"]) || self.digit
            }
            Class::Account => self.at,
            Class::Address => self.digit && any(&["0x"]),
        }
    }
}

patterns! {
    Uuid r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b";
    Umask r"(?i)\bumask[ =:]*0?[0-7]{3}\b";
    // ISO 8601 and its relatives.
    Date r"\b(?:19|20)\d\d[-/](?:0?[1-9]|1[0-2])[-/](?:[0-2]?\d|3[01])(?:[T _-]\d{1,2}[:.-]?\d\d(?:[:.-]?\d\d(?:[.,]\d+)?)?)?(?: ?(?:Z|UTC|GMT|[A-Z]{2,4}T|[+-]\d\d:?\d\d))?\b";
    // RFC 5322; ctime, __DATE__ and `date` in the C locale; month and year.
    Date r"(?:\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? +)?\b\d{1,2}[ -](?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?,?(?:[ -](?:19|20)\d\d)?(?:,? +\d{1,2}:\d\d(?::\d\d)?(?: ?[AP]M)?)?(?: +(?:UTC|GMT|[A-Z]{2,4}T|[+-]\d{4}))?";
    Date r"(?:\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},? +)?\b(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.? +\d{1,2}\b,?(?: +\d{1,2}:\d\d(?::\d\d)?(?: ?[AP]M)?)?(?: +(?:UTC|GMT|[A-Z]{2,4}T|[+-]\d{4}))?(?: +(?:19|20)\d\d)?(?: +\d{1,2}:\d\d(?::\d\d)?(?: ?[AP]M)?)?(?: +(?:UTC|GMT|[A-Z]{2,4}T|[+-]\d{4}))?";
    Date r"\b(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?,? +(?:19|20)\d\d\b";
    Date r"\b\d{1,2}:\d\d:\d\d(?:\.\d+)?(?: ?[AP]M)?(?: ?(?:Z|UTC|GMT|[A-Z]{2,4}T|[+-]\d\d:?\d\d))?";
    Date r"\b(?:[0-2]?\d|3[01])[./](?:0?[1-9]|1[0-2])[./](?:19|20)\d\d\b";
    Date r"\b20[0-4]\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])(?:[T_-]?(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d)?Z?)?\b";
    // Seconds, or milliseconds, since 1970.
    Date r"\b1[0-9]\d{8}(?:\d{3})?(?:\.\d+)?\b";
    Temporary r"\b(?:tmp[a-z0-9_]{6,10}|tmp\.[A-Za-z0-9]{6,10}|cc[A-Za-z0-9]{6}\.(?:o|s|c|ld|le|res|ltrans\w*)|pip-[a-z-]+-[a-z0-9_]{8}|go-build\d{6,}|rustc[A-Za-z0-9]{6})\b";
    Path r"(?:/[\w.+~@%=-]+)+/?";
    Kernel r"\bLinux(?: version)? \d+\.\d+[\w.+-]*(?: #\d+[^\n,;]*)?|\b\d+\.\d+\.\d+-(?:\d+-)?(?:cloud-|rt-)?(?:amd64|arm64|generic|azure|aws|gcp|fc\d+|el\d+|arch\d*|lts|default)[\w.+-]*|#\d+(?:~[\w.+-]+)? SMP[^\n,;]*";
    Processor r"-m(?:arch|tune|cpu)=[\w.+-]+|-C ?target-cpu=[\w-]+|\bx86[-_]64[-_]v[1-4]\b|\b(?:Intel\(R\)|AMD) [\w()@. -]*(?:CPU|EPYC|Ryzen|Xeon|Core)[\w()@. -]*|\b(?:znver[1-5]|skylake(?:-avx512)?|haswell|broadwell|icelake-\w+|cascadelake|sapphirerapids)\b|\b(?:model name|cpu model)[ \t]*[:=][^\n]*";
    Jobs r"(?i)-j ?\d+|--jobs[= ]\d+|\bparallel=\d+|--jobserver-(?:auth|fds)=[\w:,.-]+|\b(?:n_?proc|n?jobs|n_?cpus?|num_?cpus|cpu_?count|n?threads|num_threads|workers|processes|parallel(?:ism)?)\W{0,3}[=: ]\W{0,2}\d+";
    Locale r"\b(?:LANG|LANGUAGE|LC_[A-Z]+|(?i:locale|encoding|charset))\W{1,4}[\w.@-]+";
    Zone r"\b(?:TZ|(?i:time ?zone))\W{1,4}[\w/+:-]+|\b(?:Etc|Europe|America|Asia|Africa|Pacific|Australia)/[A-Z]\w+|\b(?:UTC|GMT|CES?T|[EPCM][SD]T|JST|IST|BST)\b|[+-](?:0\d|1[0-4]):?(?:00|15|30|45)\b";
    Account r"\b[A-Za-z_][\w.-]*@[A-Za-z][\w.-]*\b";
    Version r"\bv?\d+(?:\.\d+)+(?:[\w.+:~-]*\w)?\b|\b\d+:\d[\w.+~-]*|\(\d{8}\)|\b\d+-\d[\w.+~]*\b";
    Address r"\b0x[0-9a-f]{6,16}\b";
}

/// Folders that people and services build in.
static BUILD_ROOT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^/(?:builds?|builddir|buildkite|home|root|Users|tmp|var/(?:tmp|lib|cache|folders)|usr/src|usr/local/src|src|works?|workspaces?|github|__w|mnt|data|private|opt/build|app|io|project|repo|code|nix/build|dev/shm|proc/self/cwd|run|srv|media|scratch|ws)(?:/|$)",
    )
    .ok()
});

/// Fields whose value is a host or a person.
static WHO: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:.*[ ._-])?(?:host(?:name)?|node(?:name)?|machine|built?[ ._-]?(?:by|on|host|user)|user(?:name)?|packager|uname|logname|whoami)$").ok()
});

/// Fields that name the tool that wrote the file, whatever file that is.
static TOOL: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)^(?:generator|tool|producer|compiler|toolchain|rustc(?:_version)?|gcc|clang|x-generator|built with|generated by|cc[_ ]version)$").ok()
});

fn fits(pattern: &LazyLock<Option<Regex>>, text: &str) -> bool {
    pattern.as_ref().is_some_and(|pattern| pattern.is_match(text))
}

/// Longest text that is looked at.
const LONGEST: usize = 1 << 16;

/// The reasons that together explain the difference; none where something stays unexplained.
pub(super) fn explain(released: &str, rebuilt: &str, context: Context) -> Vec<Reason> {
    if released == rebuilt || released.len() > LONGEST || rebuilt.len() > LONGEST {
        return Vec::new();
    }
    let named = |pattern| !context.field.is_empty() && fits(pattern, context.field);
    let meaning = if context.field.is_empty() {
        None
    } else {
        package::meaning(context.field)
    };
    let tool = context.tool || meaning == Some(Meaning::Tool) || named(&TOOL);
    let dependency = context.dependency || meaning == Some(Meaning::Dependency);
    if named(&WHO) && released.len() < 256 && rebuilt.len() < 256 {
        return vec![Reason::new(
            Cause::BuildHost,
            keyed(released, rebuilt),
            Confidence::Likely,
        )];
    }
    let (mut old, mut new) = (released.to_owned(), rebuilt.to_owned());
    let mut pairs: Vec<(Class, String, String)> = Vec::new();
    let (in_old, in_new) = (Signs::of(released), Signs::of(rebuilt));
    for pattern in PATTERNS.iter() {
        let class = pattern.class;
        if class == Class::Version && !(tool || dependency) {
            continue;
        }
        if !in_old.allow(class, released) || !in_new.allow(class, rebuilt) {
            continue;
        }
        let Some(regex) = pattern.regex() else { continue };
        let (masked_old, found_old) = mask(regex, class, &old);
        let (masked_new, found_new) = mask(regex, class, &new);
        if found_old.is_empty() && found_new.is_empty() {
            continue;
        }
        // A value that is the same on both sides stays, so that it anchors the rest.
        if found_old == found_new || found_old.len() != found_new.len() {
            continue;
        }
        pairs.extend(
            found_old
                .into_iter()
                .zip(found_new)
                .filter(|(a, b)| a != b)
                .map(|(a, b)| (class, a, b)),
        );
        (old, new) = (masked_old, masked_new);
        if old == new {
            break;
        }
    }
    if old == new {
        let mut reasons = Vec::new();
        for (class, a, b) in pairs {
            let Some(reason) = reason(class, &a, &b, context, tool) else {
                return Vec::new();
            };
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
        return reasons;
    }
    locale(released, rebuilt).into_iter().collect()
}

/// The text with everything blanked that a build may leave behind: two lines with one skeleton may be one line.
pub(super) fn skeleton(text: &str) -> String {
    if text.len() > LONGEST {
        return text.to_owned();
    }
    let signs = Signs::of(text);
    let mut blanked = text.trim_end().to_owned();
    for pattern in PATTERNS.iter() {
        if pattern.class != Class::Version
            && signs.allow(pattern.class, text)
            && let Some(regex) = pattern.regex()
        {
            blanked = mask(regex, pattern.class, &blanked).0;
        }
    }
    blanked
}

fn mask(pattern: &Regex, class: Class, text: &str) -> (String, Vec<String>) {
    let mut found = Vec::new();
    let masked = pattern.replace_all(text, |captures: &regex::Captures| {
        found.push(captures[0].to_owned());
        format!("\u{1}{class:?}\u{1}")
    });
    (masked.into_owned(), found)
}

fn keyed(a: &str, b: &str) -> String {
    format!("{} → {}", a.trim(), b.trim())
}

fn reason(class: Class, a: &str, b: &str, context: Context, tool: bool) -> Option<Reason> {
    let likely = |cause, key: &str| Some(Reason::new(cause, key, Confidence::Likely));
    match class {
        Class::Uuid => likely(Cause::Randomness, "UUID"),
        Class::Date => Some(date(a, b)),
        Class::Temporary => likely(Cause::Randomness, "name of a temporary file"),
        Class::Path => path(a, b, context.build_folder),
        Class::Kernel | Class::Processor => {
            Some(Reason::new(Cause::HostSystem, keyed(a, b), Confidence::Likely))
        }
        Class::Jobs => Some(Reason::new(Cause::Parallelism, keyed(a, b), Confidence::Likely)),
        Class::Locale => Some(Reason::new(Cause::Locale, keyed(a, b), Confidence::Likely)),
        Class::Zone => Some(Reason::new(Cause::Timezone, keyed(a, b), Confidence::Likely)),
        Class::Umask => Some(Reason::new(Cause::Permissions, keyed(a, b), Confidence::Likely)),
        Class::Account => Some(Reason::new(Cause::BuildHost, keyed(a, b), Confidence::Likely)),
        Class::Version if tool => Some(Reason::new(Cause::ToolVersion, keyed(a, b), Confidence::Proven)),
        Class::Version => Some(Reason::new(
            Cause::DependencyVersion,
            keyed(a, b),
            Confidence::Proven,
        )),
        Class::Address => likely(Cause::Randomness, "address in memory"),
    }
}

/// Whether two dates are two times, or one time in two zones.
fn date(a: &str, b: &str) -> Reason {
    let timestamp = Reason::new(Cause::Timestamp, "date in text", Confidence::Likely);
    let (Some((old, old_zone)), Some((new, new_zone))) = (instant(a), instant(b)) else {
        return timestamp;
    };
    let zone = |confidence| Reason::new(Cause::Timezone, "date in text", confidence);
    let apart = old - new;
    match (old_zone, new_zone) {
        (Some(old_zone), Some(new_zone)) if old_zone != new_zone && old - old_zone == new - new_zone => {
            zone(Confidence::Proven)
        }
        // Another whole number of hours, and the very second within the hour.
        (None, None) if apart != 0 && apart % 900 == 0 && apart.abs() <= 26 * 3600 => {
            zone(Confidence::Likely)
        }
        _ => timestamp,
    }
}

/// Seconds as the text reads, and the zone's offset where it names one.
pub(super) fn instant(text: &str) -> Option<(i64, Option<i64>)> {
    const FORMS: &[&str] = &[
        "%Y-%m-%dT%H:%M:%S",
        "%Y-%m-%d %H:%M:%S",
        "%Y/%m/%d %H:%M:%S",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
        "%a, %d %b %Y %H:%M:%S",
        "%a %b %d %H:%M:%S %Y",
        "%b %d %Y %H:%M:%S",
        "%d %b %Y %H:%M:%S",
        "%Y%m%dT%H%M%S",
        "%Y%m%d%H%M%S",
    ];
    static ZONE: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(r"(?:(\d\d)(?:\.\d+)? ?|\s)(Z|UTC|GMT|CEST|CET|EST|EDT|CST|CDT|MST|MDT|PST|PDT|JST|[+-]\d\d:?\d\d)(\s+\d{4})?$").ok()
    });
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut zone = None;
    if let Some(captures) = ZONE.as_ref()?.captures(&text) {
        let name = captures.get(2)?;
        zone = offset(name.as_str());
        let (head, tail) = (
            text[..name.start()].trim_end().to_owned(),
            text[name.end()..].to_owned(),
        );
        text = format!("{head}{tail}");
    }
    let civil = FORMS
        .iter()
        .find_map(|form| DateTime::strptime(form, &text).ok())?;
    let seconds = jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?.as_second();
    Some((seconds, zone))
}

fn offset(name: &str) -> Option<i64> {
    let hours = match name {
        "Z" | "UTC" | "GMT" => 0,
        "CEST" => 2,
        "CET" => 1,
        "EDT" => -4,
        "EST" | "CDT" => -5,
        "CST" | "MDT" => -6,
        "MST" | "PDT" => -7,
        "PST" => -8,
        "JST" => 9,
        other => {
            let digits: String = other.chars().filter(char::is_ascii_digit).collect();
            let number: i64 = digits.parse().ok()?;
            let seconds = number / 100 * 3600 + number % 100 * 60;
            return Some(if other.starts_with('-') { -seconds } else { seconds });
        }
    };
    Some(hours * 3600)
}

/// Two paths with the same end under two build folders; none for paths that mean something where the package runs.
pub(super) fn path(a: &str, b: &str, build_folder: bool) -> Option<Reason> {
    let (old, new): (Vec<_>, Vec<_>) = (a.split('/').collect(), b.split('/').collect());
    let shared = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(a, b)| a == b)
        .count();
    let head = |parts: &[&str]| parts[..parts.len() - shared.min(parts.len() - 1)].join("/");
    let (old_head, new_head) = (head(&old), head(&new));
    let both_built_in = fits(&BUILD_ROOT, &old_head) && fits(&BUILD_ROOT, &new_head);
    if !build_folder && !both_built_in {
        return None;
    }
    Some(Reason::new(
        Cause::BuildPath,
        format!("{old_head} → {new_head}"),
        if build_folder || shared > 0 {
            Confidence::Likely
        } else {
            Confidence::Possible
        },
    ))
}

/// The same numbers in another language's order or words, or one decimal mark for another.
pub(super) fn locale(a: &str, b: &str) -> Option<Reason> {
    static TIME: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\d{1,2}[:.h]\d\d(?:[:.]\d\d)?").ok());
    static DECIMAL: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"(\d)[.,](\d)").ok());
    let reason = |key: &str| Some(Reason::new(Cause::Locale, key, Confidence::Likely));
    let decimal = DECIMAL.as_ref()?;
    if decimal.replace_all(a, "$1.$2") == decimal.replace_all(b, "$1.$2") {
        return reason("decimal mark");
    }
    let numbers = |text: &str| {
        let mut numbers: Vec<String> = text
            .split(|c: char| !c.is_ascii_digit())
            .filter(|digits| !digits.is_empty())
            .map(|digits| digits.trim_start_matches('0').to_owned())
            .collect();
        numbers.sort();
        numbers
    };
    let time = TIME.as_ref()?;
    if time.is_match(a) && time.is_match(b) && numbers(a).len() >= 4 && numbers(a) == numbers(b) {
        return reason("words and order of a date");
    }
    // What one locale can write and the other replaces.
    let ascii = |text: &str| {
        text.chars()
            .filter(char::is_ascii)
            .filter(|c| *c != '?')
            .collect::<String>()
    };
    if a.is_ascii() != b.is_ascii() && ascii(a) == ascii(b) && !ascii(a).trim().is_empty() {
        return reason("characters beyond ASCII");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn causes(a: &str, b: &str, field: &str) -> Vec<(Cause, String)> {
        let context = Context {
            field,
            ..Context::default()
        };
        explain(a, b, context)
            .into_iter()
            .map(|reason| (reason.cause, reason.key))
            .collect()
    }

    #[test]
    fn every_pattern_compiles() {
        assert!(PATTERNS.iter().all(|pattern| pattern.regex().is_some()));
        assert!(BUILD_ROOT.is_some() && WHO.is_some() && TOOL.is_some());
    }

    #[test]
    fn differences_have_the_cause_that_their_form_shows() {
        let table: &[(&str, &str, &str, Cause)] = &[
            (
                "built 2026-11-25 03:39:45",
                "built 2026-11-26 07:12:01",
                "",
                Cause::Timestamp,
            ),
            ("Nov 25 2026", "Nov 26 2026", "", Cause::Timestamp),
            (
                "Wed Nov 25 03:39:45 UTC 2026",
                "Thu Nov 26 13:12:01 UTC 2026",
                "",
                Cause::Timestamp,
            ),
            ("03:39:45", "07:12:01", "", Cause::Timestamp),
            ("epoch=1764000000", "epoch=1764099999", "", Cause::Timestamp),
            ("at 20261125", "at 20261126", "", Cause::Timestamp),
            (
                "2026-11-25T03:39:45+00:00",
                "2026-11-25T05:39:45+02:00",
                "",
                Cause::Timezone,
            ),
            ("2026-11-25 03:39:45", "2026-11-25 08:39:45", "", Cause::Timezone),
            (
                "Wed Nov 25 03:39:45 UTC 2026",
                "Tue Nov 24 22:39:45 EST 2026",
                "",
                Cause::Timezone,
            ),
            (
                "mer. 25 nov. 2026 03:39:45",
                "Wed 25 Nov 2026 03:39:45",
                "",
                Cause::Locale,
            ),
            ("1,5 kB", "1.5 kB", "", Cause::Locale),
            ("naïve", "na?ve", "", Cause::Locale),
            ("LANG=C.UTF-8", "LANG=de_DE.UTF-8", "", Cause::Locale),
            ("/build/a/src/x.c:12", "/build/b/src/x.c:12", "", Cause::BuildPath),
            ("/home/me/p/x.c", "/builds/ci/p/x.c", "", Cause::BuildPath),
            ("/tmp/tmpab12cd_3/x", "/tmp/tmpzz98yx_1/x", "", Cause::Randomness),
            ("at 0x7f12ab34cd50", "at 0x7f99ab34cd50", "", Cause::Randomness),
            (
                "id 2f0a1c7e-8a4b-4c2d-9e1f-aabbccddeeff",
                "id 11111111-8a4b-4c2d-9e1f-aabbccddeeff",
                "",
                Cause::Randomness,
            ),
            (
                "Linux 6.1.0-28-amd64",
                "Linux 5.10.0-8-amd64",
                "",
                Cause::HostSystem,
            ),
            (
                "cc -march=znver3 x.c",
                "cc -march=skylake x.c",
                "",
                Cause::HostSystem,
            ),
            ("make -j2", "make -j16", "", Cause::Parallelism),
            ("nproc: 2", "nproc: 64", "", Cause::Parallelism),
            ("ada@laptop", "root@ci-7", "", Cause::BuildHost),
            ("ada", "root", "Built-By", Cause::BuildHost),
            (
                "bdist_wheel (0.40.0)",
                "bdist_wheel (0.43.0)",
                "Generator",
                Cause::ToolVersion,
            ),
            (
                "libc6 (>= 2.34)",
                "libc6 (>= 2.36)",
                "Depends",
                Cause::DependencyVersion,
            ),
            ("TZ=UTC", "TZ=Europe/Paris", "", Cause::Timezone),
            ("umask 0022", "umask 0002", "", Cause::Permissions),
        ];
        for (a, b, field, cause) in table {
            let found = causes(a, b, field);
            assert_eq!(
                found.first().map(|(cause, _)| *cause),
                Some(*cause),
                "{a:?} {b:?}: {found:?}"
            );
        }
    }

    #[test]
    fn what_may_be_a_change_of_content_is_not_explained() {
        for (a, b, field) in [
            ("return check(password)", "return 1", ""),
            ("version 1.2.3", "version 1.2.4", ""),
            ("/usr/bin/sh", "/tmp/evil", ""),
            ("/usr/lib/a.so", "/usr/lib/b.so", ""),
            ("built 2026-11-25 ok", "built 2026-11-26 not ok", ""),
            ("x = 10", "x = 11", ""),
            ("libc6 (>= 2.34)", "libevil (>= 2.34)", "Depends"),
            ("abc", "abd", ""),
        ] {
            assert_eq!(causes(a, b, field), Vec::new(), "{a:?} {b:?}");
        }
    }

    #[test]
    fn one_text_may_have_several_reasons() {
        let found = causes(
            "/build/a/x.c built 2026-11-25 03:39:45 by ada@laptop",
            "/build/b/x.c built 2026-11-26 03:12:01 by root@ci",
            "",
        );
        let causes: Vec<_> = found.iter().map(|(cause, _)| *cause).collect();
        assert_eq!(causes, [Cause::Timestamp, Cause::BuildPath, Cause::BuildHost]);
        assert_eq!(found[1].1, "/build/a → /build/b");
    }

    proptest::proptest! {
        #[test]
        fn a_build_path_is_one_whatever_the_folders_are_called(
            name in "[A-Za-z0-9]{6}",
            file in "[a-z]{1,8}",
        ) {
            let (a, b) = (format!("/tmp/.tmp{name}/build/a/{file}.c"), format!("/tmp/.tmp{name}/build/b/{file}.c"));
            let found = causes(&a, &b, "");
            proptest::prop_assert_eq!(found.first().map(|(cause, _)| *cause), Some(Cause::BuildPath), "{} {:?}", a, found);
        }
    }
}
