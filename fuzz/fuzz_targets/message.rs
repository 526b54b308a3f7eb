//! What workers, servers, the signer and builds say, and what a gate is handed.
#![no_main]

use std::sync::LazyLock;

use rebuilder::reader::Reader;
use rebuilder::{cli, credentials, queue, run, signer, text, trace};

/// All readers, or those whose name begins with READER: `READER=gate cargo fuzz run message`.
static READERS: LazyLock<Vec<Reader>> = LazyLock::new(|| {
    let only = std::env::var("READER").unwrap_or_default();
    let tables = [
        cli::READERS,
        credentials::READERS,
        queue::READERS,
        run::READERS,
        signer::READERS,
        text::READERS,
        trace::READERS,
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
