//! A build-id follows from everything that is linked, including what is stripped later.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

pub(super) const REMEDY: Remedy = Remedy {
    name: "no-build-id",
    title: "use no build-id, or one that follows from the content",
    knobs: &[Knob::BuildPath, Knob::HashSeed, Knob::Clock],
    causes: &[Cause::BuildId, Cause::Randomness],
    rules: &[
        Rule::new(
            &[Kind::Make, Kind::Shell, Kind::Settings, Kind::CMake, Kind::Python],
            r"--build-id=uuid",
            "--build-id=sha1",
        ),
        Rule::new(
            &[Kind::Make],
            r"^((?:export\s+|override\s+)?LDFLAGS\s*(?:[:?+]?=|::=).*)$",
            "${1} -Wl,--build-id=none",
        )
        .unless("build-id"),
        Rule::new(
            &[Kind::Make],
            r"^(\t[@+-]*\s*(?:cc|gcc|g\+\+|c\+\+|clang|\$[({](?:CC|CXX|LD)[)}])\s)",
            "${1}-Wl,--build-id=none ",
        )
        .unless(r"build-id|\s-c\s|LDFLAGS"),
    ],
    whole: None,
};
