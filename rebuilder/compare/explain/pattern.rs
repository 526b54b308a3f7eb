//! What builds are known to leave behind in text: classes of values, and the forms that they have.

use std::sync::{LazyLock, OnceLock};

use regex::{Captures, Regex};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
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
pub(super) struct Pattern {
    pub class: Class,
    text: &'static str,
    compiled: OnceLock<Option<Regex>>,
}

impl Pattern {
    pub fn regex(&self) -> Option<&Regex> {
        // A pattern that does not compile is caught by the first test.
        self.compiled
            .get_or_init(|| Regex::new(&ascii(self.text)).ok())
            .as_ref()
    }
}

macro_rules! patterns {
    ($($class:ident $pattern:literal;)*) => {
        pub(super) static PATTERNS: LazyLock<Vec<Pattern>> = LazyLock::new(|| vec![$(Pattern {
            class: Class::$class, text: $pattern, compiled: OnceLock::new(),
        }),*]);
    };
}

/// What a text has that the patterns of a class cannot do without: most texts are passed over by this alone.
pub(super) struct Signs {
    digit: bool,
    slash: bool,
    at: bool,
    dash: bool,
    dot: bool,
}

impl Signs {
    pub fn of(text: &str) -> Self {
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

    pub fn allow(&self, class: Class, text: &str) -> bool {
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

/// The text with every value of the pattern blanked, and the values.
pub(super) fn mask(pattern: &Regex, class: Class, text: &str) -> (String, Vec<String>) {
    let mut found = Vec::new();
    let masked = pattern.replace_all(text, |captures: &Captures| {
        found.extend(captures.get(0).map(|value| value.as_str().to_owned()));
        format!("\u{1}{class:?}\u{1}")
    });
    (masked.into_owned(), found)
}
