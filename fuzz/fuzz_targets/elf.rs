#![no_main]

mod run;

libfuzzer_sys::fuzz_target!(|data: &[u8]| run::run("x.so", b"\x7fELF\x02\x01\x01", data));
