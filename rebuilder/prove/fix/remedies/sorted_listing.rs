//! A folder lists its entries in any order, so a build must sort them.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

const SHELLS: &[Kind] = &[Kind::Make, Kind::Shell, Kind::PackageJson, Kind::Settings];
const PY: &[Kind] = &[Kind::Python];

pub(super) const REMEDY: Remedy = Remedy {
    name: "sorted-listing",
    title: "sort the listings of folders",
    knobs: &[Knob::ListingOrder],
    causes: &[Cause::Order, Cause::Content],
    rules: &[
        Rule::new(PY, r"\b(os\.listdir|glob\.i?glob|os\.scandir)\(ARGS\)", "sorted(${1}(${2}))").unless("sorted|scandir|with "),
        Rule::new(PY, r"\bos\.scandir\(ARGS\)", "sorted(os.scandir(${1}), key=lambda entry: entry.name)").unless("sorted|with "),
        Rule::new(PY, r"\bin\s+os\.walk\(ARGS\)", "in ((folder, sorted(folders), sorted(files)) for folder, folders, files in sorted(os.walk(${1})))").unless("sorted"),
        Rule::new(PY, r"\b([\w.]+(?:\([^()]*\))?)\.(iterdir|r?glob)\(ARGS\)", "sorted(${1}.${2}(${3}))").unless(r"sorted|glob\.i?glob"),
        Rule::new(&[Kind::JavaScript], r"\b((?:fs\.)?readdirSync)\(ARGS\)", "${1}(${2}).sort()").unless("sort"),
        Rule::new(&[Kind::Perl], r"\b(readdir\s*\(?\s*[$\w]+\s*\)?|glob\s*\(ARGS\))", "sort(${1})").unless(r"\bsort\b|while"),
        Rule::new(&[Kind::Ruby], r"\b(Dir\.(?:entries|children))\(ARGS\)", "${1}(${2}).sort").unless("sort"),
        Rule::new(&[Kind::Ruby], r"\bDir\.(?:foreach|each_child)\(ARGS\)(\s+(?:do|\{))", "Dir.children(${1}).sort.each${2}").unless("sort"),
        Rule::new(&[Kind::C], r"(\bscandir\s*\([^;]*,\s*)(?:NULL|0|nullptr)(\s*\))", "${1}alphasort${2}"),
        Rule::new(
            &[Kind::Rust],
            r"\b((?:std::)?fs::read_dir\([^;{]*?\))(\.unwrap\(\)|\.expect\([^()]*\)|\?)",
            "{ let mut all: Vec<_> = ${1}${2}.collect(); all.sort_by_key(|entry| entry.as_ref().ok().map(std::fs::DirEntry::path)); all }.into_iter()",
        )
        .unless("sort"),
        Rule::new(&[Kind::Make], r"\$\((shell (?:find|ls)\b[^()]*|wildcard [^()]*)\)", "$$(sort $$(${1}))").unless(r"\$\(sort"),
        // A listing that a program asked not to sort.
        Rule::new(SHELLS, r"CMDls\s+-[fU]END", "${1}LC_ALL=C ls${2}"),
        Rule::new(SHELLS, r"CMDls\s+-([a-zA-Z]*)[fU]([a-zA-Z]*)END", "${1}LC_ALL=C ls -${2}${3}${4}").unless("LC_ALL=C ls"),
        Rule::new(SHELLS, r"CMD(find\s[^|;()`&>]*?-print0)(\s*\|)", "${1}${2} | LC_ALL=C sort -z${3}").unless(r"\bsort\b"),
        Rule::new(SHELLS, r"CMD(find\s[^|;()`&>]*?)\s*-exec\s+([^;{}]*?)\s*\{\}\s*(?:\+|\\;|';')", "${1}${2} -print0 | LC_ALL=C sort -z | xargs -0 ${3}").unless(r"\bsort\b"),
        Rule::new(SHELLS, r"CMD(find\s[^|;()`&>]*[^|;()`&>\s])(\s*\|)", "${1}${2} | LC_ALL=C sort${3}").unless(r"\bsort\b|-print0|-exec"),
        Rule::new(SHELLS, r"CMD(find\s[^|;()`&>]*[^|;()`&>\s])(\s*(?:[;)`>]|$))", "${1}${2} | LC_ALL=C sort${3}").unless(r"-print0|-exec|-delete|shell find"),
        Rule::new(SHELLS, r"CMD(cpio)\s", "${1}LC_ALL=C sort | ${2} --reproducible ").unless("sort|reproducible|-i"),
    ],
    whole: None,
};
