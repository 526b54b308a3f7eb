//! Programs with Go's build information, and the expected causes of their differences.

use crate::compare::{Cause, Comparison, Confidence, Options, compare_bytes};

const START: &[u8] = b"\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6";
const END: &[u8] = b"\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2";
const ID: &str = "AAAAAAAAAAAAAAAAAAAA/BBBBBBBBBBBBBBBBBBBB/CCCCCCCCCCCCCCCCCCCC/DDDDDDDDDDDDDDDDDDDD";

/// A program with a Mach-O magic number, code, and the record; the code contains the lines too.
struct Program {
    id: String,
    code: Vec<u8>,
    version: &'static str,
    modules: String,
}

impl Program {
    fn of(modules: &str) -> Self {
        Self {
            id: ID.to_owned(),
            code: vec![0x90; 64],
            version: "go1.19.8",
            modules: modules.to_owned(),
        }
    }

    fn written(&self) -> Vec<u8> {
        let framed = [START, self.modules.as_bytes(), END].concat();
        let mut out = b"\xcf\xfa\xed\xfe".to_vec();
        out.resize(64, 0);
        out.extend([b"\xff Go build ID: \"", self.id.as_bytes(), b"\"\n \xff"].concat());
        out.extend(&self.code);
        out.extend(&framed);
        out.resize(out.len().next_multiple_of(16), 0);
        out.extend(b"\xff Go buildinf:\x08\x02");
        out.resize(out.len() + 16, 0);
        out.push(u8::try_from(self.version.len()).unwrap());
        out.extend(self.version.as_bytes());
        let length = framed.len();
        out.extend([
            u8::try_from(length & 0x7f | 0x80).unwrap(),
            u8::try_from(length >> 7).unwrap(),
        ]);
        out.extend(&framed);
        out.resize(out.len().next_multiple_of(16), 0);
        out
    }
}

fn compared(old: &Program, new: &Program) -> Comparison {
    compare_bytes("program", &old.written(), &new.written(), &Options::default())
}

const LINES: &str = "path\texample.com/m\nmod\texample.com/m\t(devel)\t\ndep\tgolang.org/x/sys\tv0.1.0\th1:aaaa=\nbuild\t-compiler=gc\nbuild\tvcs.revision=d1d05657b0c3a0ed1a5b7092e3fe5d2fd5be9538\nbuild\tvcs.time=2023-11-14T22:13:20Z\nbuild\tvcs.modified=false\n";

#[test]
fn lines_of_one_length_are_all_that_differs() {
    let table = [
        ("d1d05657", "c8ceca80", Cause::SourceRevision),
        ("2023-11-14", "2023-11-15", Cause::Timestamp),
        (
            "sys\tv0.1.0\th1:aaaa=",
            "sys\tv0.2.0\th1:bbbb=",
            Cause::DependencyVersion,
        ),
        ("-compiler=gc", "-compiler=xx", Cause::GoBuildInformation),
        ("(devel)", "v1.2.30", Cause::GoBuildInformation),
    ];
    for (old, new, cause) in table {
        let mut other = Program::of(&LINES.replace(old, new));
        other.id = ID.replace('A', "E");
        let comparison = compared(&Program::of(LINES), &other);
        assert_eq!(comparison.causes.len(), 1, "{old}: {:?}", comparison.causes);
        assert_eq!(comparison.causes[0].cause, cause, "{old}");
        assert_eq!(comparison.causes[0].confidence, Confidence::Proven, "{old}");
        assert_eq!(comparison.causes[0].follow, 1, "the build ID follows");
        // A changed instruction beside it is content, and comes first.
        other.code[7] = 0xcc;
        assert_eq!(
            compared(&Program::of(LINES), &other).causes[0].cause,
            Cause::Content,
            "{old}"
        );
    }
}

#[test]
fn a_module_of_one_version_with_another_sum_is_content() {
    let comparison = compared(
        &Program::of(LINES),
        &Program::of(&LINES.replace("h1:aaaa=", "h1:bbbb=")),
    );
    assert_eq!(comparison.causes[0].cause, Cause::Content);
    assert_eq!(comparison.causes[0].key, "sum of a Go module");
}

#[test]
fn lines_that_go_does_not_write_are_content() {
    for changed in [
        LINES.replace("build\t-compiler", "xuild\t-compiler"),
        LINES.replace("vcs.time=", "-compiler"),
    ] {
        let old = changed.replace("22:13:20Z", "22:13:21Z");
        assert_eq!(
            compared(&Program::of(&old), &Program::of(&changed)).causes[0].cause,
            Cause::Content
        );
    }
}

#[test]
fn lines_of_other_lengths_are_named_beside_the_content() {
    let comparison = compared(
        &Program::of(LINES),
        &Program::of(&LINES.replace("=false", "=true")),
    );
    let causes: Vec<_> = comparison
        .causes
        .iter()
        .map(|cause| (cause.cause, cause.confidence))
        .collect();
    assert_eq!(causes[0].0, Cause::Content);
    assert!(
        comparison.causes[0]
            .example
            .place
            .ends_with("which may follow from the Go build information")
    );
    assert!(
        causes.contains(&(Cause::SourceRevision, Confidence::Possible)),
        "{causes:?}"
    );
    let mut other = Program::of(LINES);
    other.version = "go1.20.1";
    let comparison = compared(&Program::of(LINES), &other);
    assert!(
        comparison
            .causes
            .iter()
            .any(|cause| cause.cause == Cause::ToolVersion && cause.key == "go1.19.8 → go1.20.1")
    );
    assert_eq!(comparison.causes[0].cause, Cause::Content);
}

#[test]
fn only_the_build_id_is_named_as_such() {
    let mut other = Program::of(LINES);
    other.id = ID.replace('D', "E");
    let comparison = compared(&Program::of(LINES), &other);
    assert_eq!(
        (comparison.causes.len(), comparison.causes[0].cause),
        (1, Cause::BuildId)
    );
    other.id = ID.replace('D', "!");
    assert_eq!(
        compared(&Program::of(LINES), &other).causes[0].cause,
        Cause::Content
    );
}

/// An ELF program of Go 1.17: one segment, whose address is 0x1000 higher than its offset, and a record with
/// addresses.
fn with_addresses(modules: &str) -> Vec<u8> {
    let framed = [START, modules.as_bytes(), END].concat();
    let mut file = vec![0; 0x400];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(0x10, &[2, 0, 62, 0, 1]);
    put(0x20, &[64]);
    put(0x34, &[64, 0, 56, 0, 1, 0, 64, 0]);
    // The segment: loaded, readable, at offset 0.
    put(0x40, &[1, 0, 0, 0, 4]);
    put(0x50, &0x1000_u64.to_le_bytes());
    put(0x60, &0x400_u64.to_le_bytes());
    put(0x68, &0x400_u64.to_le_bytes());
    put(0x100, b"\xff Go buildinf:\x08\0");
    put(0x110, &0x1140_u64.to_le_bytes());
    put(0x118, &0x1150_u64.to_le_bytes());
    put(0x140, &0x1160_u64.to_le_bytes());
    put(0x148, &7_u64.to_le_bytes());
    put(0x150, &0x1180_u64.to_le_bytes());
    put(0x158, &(framed.len() as u64).to_le_bytes());
    put(0x160, b"go1.17.");
    put(0x180, &framed);
    file
}

#[test]
fn old_records_are_addresses_of_strings() {
    let lines = "path\tm\nmod\tm\t(devel)\t\ndep\tx\tv0.1.0\th1:a=\n";
    let compared = |new: &[u8]| compare_bytes("program", &with_addresses(lines), new, &Options::default());
    let comparison = compared(&with_addresses(&lines.replace("v0.1.0", "v0.2.0")));
    assert_eq!(comparison.causes.len(), 1, "{:?}", comparison.causes);
    assert_eq!(comparison.causes[0].cause, Cause::DependencyVersion);
    assert_eq!(comparison.causes[0].key, "x v0.1.0 → v0.2.0");
    let mut other = with_addresses(&lines.replace("v0.1.0", "v0.2.0"));
    other[0x3f0] = 1;
    assert_eq!(compared(&other).causes[0].cause, Cause::Content);
}

#[test]
fn two_records_say_nothing() {
    let twice = |old: &str| [Program::of(LINES).written(), Program::of(old).written()].concat();
    let (old, new) = (twice(LINES), twice(&LINES.replace("d1d05657", "c8ceca80")));
    let comparison = compare_bytes("program", &old, &new, &Options::default());
    assert_eq!(comparison.causes[0].cause, Cause::Content);
}
