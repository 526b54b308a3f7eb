#![no_main]

mod run;

libfuzzer_sys::fuzz_target!(|data: &[u8]| run::run("x.zip", b"PK\x03\x04", data));
