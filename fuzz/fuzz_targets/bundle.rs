#![no_main]

use std::io::Write as _;

// An archive of evidence from anyone: it is read within its bounds or refused.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(mut file) = tempfile::NamedTempFile::new_in("/dev/shm") else {
        return;
    };
    // The outer compression is its own target; here the archive inside is what varies.
    let mut packed = flate2::write::GzEncoder::new(&mut file, flate2::Compression::none());
    if packed.write_all(data).is_ok() && packed.finish().is_ok() {
        let _ = rebuilder::bundle::read(file.path());
    }
});
