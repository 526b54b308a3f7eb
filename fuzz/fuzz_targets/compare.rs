//! Two files of one format, whichever formats the comparison knows.
#![no_main]

use std::sync::LazyLock;

use rebuilder::compare::{self, Limits, Options, Outcome, compare_bytes};
use rebuilder::report::comparison;

/// The name of a file, and its first bytes.
type Example = (String, &'static [u8]);

/// All formats, or those whose name of a file ends with FORMAT: `FORMAT=.zip cargo fuzz run compare`.
static EXAMPLES: LazyLock<Vec<Example>> = LazyLock::new(|| {
    let only = std::env::var("FORMAT").unwrap_or_default();
    let mut examples = compare::examples();
    examples.retain(|(name, _)| name.ends_with(&only));
    examples.push(("x.bin".into(), b"\0"));
    examples
});

// The first byte chooses a format, the next two say where the second file begins; both get the format's first bytes.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [format, low, high, data @ ..] = data else {
        return;
    };
    let (name, magic) = &EXAMPLES[usize::from(*format) % EXAMPLES.len()];
    let at = usize::from(u16::from_le_bytes([*low, *high])) % (data.len() + 1);
    let (released, rebuilt) = data.split_at(at);
    let whole = |part: &[u8]| [*magic, part].concat();
    let (released, rebuilt) = (whole(released), whole(rebuilt));
    let options = Options {
        limits: Limits {
            depth: 4,
            members: 10_000,
            unpacked: 8 << 20,
            ..Limits::default()
        },
        ..Options::default()
    };
    let found = compare_bytes(name, &released, &rebuilt, &options);
    let same = released == rebuilt;
    assert_eq!(found.outcome == Outcome::Identical, same);
    assert_eq!(found.causes.is_empty(), same, "a difference has a cause");
    comparison::terminal(&found, false);
    comparison::markdown(&found);
    comparison::html(&found).expect("a page can always be made");
});
