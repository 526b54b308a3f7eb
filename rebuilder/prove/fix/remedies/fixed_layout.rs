//! If a program of the build depends on its addresses, it can run at fixed ones.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

pub(super) const REMEDY: Remedy = Remedy {
    name: "fixed-layout",
    title: "run the build's programs at fixed addresses",
    knobs: &[Knob::AddressLayout],
    causes: &[Cause::Content, Cause::Order, Cause::Randomness],
    rules: &[Rule::new(
        &[Kind::Make, Kind::Shell, Kind::PackageJson, Kind::Settings],
        r"CMD(\./[\w./-]+)END",
        "${1}setarch §(uname -m) -R ${2}${3}",
    )
    .unless(r"setarch|\./configure")],
    whole: None,
};
