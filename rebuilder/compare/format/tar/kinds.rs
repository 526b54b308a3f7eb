//! The fields that tar stores besides the bytes of its members.

use crate::compare::cause::{Cause, Confidence, Reason};
use crate::compare::normalise::Normalisation;
use crate::compare::stored::{self, FieldKind, Value, joined};

const fn dialect(name: &'static str) -> FieldKind {
    FieldKind::by(name, Cause::ArchiveDialect, Normalisation::TarHeaders)
}

pub(super) static TYPE: FieldKind = FieldKind::new("type", Cause::Content);
pub(super) static LINK: FieldKind = FieldKind::new("link", Cause::Content);
pub(super) static MODE: FieldKind =
    FieldKind::by("mode", Cause::Permissions, Normalisation::TarFileMode).installed();
/// No system has settable modes of symbolic links.
pub(super) static LINK_MODE: FieldKind = dialect("mode of a symbolic link");
pub(super) static TIME: FieldKind = FieldKind::by("time", Cause::Timestamp, Normalisation::TarTime);
pub(super) static OWNER: FieldKind =
    FieldKind::by(stored::OWNER, Cause::Ownership, Normalisation::TarOwners).installed();
pub(super) static GROUP: FieldKind =
    FieldKind::by(stored::GROUP, Cause::Ownership, Normalisation::TarOwners).installed();
pub(super) static DEVICE: FieldKind = FieldKind::new("device", Cause::Content);
pub(super) static UNUSED_DEVICE: FieldKind = FieldKind::by(
    "device number",
    Cause::ArchiveDialect,
    Normalisation::TarDeviceNumber,
);
pub(super) static DIALECT: FieldKind = dialect("header");
pub(super) static EXTENDED: FieldKind = dialect("extended headers").refined(process_number);
pub(super) static EXTENDED_TIME: FieldKind = FieldKind::by(
    "times of extended headers",
    Cause::Timestamp,
    Normalisation::TarTime,
)
.refined(of_other_headers);
/// For names that are not UTF-8; some readers replace what they cannot convert.
pub(super) static CHARSET: FieldKind = FieldKind::new("character set of the names", Cause::ArchiveDialect);
pub(super) static SPARSE_NAME: FieldKind =
    dialect("name in the header of a sparse file").refined(process_number);
/// The slash after the path of a folder.
pub(super) static SPELLING: FieldKind = dialect(stored::SPELLING);
/// Programs that search for a path, or strip its first components, take `./a` for another path than `a`.
pub(super) static COMPONENTS: FieldKind = dialect(stored::SPELLING).looked_up();
pub(super) static LINK_SPELLING: FieldKind = dialect("link as written").looked_up();
/// In its header, git names a file after the object, which follows from the contents.
pub(super) static OBJECT: FieldKind = FieldKind::new("name of the object in the header", Cause::Content)
    .following_contents()
    .refined(one_dialect);
pub(super) static HOLES: FieldKind = FieldKind::by("holes", Cause::ArchiveDialect, Normalisation::TarSparse);
pub(super) static HOME: FieldKind = FieldKind::by(
    "pax records of inode, device and links",
    Cause::Randomness,
    Normalisation::TarXattrs,
)
.refined(on_one_side);
pub(super) static ORIGIN: FieldKind = FieldKind::by(
    "pax records of the origin",
    Cause::BuildHost,
    Normalisation::TarXattrs,
)
.installed();
pub(super) static SECURITY: FieldKind = FieldKind::new("security attributes", Cause::Content);
pub(super) static MEANING: FieldKind =
    FieldKind::new("pax records that change what is unpacked", Cause::Content);
pub(super) static COMMENT: FieldKind = FieldKind::new("comment", Cause::Content).refined(revision);
pub(super) static NUMBERS_AS_WRITTEN: FieldKind =
    FieldKind::new("numbers that readers take for different ones", Cause::Content);
pub(super) static SIGNED_SUM: FieldKind =
    FieldKind::new("checksum that only some readers accept", Cause::AmbiguousArchive);
pub(super) static DOUBTFUL: FieldKind = FieldKind::new(
    "records that readers take for different ones",
    Cause::AmbiguousArchive,
);
/// Unpackers refuse some of these paths, or change them.
pub(super) static ODD_PATH: FieldKind =
    FieldKind::new("paths that unpackers read differently", Cause::AmbiguousArchive);
pub(super) static SHORT: FieldKind =
    FieldKind::new("name for readers without extended headers", Cause::Content);
pub(super) static SHORT_LINK: FieldKind =
    FieldKind::new("link for readers without extended headers", Cause::Content);
pub(super) static SHORT_SIZE: FieldKind = FieldKind::new(
    "size for readers without extended headers",
    Cause::AmbiguousArchive,
);
pub(super) static DATA: FieldKind =
    FieldKind::new("data of a member that is not a file", Cause::AmbiguousArchive);
/// dpkg refuses such a member, and programs in Go do not take it for a file.
pub(super) static CONTIGUOUS: FieldKind = FieldKind::new("contiguous file", Cause::AmbiguousArchive);
pub(super) static STAR_TIMES: FieldKind =
    FieldKind::by("times of star", Cause::Timestamp, Normalisation::TarTime).refined(on_one_side);
/// Readers that ignore the magic take these times for the beginning of the path.
pub(super) static GNU_TIMES: FieldKind =
    FieldKind::new("times where others have the prefix", Cause::AmbiguousArchive);
pub(super) static FINE_TIME: FieldKind =
    FieldKind::by("pax times", Cause::Timestamp, Normalisation::TarTime).refined(same_times);
pub(super) static HIDDEN: FieldKind = FieldKind::new("bytes that no field uses", Cause::Content);
pub(super) static BETWEEN: FieldKind = FieldKind::new("bytes between members", Cause::Content);
pub(super) static AFTER: FieldKind = FieldKind::new("bytes after the end", Cause::Content);
pub(super) static ZEROS: FieldKind = dialect("zeros at the end");

/// A field that only one side writes at all depends on the dialect.
fn on_one_side(released: &[Value], rebuilt: &[Value]) -> Option<Reason> {
    let one_side = released.is_empty() || rebuilt.is_empty();
    one_side.then(|| {
        Reason::new(
            Cause::ArchiveDialect,
            "tar: extended headers on one side only",
            Confidence::Proven,
        )
    })
}

/// Times that both sides have are equal, except that one of them omits digits.
fn same_times(released: &[Value], rebuilt: &[Value]) -> Option<Reason> {
    let (released, rebuilt) = (joined(released), joined(rebuilt));
    let differs = released
        .split(' ')
        .filter_map(|one| one.split_once('='))
        .any(|(key, time)| {
            let others = rebuilt.split(' ').filter_map(|other| other.split_once('='));
            others
                .filter(|(other, _)| *other == key)
                .any(|(_, other)| !same_time(time, other))
        });
    (!differs).then(|| {
        let key = "tar: pax times on one side only";
        Reason::new(Cause::ArchiveDialect, key, Confidence::Proven)
    })
}

/// Whether the shorter time is the longer one, truncated or rounded.
fn same_time(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() {
        (one, other)
    } else {
        (other, one)
    };
    let decimals = |time: &str| time.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let digits = |time: &str| time.replacen('.', "", 1).parse::<i128>().ok();
    let scale = |time: &str| {
        let by = 10_i128.checked_pow(u32::try_from(decimals(long).checked_sub(decimals(time))?).ok()?)?;
        Some((digits(time)?.checked_mul(by)?, by))
    };
    match (scale(short), scale(long)) {
        // A time without decimals is a different time, as writers with decimals write all of them.
        (Some((short_time, unit)), Some((long_time, _))) => {
            short_time == long_time
                || (decimals(short) > 0 && short_time.abs_diff(long_time) < unit.unsigned_abs())
        }
        _ => false,
    }
}

/// Some writers give extended headers no time; headers of another kind are another dialect.
fn of_other_headers(released: &[Value], rebuilt: &[Value]) -> Option<Reason> {
    let letters = |values: &[Value]| -> String { joined(values).split(' ').step_by(2).collect() };
    let untimed = |values: &[Value]| {
        joined(values)
            .split(' ')
            .skip(1)
            .step_by(2)
            .all(|time| time == "0")
    };
    let other = letters(released) != letters(rebuilt) || untimed(released) || untimed(rebuilt);
    other.then(|| {
        Reason::new(
            Cause::ArchiveDialect,
            "tar: other extended headers",
            Confidence::Proven,
        )
    })
}

/// A name that only one side's dialect writes.
fn one_dialect(released: &[Value], rebuilt: &[Value]) -> Option<Reason> {
    let one_side = released.is_empty() || rebuilt.is_empty();
    one_side.then(|| {
        Reason::new(
            Cause::ArchiveDialect,
            "tar: names as git writes them",
            Confidence::Likely,
        )
    })
}

/// Git writes the commit of an archive as its comment.
fn revision(released: &[Value], rebuilt: &[Value]) -> Option<Reason> {
    let is_commit = |values: &[Value]| {
        let text = joined(values);
        matches!(text.len(), 40 | 64) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    match (released, rebuilt) {
        ([], commit) | (commit, []) if is_commit(commit) => Some(Reason::new(
            Cause::ArchiveDialect,
            "tar: the commit that git writes as a comment",
            Confidence::Proven,
        )),
        (released, rebuilt) if is_commit(released) && is_commit(rebuilt) => Some(Reason::new(
            Cause::SourceRevision,
            format!("{} → {}", joined(released), joined(rebuilt)),
            Confidence::Proven,
        )),
        _ => None,
    }
}

/// GNU tar includes its process id in the names of extended headers and of sparse files.
fn process_number(released: &[Value], rebuilt: &[Value]) -> Option<Reason> {
    let without = |values: &[Value]| {
        let mut text = joined(values);
        for marker in ["PaxHeaders.", "GNUSparseFile."] {
            let mut parts = text.split(marker);
            let first = parts.next().unwrap_or_default().to_owned();
            text = parts.fold(first, |rest, part| {
                rest + marker.trim_end_matches('.') + part.trim_start_matches(|c: char| c.is_ascii_digit())
            });
        }
        text
    };
    (!released.is_empty() && without(released) == without(rebuilt)).then(|| {
        Reason::new(
            Cause::Randomness,
            "process number in names of pax headers",
            Confidence::Proven,
        )
    })
}
