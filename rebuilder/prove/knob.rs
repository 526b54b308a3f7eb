//! What `prove` varies, as data: each knob with its two values, and what is needed to turn it.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What a sandbox must be able to do for a knob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing special: every backend can set the environment, accounts, folders, and the programs of the root.
    Nothing,
    /// A changed view of the machine, which only the embedded backend supports.
    View,
}

macro_rules! knobs {
    ($($(#[$about:meta])* $variant:ident, $name:literal, $needs:ident, $a:literal, $b:literal;)*) => {
        /// Something in which builds of one source may differ, and on which the result must not depend.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Knob {
            $($(#[$about])* #[serde(rename = $name)] $variant,)*
        }

        impl Knob {
            /// All of them, in the order in which they are searched: those that break most builds come first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name in commands and reports.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// What the baseline has, in words.
            pub fn baseline(self) -> &'static str {
                match self { $(Self::$variant => $a),* }
            }

            /// What a varied build has, in words.
            pub fn varied(self) -> &'static str {
                match self { $(Self::$variant => $b),* }
            }

            /// What it takes.
            pub fn needs(self) -> Needs {
                match self { $(Self::$variant => Needs::$needs),* }
            }
        }
    };
}

knobs! {
    /// The folder that the source is built in.
    BuildPath, "build-path", Nothing, "/build/NAME", "/var/tmp/elsewhere/2nd/NAME";
    /// The wall clock; times of files that the build writes follow it.
    Clock, "clock", View, "stopped", "running, more than a year ahead";
    /// The modification times of the source tree.
    SourceTimes, "source-times", Nothing, "all the same", "all the same, 10 days later";
    /// The order in which folders list their entries.
    ListingOrder, "listing-order", View, "by name", "by name, in reverse";
    /// The file mode creation mask.
    Umask, "umask", Nothing, "0022", "0002";
    /// Names of the user and the group.
    User, "user", Nothing, "builder:builder", "somebody:people";
    /// Numbers of the user and the group.
    Ids, "ids", Nothing, "1000:1000", "2345:6789";
    /// `TZ`.
    Timezone, "timezone", Nothing, "UTC", "GMT-14 (14 hours ahead)";
    /// `LANG`, `LC_ALL` and `LANGUAGE`.
    Locale, "locale", Nothing, "C.UTF-8", "et_EE.UTF-8 (another sort order, other names of days, decimal \
    comma)";
    /// Seeds of the hash tables of Python and Perl.
    HashSeed, "hash-seed", Nothing, "0", "random";
    /// Number of parallel jobs that build tools are asked for.
    Parallelism, "parallelism", Nothing, "1 job", "4 jobs";
    /// Host name.
    Hostname, "hostname", Nothing, "localhost", "other-machine";
    /// Domain name.
    Domain, "domain", View, "none", "example.org";
    /// `HOME`.
    Home, "home", Nothing, "/home/builder", "/var/lib/another-home";
    /// Variables that have no meaning for a build.
    Environment, "environment", Nothing, "only the necessary variables", "also NOISE, EDITOR, CI_JOB_ID and \
    others";
    /// Release and version of the kernel.
    Kernel, "kernel", View, "6.1.0", "7.4.2-other";
    /// Number of processors.
    Processors, "processors", View, "2", "1";
    /// Model name of the processors.
    ProcessorModel, "processor-model", View, "Baseline", "Another";
    /// The shell behind `/bin/sh`, and `SHELL`.
    Shell, "shell", Nothing, "dash", "bash";
    /// Folder for temporary files.
    Temporary, "tmp", Nothing, "/tmp", "/var/tmp/another-tmp (TMPDIR)";
    /// Addresses of code and data in memory.
    AddressLayout, "address-layout", Nothing, "fixed", "random";
    /// Other work on the machine.
    Load, "load", Nothing, "none", "one processor busy";
}

impl Knob {
    /// The knob of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|knob| knob.name() == name)
    }

    /// Advice for a maintainer, if the bytes alone do not lead to any.
    pub fn advice(self) -> &'static str {
        match self {
            Self::BuildPath => "write no absolute path to outputs, or map the build folder to a fixed path",
            Self::Clock => "take the time from SOURCE_DATE_EPOCH, not from the clock",
            Self::SourceTimes => "take the time from SOURCE_DATE_EPOCH, not from files of the source",
            Self::ListingOrder => "sort the listing of a folder before using it",
            Self::Umask => "set the permissions of new files explicitly (install -m, chmod)",
            Self::User => "do not read the user's name (id, whoami, $USER)",
            Self::Ids => "do not write user and group ids",
            Self::Timezone => "write times in UTC (date -u, gmtime)",
            Self::Locale => "sort and format with LC_ALL=C",
            Self::HashSeed => "sort the entries of sets and hash tables before writing them",
            Self::Parallelism => "do not depend on the number of jobs, or on the order in which they end",
            Self::Hostname => "do not read the host name (hostname, uname -n)",
            Self::Domain => "do not read the domain name",
            Self::Home => "write no path below $HOME to outputs",
            Self::Environment => "only read variables that the build itself sets",
            Self::Kernel => "do not read the version of the kernel (uname -r, uname -v)",
            Self::Processors => "do not read the number of processors (nproc)",
            Self::ProcessorModel => "do not read the model of the processor (/proc/cpuinfo, -march=native)",
            Self::Shell => "write shell code that every POSIX shell reads alike (printf instead of echo)",
            Self::Temporary => "write no path below $TMPDIR to outputs",
            Self::AddressLayout => "do not depend on addresses in memory",
            Self::Load => "do not depend on timing or on other processes of the machine",
        }
    }

    /// Why a backend cannot turn it, if it cannot.
    pub fn why_not(self, backend: &str) -> Option<String> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        if self == Self::Processors && processors < 2 {
            return Some("this machine has one processor".to_owned());
        }
        let view = cfg!(target_arch = "x86_64") && backend == "embedded";
        match self.needs() {
            Needs::Nothing => None,
            Needs::View if view => None,
            Needs::View if backend != "embedded" => Some(format!(
                "the {backend} backend cannot hide the machine from a build; use --backend embedded"
            )),
            Needs::View => Some("not supported on this processor architecture".to_owned()),
        }
    }
}

impl fmt::Display for Knob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is never varied, and why.
pub const NOT_VARIED: &[(&str, &str)] = &[
    (
        "processor instructions",
        "the processor itself answers CPUID; only its name in /proc/cpuinfo is varied",
    ),
    (
        "kind and size of the file system",
        "builds see it in the order of listings, which is varied separately, in statfs(2), and in little else",
    ),
    (
        "numbers of devices and mounts",
        "stat(2) and /proc/self/mountinfo tell those of the machine",
    ),
    (
        "/proc/version and /proc/sys/kernel",
        "they show the machine's own kernel; uname shows the varied one",
    ),
    (
        "other counters in /proc",
        "only stat, uptime, meminfo, cpuinfo and boot_id are those of another machine",
    ),
    (
        "memory, load and processes in sysinfo(2)",
        "they are the machine's own, and change from one moment to the next; /proc/meminfo tells what a build may use",
    ),
    (
        "time since the start of the machine",
        "CLOCK_MONOTONIC, CLOCK_BOOTTIME, sysinfo(2) and the start times of processes measure durations, which are real",
    ),
    (
        "timers for a moment of the wall clock",
        "the kernel's timers (timer_settime, timerfd_settime) and its time stamps of IP packets go by the machine's clock",
    ),
    (
        "the clock in the kernel's shared page",
        "programs are not told where the page is, but one that searches its own memory finds it",
    ),
];

/// The knobs that are turned in a build; all others are as in the baseline.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Variation(BTreeSet<Knob>);

impl Variation {
    /// None turned.
    pub fn baseline() -> Self {
        Self::default()
    }

    /// Whether a knob is turned.
    pub fn has(&self, knob: Knob) -> bool {
        self.0.contains(&knob)
    }

    /// Those that are turned.
    pub fn knobs(&self) -> impl Iterator<Item = Knob> + '_ {
        self.0.iter().copied()
    }
}

impl FromIterator<Knob> for Variation {
    fn from_iter<T: IntoIterator<Item = Knob>>(knobs: T) -> Self {
        Self(knobs.into_iter().collect())
    }
}

impl fmt::Display for Variation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("baseline");
        }
        let names: Vec<_> = self.0.iter().map(|knob| knob.name()).collect();
        f.write_str(&names.join(" + "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_knob_is_found_by_its_name_and_has_two_values() {
        for knob in Knob::ALL {
            assert_eq!(Knob::named(knob.name()), Some(*knob));
            assert_ne!(knob.baseline(), knob.varied());
            assert_eq!(serde_json::to_value(knob).unwrap(), knob.name());
        }
    }
}
