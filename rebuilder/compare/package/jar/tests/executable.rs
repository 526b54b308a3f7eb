//! Jars that a loader runs without unpacking.

use zip::CompressionMethod::{self, Deflated, Stored};

use super::packed;
use crate::compare::{Cause, Options, Outcome, compare_bytes};

fn jar(libraries: [(&str, CompressionMethod); 2]) -> Vec<u8> {
    let manifest = ("META-INF/MANIFEST.MF", Stored);
    let bytes = b"Manifest-Version: 1.0\r\n\r\n".as_slice();
    let entries = [manifest].into_iter().chain(libraries);
    packed(entries.map(|(name, method)| (name, bytes, method)))
}

#[test]
fn libraries_are_opened_in_place_and_in_turn() {
    let (a, b) = ("BOOT-INF/lib/a.jar", "BOOT-INF/lib/b.jar");
    let (war_a, war_b) = ("WEB-INF/lib-provided/a.jar", "WEB-INF/lib-provided/b.jar");
    let (text_a, text_b) = ("BOOT-INF/classes/a.txt", "BOOT-INF/classes/b.txt");
    for (first, second, outcome) in [
        (a, b, Outcome::Different),
        (war_a, war_b, Outcome::Different),
        (text_a, text_b, Outcome::Equivalent),
    ] {
        let plain = jar([(first, Stored), (second, Stored)]);
        for (what, changed) in [
            ("packed", jar([(first, Deflated), (second, Stored)])),
            ("in another order", jar([(second, Stored), (first, Stored)])),
        ] {
            let found = compare_bytes("x.jar", &plain, &changed, &Options::default());
            assert_eq!(found.outcome, outcome, "{first} {what}: {:?}", found.causes);
            let is_content = found.causes.iter().any(|cause| cause.cause == Cause::Content);
            assert_eq!(is_content, outcome == Outcome::Different, "{first} {what}");
        }
    }
}
