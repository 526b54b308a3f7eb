#![no_main]

use rebuilder::evidence::{assess, document};

// Whatever the bytes are, they are read as evidence or refused; what they state is read without believing it.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for document in document::read("x", data).unwrap_or_default() {
        let _ = assess::payload(&document).unverified();
    }
});
