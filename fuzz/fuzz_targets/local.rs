//! What users write: policies, recipes, containers, lists, settings.
#![no_main]

use std::sync::LazyLock;

use rebuilder::prove::input;
use rebuilder::reader::Reader;
use rebuilder::{audit, container, plan, policy};

/// All readers, or those whose name begins with READER: `READER=policy cargo fuzz run local`.
static READERS: LazyLock<Vec<Reader>> = LazyLock::new(|| {
    let only = std::env::var("READER").unwrap_or_default();
    let tables = [
        audit::READERS,
        container::READERS,
        input::READERS,
        plan::READERS,
        policy::READERS,
    ];
    let mut all = tables.concat();
    all.retain(|(name, _)| name.starts_with(&only));
    all
});

// The first byte chooses a reader.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [reader, data @ ..] = data else {
        return;
    };
    let (_, read) = READERS[usize::from(*reader) % READERS.len()];
    read(data);
});
