//! apt's hook before an installation: apt writes to stdin which files it will hand to dpkg (apt.conf(5),
//! `DPkg::Pre-Install-Pkgs`).

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use super::judge::{self, Candidate};
use super::{ApplyArgs, show};
use crate::cli::Common;
use crate::cli::failure::Failure;
use crate::ecosystem;

/// Maximum number of bytes that apt may write: its whole configuration, and a line for each package.
const LIMIT: u64 = 64 << 20;

/// One package that apt is about to install.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Planned {
    name: String,
    version: String,
    architecture: String,
    file: PathBuf,
}

pub(super) fn run(common: &Common, apply: &ApplyArgs) -> Result<ExitCode, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .take(LIMIT.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::inconclusive(format!("cannot read apt's plan: {error}")))?;
    // What is cut off would be installed without being checked.
    if bytes.len() as u64 > LIMIT {
        return Err(Failure::inconclusive(
            "cannot read apt's plan: it is larger than 64 MiB".into(),
        ));
    }
    let text = String::from_utf8_lossy(&bytes);
    let planned = read(&text).map_err(|reason| {
        Failure::usage(format!("cannot read apt's plan: {reason}")).with_help(
            "call it from DPkg::Pre-Install-Pkgs with DPkg::Tools::Options::…::Version \"3\"; docs/gates.md \
            has the lines for apt.conf.d",
        )
    })?;
    if planned.is_empty() {
        // Packages are only configured or removed.
        return Ok(ExitCode::SUCCESS);
    }
    let candidates: Vec<_> = planned.iter().map(candidate).collect::<Result<_, _>>()?;
    let judgement = judge::judge(common, apply, candidates)?;
    show::result(common, "apt", &judgement, apply.allow_unknown)?;
    Ok(judgement.code())
}

/// Reads version 3 of the protocol: a line with the version, the configuration, an empty line, and the packages.
pub(super) fn read(text: &str) -> Result<Vec<Planned>, String> {
    let mut lines = text.lines();
    match lines.next() {
        Some("VERSION 3") => {}
        Some(other) if other.starts_with("VERSION ") => {
            return Err(format!(
                "it has {}, but version 3 is required",
                other.to_lowercase()
            ));
        }
        _ => return Err("it does not begin with a version".to_owned()),
    }
    // The configuration ends with an empty line; if that is missing, apt was cut off.
    if !lines.by_ref().any(str::is_empty) {
        return Err("it ends within the configuration".to_owned());
    }
    let mut planned = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let mut fields = line.splitn(9, ' ');
        let mut next = || fields.next().filter(|field| !field.is_empty());
        let line_is_short = || format!("the line {line:?} does not have nine fields");
        let name = next().ok_or_else(line_is_short)?;
        // Old version, architecture and multi-arch flag, and the direction.
        for _ in 0..4 {
            next().ok_or_else(line_is_short)?;
        }
        let version = next().ok_or_else(line_is_short)?;
        let architecture = next().ok_or_else(line_is_short)?;
        next().ok_or_else(line_is_short)?;
        match next().ok_or_else(line_is_short)? {
            "**CONFIGURE**" | "**REMOVE**" => {}
            file if file.starts_with('/') => planned.push(Planned {
                name: name.to_owned(),
                version: version.to_owned(),
                architecture: architecture.to_owned(),
                file: file.into(),
            }),
            other => return Err(format!("{other:?} is not a file")),
        }
    }
    Ok(planned)
}

/// The file, if it is the package that apt expects.
fn candidate(planned: &Planned) -> Result<Candidate, Failure> {
    let candidate = Candidate::file(&planned.file)?;
    let wrong = |what: &str| {
        Failure::refused(
            format!(
                "cannot install {}: apt expects {} {} ({}), but {what}",
                planned.file.display(),
                planned.name,
                planned.version,
                planned.architecture
            ),
            "do not install the file: the archive's index and the file disagree; report this to the \
            archive"
                .to_owned(),
        )
    };
    let own = ecosystem::read_off(&planned.file).ok_or_else(|| wrong("its control file cannot be read"))?;
    let version = own.version.as_deref().unwrap_or_default();
    // A package for all architectures is read as one that is built on the usual architecture.
    let architecture = own.qualifier("arch").unwrap_or("all");
    let same = own.name == planned.name
        && version == planned.version
        && (architecture == planned.architecture || planned.architecture == "all");
    if same {
        return Ok(candidate);
    }
    Err(wrong(&format!(
        "its control file says {} {version} ({architecture})",
        own.name
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_apt_plans() {
        let head = "VERSION 3\nAPT::Architecture=amd64\nDir::Cache=var/cache/apt\n\n";
        let jq = "jq - - none < 1.6-2.1 amd64 foreign /var/cache/apt/archives/jq_1.6-2.1_amd64.deb";
        let planned = |file: &str| Planned {
            name: "jq".to_owned(),
            version: "1.6-2.1".to_owned(),
            architecture: "amd64".to_owned(),
            file: file.into(),
        };
        let usual = planned("/var/cache/apt/archives/jq_1.6-2.1_amd64.deb");
        assert_eq!(read(&format!("{head}{jq}\n")).unwrap(), [usual]);
        let spaces = "jq 1.5 amd64 none < 1.6-2.1 amd64 none /tmp/a b.deb";
        assert_eq!(
            read(&format!("{head}{spaces}\n")).unwrap(),
            [planned("/tmp/a b.deb")]
        );
        let none = "jq - - none < 1.6-2.1 amd64 none **CONFIGURE**\nold 1.0 all none > - - none **REMOVE**\n";
        assert_eq!(read(&format!("{head}{none}")).unwrap(), []);
        for (text, reason) in [
            ("", "does not begin with a version"),
            (
                "/var/cache/apt/archives/jq.deb\n",
                "does not begin with a version",
            ),
            ("VERSION 2\n\njq - < 1.6 /a.deb\n", "version 3 is required"),
            ("VERSION 3\nAPT::Architecture=amd64\n", "ends within"),
            ("VERSION 3\n\njq - < 1.6 /a.deb\n", "nine fields"),
            (
                "VERSION 3\n\njq - - none < 1 amd64 none **ERROR**\n",
                "is not a file",
            ),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(reason), "{text:?}: {error}");
        }
    }
}
