//! What registries, archives, logs and sources of statements send, and what was released there.
#![no_main]

use std::sync::LazyLock;

use rebuilder::reader::Reader;
use rebuilder::{apt, discover, ecosystem, evidence, public_log, rootfs, store};

/// All readers, or those whose name begins with READER: `READER=pnpm cargo fuzz run registry`.
static READERS: LazyLock<Vec<Reader>> = LazyLock::new(|| {
    let only = std::env::var("READER").unwrap_or_default();
    let tables = [
        apt::READERS,
        discover::READERS,
        evidence::READERS,
        public_log::READERS,
        rootfs::READERS,
        store::READERS,
    ];
    let all = ecosystem::readers().chain(tables.concat());
    all.filter(|(name, _)| name.starts_with(&only)).collect()
});

// The first byte chooses a reader.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [reader, data @ ..] = data else {
        return;
    };
    let (_, read) = READERS[usize::from(*reader) % READERS.len()];
    read(data);
});
