#![no_main]

mod run;

libfuzzer_sys::fuzz_target!(|data: &[u8]| run::run("x.gz", b"\x1f\x8b\x08", data));
