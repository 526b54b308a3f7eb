//! Both halves of the input as two files of one format.

use rebuilder::compare::{Limits, Options, Outcome, compare_bytes};
use rebuilder::report::comparison;

/// The first two bytes say where the second file begins; both get the magic bytes of the format.
pub fn run(name: &str, magic: &[u8], data: &[u8]) {
    let [low, high, data @ ..] = data else { return };
    let at = usize::from(u16::from_le_bytes([*low, *high])) % (data.len() + 1);
    let (a, b) = data.split_at(at);
    let whole = |part: &[u8]| [magic, part].concat();
    let (a, b) = (whole(a), whole(b));
    let options = Options {
        limits: Limits {
            depth: 4,
            members: 10_000,
            unpacked: 8 << 20,
            ..Limits::default()
        },
        ..Options::default()
    };
    let found = compare_bytes(name, &a, &b, &options);
    assert_eq!(found.outcome == Outcome::Identical, a == b);
    assert_eq!(found.causes.is_empty(), a == b, "a difference has a cause");
    comparison::terminal(&found, false);
    comparison::markdown(&found);
    comparison::html(&found).expect("a page can always be made");
}
