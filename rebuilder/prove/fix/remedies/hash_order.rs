//! Sets and hash tables return their entries in an order that changes with each run.

use super::super::edit::{Kind, Rule, prefixed};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

const PY: &[Kind] = &[Kind::Python];

pub(super) const SORTED: Remedy = Remedy {
    name: "sorted-sets",
    title: "sort sets and hash tables before they are written",
    knobs: &[Knob::HashSeed],
    causes: &[Cause::Order, Cause::Content, Cause::Randomness],
    rules: &[
        Rule::new(
            PY,
            r"\b(?:list|tuple)\(((?:frozen)?set\(ARGS\))\)",
            "sorted(${1})",
        ),
        Rule::new(
            PY,
            r"(\bin\s+|\.join\()((?:frozen)?set\(ARGS\))",
            "${1}sorted(${2})",
        )
        .unless(r"\bif\b|sorted"),
        Rule::new(PY, r"(\bin\s+)(\{[^{}:]+\})(\s*:|\])", "${1}sorted(${2})${3}").unless(r"\bif\b|sorted"),
        Rule::new(
            &[Kind::Perl],
            r"(^|[^\w])(keys|values)(\s+%\$?\w+|\s*\(\s*%\$?\w+\s*\)|\s+%\{[^{}]*\})",
            "${1}(sort ${2}${3})",
        )
        .unless(r"\bsort\b|scalar"),
        Rule::new(PY, r"\bhash\(ARGS\)", "zlib.crc32(repr(${1}).encode())").importing(&["zlib"]),
    ],
    whole: None,
};

pub(super) const SEED: Remedy = Remedy {
    name: "hash-seed",
    title: "run interpreters with a fixed hash seed",
    knobs: &[Knob::HashSeed],
    causes: &[Cause::Order, Cause::Content, Cause::Randomness],
    rules: &[Rule::new(
        &[Kind::PackageJson, Kind::Settings],
        r"CMD(python3?|perl)\s",
        "${1}PYTHONHASHSEED=0 PERL_HASH_SEED=0 ${2} ",
    )
    .unless("HASHSEED|HASH_SEED")],
    whole: Some(export),
};

fn export(kind: Kind, text: &str) -> Option<String> {
    if text.contains("PYTHONHASHSEED") {
        return None;
    }
    let interprets = ["python", "perl", "PYTHON", "PERL"]
        .iter()
        .any(|word| text.contains(word));
    match kind {
        Kind::Make if interprets => Some(prefixed(
            text,
            "export PYTHONHASHSEED := 0\nexport PERL_HASH_SEED := 0\nexport PERL_PERTURB_KEYS := 0\n",
        )),
        Kind::Shell if interprets => Some(prefixed(
            text,
            "export PYTHONHASHSEED=0 PERL_HASH_SEED=0 PERL_PERTURB_KEYS=0\n",
        )),
        _ => None,
    }
}
