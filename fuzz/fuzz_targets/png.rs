#![no_main]

mod run;

libfuzzer_sys::fuzz_target!(|data: &[u8]| run::run("x.png", b"\x89PNG\r\n\x1a\n", data));
