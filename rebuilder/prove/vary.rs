//! The effect of each knob on a build: on its plan, and on the machine that the sandbox shows.
//!
//! The plan of the baseline is complete; a varied build has other values in it. What may be said in the plan is said
//! there, so that it holds under every backend; the rest is the sandbox's view of a machine.

use std::collections::{BTreeMap, BTreeSet};

use super::knob::{Knob, Variation};
use crate::plan::{INPUTS, InlineFile, Plan, Step, quote};
use crate::sandbox::{Clock, Kernel, Listing, MachineView, Processors};

/// Place of the script that builds, below the inputs.
pub(super) const SCRIPT: &str = "prove/build.sh";
/// The same as a build sees it.
pub(super) const SCRIPT_PATH: &str = "/inputs/prove/build.sh";
/// Place of the script that sets the project's own variables and then runs the other one, below the inputs.
const VARIABLES: &str = "prove/variables.sh";
/// Place of the source archive, below the inputs.
pub(super) const SOURCE: &str = "prove/source.tar";
/// Place of the script that hands the outputs out, below the inputs.
pub(super) const HAND_OUT: &str = "prove/hand-out.sh";
/// A locale that containers have no package for: letters sort without regard to case, days and months have other names,
/// numbers a decimal comma. Its encoding is UTF-8, of which the map names the first letters.
const LOCALE: [(&str, &str); 2] = [
    ("prove/locale", include_str!("locale/definition")),
    ("prove/charmap", include_str!("locale/charmap")),
];
/// The name of that locale.
const LOCALE_NAME: &str = "et_EE.UTF-8";
/// A day in seconds.
const DAY: i64 = 24 * 3600;
/// How far the varied clock is ahead: enough to change the year, month, day of the month and of the week, hour, minute
/// and second.
const AHEAD: i64 = 400 * DAY + 7 * 3600 + 13 * 60 + 19;

/// What varies with a project.
#[derive(Debug, Clone)]
pub(super) struct Basis {
    /// Name of the project, as a folder.
    pub name: String,
    /// Folder that the build starts in, below the source.
    pub folder: String,
    /// Unix time at which the baseline's clock is held.
    pub now: i64,
    /// Folders of the root that the build may write into.
    pub owns: Vec<String>,
}

/// Values of one build.
struct Values<'a> {
    variation: &'a Variation,
    basis: &'a Basis,
}

impl Values<'_> {
    fn pick<T>(&self, knob: Knob, baseline: T, varied: T) -> T {
        if self.variation.has(knob) {
            varied
        } else {
            baseline
        }
    }

    fn source(&self) -> String {
        let name = &self.basis.name;
        self.pick(
            Knob::BuildPath,
            format!("/build/{name}"),
            format!("/var/tmp/elsewhere/2nd/{name}"),
        )
    }

    fn home(&self) -> &'static str {
        self.pick(Knob::Home, "/home/builder", "/var/lib/another-home")
    }

    fn user(&self) -> &'static str {
        self.pick(Knob::User, "builder", "somebody")
    }

    fn group(&self) -> &'static str {
        self.pick(Knob::User, "builder", "people")
    }

    fn ids(&self) -> (u32, u32) {
        self.pick(Knob::Ids, (1000, 1000), (2345, 6789))
    }

    fn jobs(&self) -> u32 {
        self.pick(Knob::Parallelism, 1, 4)
    }

    fn env(&self) -> Vec<(&'static str, String)> {
        let text = str::to_owned;
        let jobs = self.jobs();
        let seed = self.pick(Knob::HashSeed, "0", "random");
        let mut env = vec![
            ("SOURCE", self.source()),
            ("FOLDER", self.basis.folder.clone()),
            ("HOME", text(self.home())),
            ("USER", text(self.user())),
            ("LOGNAME", text(self.user())),
            ("SHELL", text(self.pick(Knob::Shell, "/bin/sh", "/bin/bash"))),
            // POSIX form, which needs no database: east of Greenwich is negative.
            ("TZ", text(self.pick(Knob::Timezone, "UTC", "GMT-14"))),
            ("PYTHONHASHSEED", text(seed)),
            ("MAKEFLAGS", format!("-j{jobs}")),
            ("CMAKE_BUILD_PARALLEL_LEVEL", jobs.to_string()),
            ("CARGO_BUILD_JOBS", jobs.to_string()),
            ("DEB_BUILD_OPTIONS", format!("nocheck parallel={jobs}")),
        ];
        if !self.variation.has(Knob::HashSeed) {
            env.extend([("PERL_HASH_SEED", text("0")), ("PERL_PERTURB_KEYS", text("0"))]);
        }
        if self.variation.has(Knob::Locale) {
            env.extend([
                ("LANG", text(LOCALE_NAME)),
                ("LC_ALL", text(LOCALE_NAME)),
                ("LANGUAGE", text("et:en")),
            ]);
        }
        if self.variation.has(Knob::Temporary) {
            env.push(("TMPDIR", text("/var/tmp/another-tmp")));
        }
        if self.variation.has(Knob::Environment) {
            env.extend([
                ("NOISE", text("this variable means nothing")),
                ("EDITOR", text("nano")),
                ("TERM", text("xterm-256color")),
                ("CI_JOB_ID", text("271828")),
                ("XDG_SESSION_ID", text("31")),
                ("SSH_CONNECTION", text("192.0.2.7 50022 192.0.2.8 22")),
            ]);
        }
        env
    }

    /// Makes the user, its folders and what the knobs change in the root.
    fn prepare(&self) -> String {
        let (uid, gid) = self.ids();
        let (user, group, home) = (self.user(), self.group(), self.home());
        let source = quote(&self.source());
        let mut script = format!(
            "umask 022\n\
             echo '{user}:x:{uid}:{gid}::{home}:/bin/sh' >> /etc/passwd\n\
             echo '{group}:x:{gid}:' >> /etc/group\n\
             printf '127.0.0.1 localhost\\n127.0.1.1 %s %s\\n' {full} {host} > /etc/hosts 2>/dev/null || true\n\
             mkdir -p {home} {source}\n\
             chown {uid}:{gid} {home} {source}\n\
             chown {uid}:{gid} \"$(dirname {source})\"\n",
            host = self.hostname(),
            full = match self.domain() {
                Some(domain) => format!("{}.{domain}", self.hostname()),
                None => self.hostname().to_owned(),
            },
        );
        for folder in &self.basis.owns {
            let folder = quote(folder);
            script.push_str(&format!(
                "if [ -e {folder} ]; then chown -R {uid}:{gid} {folder}; fi\n"
            ));
        }
        if self.variation.has(Knob::Temporary) {
            script.push_str("mkdir -p -m 1777 /var/tmp/another-tmp\n");
        }
        if self.variation.has(Knob::Locale) {
            script.push_str(&format!(
                "LC_ALL=C localedef -c --no-archive -i {INPUTS}/{} -f {INPUTS}/{} /usr/lib/locale/{LOCALE_NAME} \
                 >/dev/null 2>&1 || true\n",
                LOCALE[0].0, LOCALE[1].0
            ));
        }
        let shell = self.pick(Knob::Shell, "dash", "bash");
        script.push_str(&format!(
            "if [ -x /bin/{shell} ]; then ln -sf {shell} /bin/sh; fi\n"
        ));
        if self.variation.has(Knob::Load) {
            script.push_str("( while :; do :; done ) >/dev/null 2>&1 &\n");
        }
        script
    }

    /// Runs a shell command as the build's user, with the mask and the layout of memory of this build.
    fn as_user(&self, command: &str) -> String {
        let (uid, gid) = self.ids();
        let layout = self.pick(Knob::AddressLayout, "setarch \"$(uname -m)\" -R ", "");
        format!(
            "umask {}\n{layout}setpriv --reuid={uid} --regid={gid} --clear-groups {command}\n",
            self.pick(Knob::Umask, "0022", "0002")
        )
    }

    /// `script` is the one that builds.
    fn steps(&self, script: &str) -> Vec<Step> {
        let step = |name: &str, run: String| Step {
            name: name.to_owned(),
            run,
        };
        let age = self.pick(Knob::SourceTimes, 20 * DAY, 10 * DAY - 5 * 3600 - 13 * 60 - 7);
        let time = self.basis.now.saturating_sub(age);
        let unpack = format!(
            "tar xf {INPUTS}/{SOURCE} -C {} --no-same-owner --no-same-permissions --touch",
            quote(&self.source())
        );
        let date = format!(
            "find {} -depth -exec touch -h -d @{time} {{}} +\n",
            quote(&self.source())
        );
        vec![
            step("prepare the machine", self.prepare()),
            step("unpack the source", self.as_user(&unpack) + &date),
            step(
                "build",
                format!(
                    "cd \"$SOURCE/$FOLDER\"\n{}",
                    self.as_user(&format!("/bin/sh -eu {INPUTS}/{script}"))
                ),
            ),
            step(
                "hand out the outputs",
                format!("cd \"$SOURCE/$FOLDER\"\numask 022\n. {INPUTS}/{HAND_OUT}\n"),
            ),
        ]
    }

    fn hostname(&self) -> &'static str {
        self.pick(Knob::Hostname, "localhost", "other-machine")
    }

    fn domain(&self) -> Option<&'static str> {
        self.pick(Knob::Domain, None, Some("example.org"))
    }
}

/// The folder of the source in a build with some knobs turned.
pub(super) fn source(basis: &Basis, variation: &Variation) -> String {
    Values { variation, basis }.source()
}

/// The variables that each build is given, whatever is varied: what knobs turn, and what says where things are.
pub(super) fn own_variables() -> BTreeSet<&'static str> {
    let basis = Basis {
        name: String::new(),
        folder: String::new(),
        now: 0,
        owns: Vec::new(),
    };
    let all = [Variation::baseline(), Knob::ALL.iter().copied().collect()];
    let names = all.iter().flat_map(|variation| {
        let values = Values {
            variation,
            basis: &basis,
        };
        values.env().into_iter().map(|(name, _)| name)
    });
    names.chain(["INSTALLED"]).collect()
}

/// Sets the project's variables for the script that builds, and for nothing else: with them in the plan's environment, a
/// project would have its own programs or libraries in the steps that unpack its source and hand out its files.
fn with_variables(env: &BTreeMap<String, String>) -> String {
    let lines = env
        .iter()
        .map(|(name, value)| format!("export {name}={}\n", quote(value)));
    lines.collect::<String>() + &format!("exec /bin/sh -eu {SCRIPT_PATH}\n")
}

/// The plan of a build with some knobs turned; `own` are the project's variables.
pub(super) fn plan(
    base: &Plan,
    basis: &Basis,
    variation: &Variation,
    own: &BTreeMap<String, String>,
) -> Plan {
    let values = Values { variation, basis };
    let mut plan = base.clone();
    let env = values.env();
    plan.build
        .env
        .extend(env.into_iter().map(|(name, value)| (name.to_owned(), value)));
    if variation.has(Knob::Locale) {
        plan.files.extend(LOCALE.map(|(place, text)| InlineFile {
            place: place.to_owned(),
            text: text.to_owned(),
        }));
    }
    let script = if own.is_empty() { SCRIPT } else { VARIABLES };
    if !own.is_empty() {
        plan.files.push(InlineFile {
            place: script.to_owned(),
            text: with_variables(own),
        });
    }
    plan.build.steps = values.steps(script);
    plan
}

/// The host name of a build with some knobs turned. It is no part of the plan, as the setup depends on the plan's.
pub(super) fn hostname(basis: &Basis, variation: &Variation) -> &'static str {
    Values { variation, basis }.hostname()
}

/// The machine that a build with some knobs turned is shown.
///
/// The clock of the baseline is `held`, but for builds that wait for it to move.
pub(super) fn view(basis: &Basis, variation: &Variation, held: bool) -> MachineView {
    let values = Values { variation, basis };
    let clock = match (held, variation.has(Knob::Clock)) {
        (true, false) => Clock::Held(basis.now),
        (false, false) => Clock::From(basis.now),
        (_, true) => Clock::From(basis.now.saturating_add(AHEAD)),
    };
    let kernel = values.pick(
        Knob::Kernel,
        ("6.1.0", "#1 SMP Baseline"),
        ("7.4.2-other", "#2 SMP Another"),
    );
    MachineView {
        clock: Some(clock),
        listing: Some(values.pick(Knob::ListingOrder, Listing::ByName, Listing::Backwards)),
        kernel: Some(Kernel {
            release: kernel.0.to_owned(),
            version: kernel.1.to_owned(),
        }),
        processors: Some(Processors {
            count: values.pick(Knob::Processors, 2, 1),
            model: values
                .pick(Knob::ProcessorModel, "Baseline", "Another")
                .to_owned(),
        }),
        domain: values.domain().map(str::to_owned),
    }
}

/// The clock of baselines: ahead of all files of the root, and of the source's own time by more than any of its files.
pub(super) fn clock_for(source_date_epoch: i64, now: i64) -> i64 {
    let tomorrow = now.div_euclid(DAY).saturating_add(1).saturating_mul(DAY);
    tomorrow.max(source_date_epoch.saturating_add(30 * DAY))
}
