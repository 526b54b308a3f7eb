//! An archive of evidence from anyone.
#![no_main]

use std::io::Write as _;
use std::sync::LazyLock;

use rebuilder::bundle;
use rebuilder::evidence::trust::Trust;
use rebuilder::report;

static TRUST: LazyLock<Trust> = LazyLock::new(|| Trust::public_good().expect("it is built in"));

/// Documents by their paths, each ended by a zero, as an archive whose headers are as they should be.
fn archive(data: &[u8]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut parts = data.split(|byte| *byte == 0);
    while let (Some(name), Some(content)) = (parts.next(), parts.next()) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_entry_type(tar::EntryType::Regular);
        let name = format!("evidence/{}", String::from_utf8_lossy(name));
        if builder.append_data(&mut header, name, content).is_err() {
            break;
        }
    }
    builder.into_inner().unwrap_or_default()
}

// It is read within its bounds or refused, and what was read is checked. The first byte says whether the rest is an
// archive.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [whole, data @ ..] = data else {
        return;
    };
    let bytes = if *whole % 2 == 0 {
        data.to_vec()
    } else {
        archive(data)
    };
    let Ok(mut file) = tempfile::NamedTempFile::new_in("/dev/shm") else {
        return;
    };
    // The outer compression is its own target; here the archive inside is what varies.
    let mut packed = flate2::write::GzEncoder::new(&mut file, flate2::Compression::none());
    if packed.write_all(&bytes).is_ok()
        && packed.finish().is_ok()
        && let Ok(contents) = bundle::read(file.path())
    {
        let _ = bundle::check(file.path(), &contents, &TRUST, report::page);
    }
});
