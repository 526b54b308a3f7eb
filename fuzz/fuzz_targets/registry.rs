//! What registries answer and what was released there, as each ecosystem reads it before anything is planned.
#![no_main]

use std::sync::LazyLock;

use rebuilder::ecosystem::{self, Reader};

/// All readers, or those whose name begins with READER: `READER=pnpm cargo fuzz run registry`.
static READERS: LazyLock<Vec<Reader>> = LazyLock::new(|| {
    let only = std::env::var("READER").unwrap_or_default();
    ecosystem::readers().filter(|(name, _)| name.starts_with(&only)).collect()
});

// The first byte chooses a reader.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [reader, data @ ..] = data else {
        return;
    };
    let (_, read) = READERS[usize::from(*reader) % READERS.len()];
    read(data);
});
