#![no_main]

use std::sync::LazyLock;

use rebuilder::evidence::trust::Trust;
use rebuilder::evidence::{assess, document};

static TRUST: LazyLock<Trust> = LazyLock::new(|| Trust::public_good().expect("it is built in"));

// Whatever the bytes are, they are read as evidence or refused; what they state is read without believing it, and no
// signature of a stranger counts.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    for document in document::read("x", data).unwrap_or_default() {
        let payload = assess::payload(&document);
        let _ = payload.unverified();
        let _ = payload.verify_any_signer(&TRUST);
        assert!(payload.verify_signature(&TRUST).is_err(), "nobody was named");
        let _ = assess::assess(&document, &[], &TRUST);
    }
    let _ = document::read_from_registry("x", data);
    let _ = document::read_bundle("x", data);
});
