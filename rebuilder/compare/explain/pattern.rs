//! The values that builds are known to leave behind in text: their classes and forms.

use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use regex::Regex;

use super::date::{month_pattern, names_a_month, weekday_pattern};
use super::generator;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Uuid,
    Revision,
    Date,
    /// A date with the name of a month.
    Month,
    Years,
    Unix,
    Temporary,
    Path,
    Kernel,
    Processor,
    Jobs,
    Locale,
    Zone,
    Umask,
    Host,
    Generator,
    Version,
    Address,
}

/// Restricts words and digits to ASCII: the values have no others, and patterns with all of Unicode take tens of
/// milliseconds to compile.
pub(super) fn ascii(pattern: &str) -> String {
    pattern
        .replace(r"\b", r"(?-u:\b)")
        .replace(r"\d", "[0-9]")
        .replace(r"\w", "[A-Za-z0-9_]")
        .replace(r"\W", "[^A-Za-z0-9_]")
        .replace("{zone}", ZONE)
        .replace("{clock}", CLOCK)
        .replace("{version}", VERSION)
        .replace("{tool}", generator::TOOLS)
}

/// A zone after a time.
const ZONE: &str = "(?: ?(?:Z|UTC|GMT|[A-Z]{2,4}T|MESZ?|[+-][0-9]{2}:?[0-9]{2})(?-u:\\b))";
/// A time of day.
const CLOCK: &str = "(?:[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?(?: ?[AaPp][Mm](?-u:\\b))?)";
/// A version with at least two parts.
const VERSION: &str = "v?[0-9]+(?:\\.[0-9]+)+(?:[-+~._]?(?:[0-9]+|(?:a|b|c|rc|alpha|beta|dev|pre|post|git|snapshot|SNAPSHOT|Final|RELEASE|M|p|deb[0-9]*u|ubuntu|dfsg|ds|el|fc|GA|stable)[0-9]*)(?-u:\\b))*";

/// One form of such values; compiled when a text first may contain one.
pub(super) struct Pattern {
    pub class: Class,
    text: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

/// Maximum number of values of one form in a text.
const MOST_FOUND: usize = 500;

impl Pattern {
    pub const fn new(class: Class, text: &'static str) -> Self {
        Self {
            class,
            text,
            compiled: OnceLock::new(),
        }
    }

    pub fn regex(&self) -> Option<&Regex> {
        // A pattern that does not compile is caught by the first test.
        let compile = || {
            let mut text = ascii(self.text);
            if text.contains("{month}") {
                text = text
                    .replace("{month}", &month_pattern())
                    .replace("{weekday}", &weekday_pattern());
            }
            Regex::new(&text).ok()
        };
        self.compiled.get_or_init(compile).as_ref()
    }

    /// The values in a text: the pattern's groups, or the whole match if it has none. `None` if there are too many.
    pub fn find(&self, text: &str) -> Option<Vec<Vec<Range<usize>>>> {
        let regex = self.regex()?;
        if regex.captures_len() == 1 {
            let found: Vec<_> = regex
                .find_iter(text)
                .take(MOST_FOUND)
                .map(|value| vec![value.range()])
                .collect();
            return (found.len() < MOST_FOUND).then_some(found);
        }
        let mut found = Vec::new();
        for captures in regex.captures_iter(text) {
            if found.len() >= MOST_FOUND {
                return None;
            }
            found.push(
                captures
                    .iter()
                    .skip(1)
                    .flatten()
                    .map(|group| group.range())
                    .collect(),
            );
        }
        Some(found)
    }
}

macro_rules! patterns {
    ($($class:ident $pattern:literal;)*) => {
        pub(super) static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| vec![
            $(Pattern::new(Class::$class, $pattern)),*
        ]);
    };
}

/// Features of a text without which the patterns of a class cannot match: they rule out most texts.
pub(super) struct Signs {
    digit: bool,
    slash: bool,
    at: bool,
    dash: bool,
}

impl Signs {
    pub fn of(text: &str) -> Self {
        let mut signs = Self {
            digit: false,
            slash: false,
            at: false,
            dash: false,
        };
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => signs.digit = true,
                b'/' | b'\\' => signs.slash = true,
                b'@' => signs.at = true,
                b'-' => signs.dash = true,
                _ => {}
            }
        }
        signs
    }

    pub fn allow(&self, class: Class, text: &str) -> bool {
        let any = |words: &[&str]| words.iter().any(|word| text.contains(word));
        match class {
            Class::Uuid => self.digit && self.dash,
            Class::Revision => self.digit && any(REVISION),
            Class::Umask => self.digit && any(&["mask", "MASK"]),
            Class::Years => self.digit && any(YEARS),
            Class::Date | Class::Unix | Class::Version => self.digit,
            Class::Month => self.digit && names_a_month(text),
            Class::Generator => self.digit && any(GENERATOR),
            Class::Jobs => self.digit && any(JOBS),
            Class::Temporary => any(&["tmp", "cc", "pip-", "go-build", "rustc"]),
            Class::Path => self.slash,
            Class::Kernel => self.digit && any(KERNEL),
            Class::Processor => any(PROCESSOR),
            Class::Locale => any(&["LANG", "LC_", "ocale"]),
            Class::Zone => any(&["TZ", "one"]),
            Class::Host => self.at || any(HOST),
            Class::Address => self.digit && any(&["0x"]),
        }
    }
}

/// Every text that the patterns of a class match contains one of these words. Their first letters are left out, as
/// they may be capitals.
const REVISION: &[&str] = &[
    "-g", "+", "-dirty", "ommit", "OMMIT", "evision", "EVISION", "git", "Git", "GIT", "vcs", "VCS", "scm",
    "SCM", "hangeset",
];
const YEARS: &[&str] = &["opyright", "OPYRIGHT", "©", "(c)", "(C)", "&copy;", "\\(co"];
const GENERATOR: &[&str] = &[
    "enerat", "reat", "roduc", "roto", "BISON", "ison", "FLEX", "Qt", "Meta", "moc", "perl", "uil", "xygen",
    "ritten", "ade", "undled", "ython", "ckage", "tailwind", "ompiled", "ool", "ender",
];
const JOBS: &[&str] = &[
    "-j",
    "--job",
    "parallel",
    "proc",
    "PROC",
    "jobs",
    "cpu",
    "CPU",
    "cores",
    "jobserver",
];
const KERNEL: &[&str] = &["Linux", "SMP", "Darwin", "-generic", "-amd64", "-azure", "-aws"];
const PROCESSOR: &[&str] = &[
    "-m", "cpu", "x86", "Intel", "AMD", "znver", "lake", "well", "rapids", "model",
];
const HOST: &[&str] = &[
    "uil",
    "UIL",
    "ompiled",
    "onfigured",
    "ONFIGURED",
    "OMPILE",
    "ackaged",
    "enerated",
    "Linux",
];

patterns! {
    Uuid r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b";
    Umask r"(?i)\bumask[ =:]*(0?[0-7]{3})\b";
    // Formats of `git describe`, setuptools-scm and versioneer.
    Revision r"(-\d{1,6}-g[0-9a-f]{7,40}(?:-dirty|-broken)?)\b";
    Revision r"((?:\.(?:dev|post)\d+)?\+(?:\d+\.)?g[0-9a-f]{7,40}(?:\.d\d{8}|[.-]dirty)?)\b";
    Revision r"\bv?\d+(?:\.\d+)+((?:-\d{1,6}-g[0-9a-f]{7,40})?(?:[-+.]dirty)?)(?:[^\w.+-]|$)";
    // A name and the commit; or a version control system, a name and the commit.
    Revision r#"(?i)(?:\b|_)(?:commit|revision|changeset|(?:git|vcs|scm|hg|build)[-_. ]?(?:commit|sha1?|hash|head|rev(?:ision)?|ref|describe|version))(?:[-_. ]?(?:id|hash|sha1?|rev))?["']?(?: is)?\s*[:=( ]\s*["'(]?([0-9a-f]{7,40}(?:-dirty|-modified|\+)?)(?:[^\w-]|$)"#;
    Revision r"(?i)\bgit[-.~:]([0-9a-f]{7,40}(?:-dirty|-modified)?)\b";
    // ISO 8601 and its relatives.
    Date r"\b(?:19|20)\d\d[-/](?:0?[1-9]|1[0-2])[-/](?:0?[1-9]|[12]\d|3[01])(?:[T _-]{clock}{zone}?)?\b";
    // RFC 5322; ctime, __DATE__ and `date` in the locale of a machine; month and year.
    Month r"(?:\b{weekday}\b[.,]? +)?\b\d{1,2}(?:[ -]|\. ?| de ){month}\b\.?,?(?:[ -]| de )(?:19|20)\d\d(?:,? +{clock}{zone}?)?\b";
    Month r"(?:\b{weekday}\b[.,]? +)?\b\d{1,2}\.? {month}\.?,? +{clock}{zone}?(?: (?:19|20)\d\d)?\b";
    Month r"(?:\b{weekday}\b[.,]? +)?\b{month}\.? +\d{1,2}\b,?(?: +{clock}(?:{zone})?)?,? +(?:19|20)\d\d(?:,? +{clock}{zone}?)?\b";
    Month r"(?:\b{weekday}\b[.,]? +)?\b{month}\.? +\d{1,2} +{clock}{zone}?\b";
    Month r"\b{month}\.?,? (?:de )?(?:19|20)\d\d\b";
    Date r"\b(?:0[1-9]|1[0-2])/(?:0[1-9]|[12]\d|3[01])/\d\d,? {clock}{zone}?";
    Date r"\b(?:19|20)\d\d年 ?\d{1,2}月 ?\d{1,2}日(?: ?{clock}{zone}?)?";
    Date r"\b(?:0?[1-9]|[12]\d|3[01])[./-](?:0?[1-9]|[12]\d|3[01])[./-](?:19|20)\d\d(?:,? {clock}{zone}?)?\b";
    Date r"\b\d{1,2}:\d\d:\d\d(?:[.,]\d{1,9})?(?: ?[AaPp][Mm]\b)?{zone}?";
    Date r"(?:\b|\bD:|[a-z_])((?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])[T_.-]?(?:[01]\d|2[0-3])[0-5]\d(?:[0-5]\d(?:\d{2,3})?)?(?:Z|[+-]\d\d'?:?\d\d'?)?)(?:\b|$|')";
    Date r"\b(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\b";
    Years r"\b(?:19|20)\d\d(?:(?: ?[-–,] ?|, )(?:19|20)\d\d)*\b";
    // Seconds since 1970, or a thousandth, millionth or billionth of one.
    Unix r"\b\d{10}(?:\d{3}){0,3}(?:\.\d+)?\b";
    Temporary r"(?:\b|\.)(?:tmp[a-z0-9_]{8}|tmp\.[A-Za-z0-9]{6,10}|tmp[A-Za-z0-9]{6}|cc[A-Za-z0-9]{6}\.(?:o|s|c|ld|le|res|ltrans\w*)|pip-[a-z-]+-[a-z0-9_]{8}|go-build\d{6,}|rustc[A-Za-z0-9]{6})\b";
    Path r"(?:/[\w.+~@%=-]+)+/?";
    Path r"\b[A-Za-z]:(?:\\{1,2}[\w.+~@%=-]+)+";
    Kernel r"\b(?:Linux|Darwin)(?: version)? (\d+\.\d+\.\d+[\w.+-]*(?: #\d+(?:~[\w.+-]+)?(?: SMP| PREEMPT\w*| Debian [\w.+~-]+)*)?)";
    Kernel r"\b\d+\.\d+\.\d+-(?:\d+-)?(?:cloud-|rt-)?(?:amd64|arm64|generic|azure|aws|gcp|fc\d+|el\d+|arch\d*|lts|default)[\w.+-]*";
    Kernel r"#\d+(?:~[\w.+-]+)? SMP(?: PREEMPT\w*| Debian [\w.+~-]+)*";
    Processor r"-m(?:arch|tune|cpu)=([\w.+-]+)|-C ?target-cpu=([\w-]+)";
    Processor r"\b(?:Intel\(R\)|AMD) [\w()@. -]*(?:CPU|EPYC|Ryzen|Xeon|Core)[\w()@. -]*";
    Processor r"\b(?:x86[-_]64[-_]v[1-4]|znver[1-5]|skylake(?:-avx512)?|haswell|broadwell|icelake-\w+|cascadelake|sapphirerapids)\b";
    Jobs r"(?i)(?:^|[\s\x22'=])-j ?(\d{1,4})\b|--jobs[= ](\d{1,4})\b|\bparallel=(\d{1,4})\b|--jobserver-(?:auth|fds)=([\w:,.-]+)";
    Jobs r"(?i)\b(?:n_?proc|n_?cpus?|cpu_?count|number of (?:cpus|cores|processors|jobs))\W{0,3}[=: ]\W{0,2}(\d{1,4})\b";
    Locale r"\b(?:LANG|LANGUAGE|LC_[A-Z]+|[Ll]ocale)\W{1,4}((?:C|POSIX|[a-z]{2,3}_[A-Z]{2})(?:\.[\w-]+)?(?:@\w+)?)(?:[^\w.@-]|$)";
    Zone r"\b(?:TZ|(?i:time ?zone))\W{1,4}((?:UTC|GMT|Etc/[A-Z]\w+|[A-Z]{3,4}|[A-Z][a-z]+/[A-Z][\w+-]*(?:/[A-Z]\w+)?)(?:[+-]?\d{1,2})?)\b";
    Host r#"(?i)\b(?:built|compiled|packaged|assembled|linked|configured)\b[^\n]{0,80}?\b(?:by|on|at|from):? +(?:user |host |machine )?["'(<]{0,2}([\w.+-]+@[\w.-]*\w)"#;
    Host r"\bLinux version \S{1,80} \(([\w.+-]+@[\w.-]*\w)\)";
    Host r"(?i)\b(?:built|compiled|packaged) (?:[\w.:+-]+ )?by (?:user )?([\w.+-]+) on (?:host |machine )?([\w.-]*\w)";
    Host r"(?i)\b(?:built|compiled|generated|packaged)\b[^\n]{0,60}?\b(?:on|by) (?:host|machine|node|user) ([\w.-]*\w)";
    Host r#"(?i)(?:\b|_)(?:build|built|compiled?|configured)[-_ .]?(?:host|machine|node|user|by)(?:[-_.]?name)?["']?(?:\s*[:=]\s*|\s+["'])["']?([\w.+@-]*\w)"#;
    Address r"\bat (0x[0-9a-f]{6,16})>";
    Address r"\b0x[0-9a-f]{12,16}\b";
    Version r"\bv?\d+(?:\.\d+)+(?:[\w.+:~-]*\w)?\b|\b\d+:\d[\w.+~-]*|\(\d{8}\)|\b\d+-\d[\w.+~]*\b";
}

/// The text with every value blanked that a build may leave behind.
pub(super) fn blanked(text: &str) -> String {
    let signs = Signs::of(text);
    let mut blanked = text.to_owned();
    let patterns = PATTERNS
        .iter()
        .filter(|pattern| pattern.class != Class::Version)
        .chain(generator::LINES.iter());
    for pattern in patterns {
        if !signs.allow(pattern.class, text) {
            continue;
        }
        let mut ranges: Vec<_> = pattern
            .find(&blanked)
            .unwrap_or_default()
            .into_iter()
            .flatten()
            .collect();
        ranges.sort_by_key(|range| std::cmp::Reverse(range.start));
        for range in ranges {
            if blanked.get(range.clone()).is_some() {
                blanked.replace_range(range, &format!("\u{1}{:?}\u{1}", pattern.class));
            }
        }
    }
    blanked
}
