//! Random values can be made from a fixed seed, or from the built content.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

const SHELLS: &[Kind] = &[Kind::Make, Kind::Shell, Kind::PackageJson, Kind::Settings];
const PY: &[Kind] = &[Kind::Python];

pub(super) const REMEDY: Remedy = Remedy {
    name: "fixed-seed",
    title: "make random values from a fixed seed",
    knobs: &[Knob::AddressLayout, Knob::Temporary],
    causes: &[Cause::Randomness, Cause::Content, Cause::BuildId],
    rules: &[
        Rule::new(
            PY,
            r"^(\s*)import random\s*$",
            "${1}import random\n${1}random.seed(0)",
        ),
        Rule::new(PY, r"\brandom\.SystemRandom\(\)", "random.Random(0)"),
        Rule::new(
            PY,
            r"\buuid\.uuid[14]\(\)",
            "uuid.uuid5(uuid.NAMESPACE_URL, \"https://reproducible-builds.org/\")",
        ),
        Rule::new(
            PY,
            r"\bos\.urandom\(ARGS\)|\bsecrets\.token_bytes\(ARGS\)",
            "bytes(${1}${2})",
        ),
        Rule::new(PY, r"\bsecrets\.token_(?:hex|urlsafe)\(ARGS\)", "(\"0\" * 32)"),
        Rule::new(PY, r"\b(?:os\.getpid|id)\((?:[\w.]*)\)", "0"),
        Rule::new(
            &[Kind::JavaScript],
            r"\b(?:crypto\.)?randomUUID\(\)",
            "'00000000-0000-4000-8000-000000000000'",
        ),
        Rule::new(
            &[Kind::JavaScript],
            r"\bcrypto\.randomBytes\(ARGS\)",
            "Buffer.alloc(${1})",
        ),
        Rule::new(&[Kind::JavaScript], r"\bMath\.random\(\)", "0.5"),
        Rule::new(&[Kind::JavaScript], r"\bprocess\.pid\b", "1"),
        Rule::new(
            SHELLS,
            r"CMDuuidgen(?:\s+-[rt])?END",
            "${1}echo 00000000-0000-4000-8000-000000000000${2}",
        ),
        Rule::new(
            &[Kind::Shell, Kind::PackageJson, Kind::Settings],
            r"\$(?:RANDOM|SRANDOM)\b|\$\{RANDOM\}",
            "4",
        ),
        Rule::new(&[Kind::Make], r"\$\$(?:RANDOM|\{RANDOM\})", "4"),
        Rule::new(
            SHELLS,
            r"CMDcat\s+/proc/sys/kernel/random/uuid",
            "${1}echo 00000000-0000-4000-8000-000000000000",
        ),
        Rule::new(SHELLS, r"/dev/u?random\b", "/dev/zero"),
        Rule::new(SHELLS, r"CMDshuf\s", "${1}LC_ALL=C sort ").unless("random-source"),
        Rule::new(SHELLS, r"\bsort\s+-R\b", "LC_ALL=C sort"),
        Rule::new(SHELLS, r"CMDopenssl\s+rand\s+[^|;)`>]*", "${1}echo 0 "),
        Rule::new(&[Kind::Perl], r"\brand\(ARGS\)|\brand\b", "0"),
        Rule::new(&[Kind::Perl], r"\$\$([^\w{])", "1${1}"),
        Rule::new(
            &[Kind::Go],
            r"\brand\.(Int|Intn|Int63|Uint32|Int31|Float64)\(",
            "rand.New(rand.NewSource(1)).${1}(",
        ),
        Rule::new(
            &[Kind::Ruby],
            r"\bSecureRandom\.(?:uuid|hex|alphanumeric)(?:\(ARGS\))?",
            "\"00000000-0000-4000-8000-000000000000\"",
        ),
        Rule::new(
            &[Kind::Ruby],
            r"\bRandom\.new\b(?:\(\))?([^(]|$)",
            "Random.new(0)${1}",
        ),
        Rule::new(&[Kind::C], r"\bgetpid\(\s*\)", "1"),
        Rule::new(&[Kind::Rust], r"\b(?:std::)?process::id\(\)", "1"),
    ],
    whole: None,
};
