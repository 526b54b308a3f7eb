//! tar stores times, owners, permissions and the order of listings, unless it is told what to store.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

/// A command that creates, whatever comes before that option.
const CREATES: &str = r"CMD(tar|\$[({]TAR[)}])(\s(?:[^;|&]*\s)?(?:-[a-zA-Z]*c[a-zA-Z]*|--create)\s)";

pub(super) const REMEDY: Remedy = Remedy {
    name: "tar-metadata",
    title: "run tar with sorted names, fixed times, owners and permissions",
    knobs: &[
        Knob::Clock,
        Knob::SourceTimes,
        Knob::ListingOrder,
        Knob::User,
        Knob::Ids,
        Knob::Umask,
    ],
    causes: &[
        Cause::Timestamp,
        Cause::SourceDateEpoch,
        Cause::Ownership,
        Cause::Permissions,
        Cause::Order,
    ],
    rules: &[
        // `tar czf X`: options without a dash must come first, so they get one.
        Rule::new(SHELLS, r"CMD(tar|\$[({]TAR[)}])\s+([a-zA-Z]*c[a-zA-Z]*\s)", "${1}${2} -${3}"),
        Rule::new(SHELLS, CREATES, "${1}${2} --mode=go=rX,u+rw,a-s${3}").unless("--mode"),
        Rule::new(SHELLS, CREATES, "${1}${2} --numeric-owner${3}").unless("--numeric-owner"),
        Rule::new(SHELLS, CREATES, "${1}${2} --group=0${3}").unless("--group"),
        Rule::new(SHELLS, CREATES, "${1}${2} --owner=0${3}").unless("--owner"),
        Rule::new(SHELLS, CREATES, "${1}${2} --mtime=@EPOCH${3}").unless("--mtime"),
        Rule::new(SHELLS, CREATES, "${1}${2} --sort=name${3}").unless("--sort"),
        Rule::new(
            &[Kind::Python],
            r#"(["'])tar["'],\s*["']-?([a-zA-Z]*c[a-zA-Z]*)["']"#,
            "${1}tar${1}, \"--sort=name\", \"--mtime=@\" + str(EPOCH), \"--owner=0\", \"--group=0\", \"--numeric-owner\", \"--mode=go=rX,u+rw,a-s\", ${1}-${2}${1}",
        )
        .unless("--sort")
        .importing(&["os", "time"]),
        Rule::new(&[Kind::Python], r"(\btar\w*|\bt|\barchive|\btf|\btgz)\.add\(ARGS\)", "${1}.add(${2}, filter=reproducible_member)")
            .unless("filter="),
    ],
    whole: Some(python_filter),
};

const SHELLS: &[Kind] = &[Kind::Make, Kind::Shell, Kind::PackageJson, Kind::Settings];

const FILTER: &str = r#"

def reproducible_member(member):
    """Make an archive's metadata of a file the same wherever it is built."""
    member.mtime = int(os.environ.get("SOURCE_DATE_EPOCH", 0))
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member

"#;

/// The function that the filter of `tarfile` calls, behind the imports; entries of a folder are sorted by `tarfile`.
fn python_filter(kind: Kind, text: &str) -> Option<String> {
    if kind != Kind::Python
        || !text.contains("filter=reproducible_member")
        || text.contains("def reproducible_member")
    {
        return None;
    }
    let is_import = |line: &str| line.starts_with("import ") || line.starts_with("from ");
    let behind = (1_usize..)
        .zip(text.lines())
        .filter(|(_, line)| is_import(line))
        .last()?
        .0;
    let mut lines: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
    let mut filter = FILTER.to_owned();
    if !text
        .lines()
        .any(|line| line.starts_with("import ") && line.contains("os"))
    {
        filter.insert_str(0, "import os\n");
    }
    lines.insert(behind, filter);
    Some(lines.concat())
}
