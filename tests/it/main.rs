//! The tests of the real program, one module for each user story, linked once.
//!
//! A test is a function with `#[apply(test)]`. It begins with what it needs of the machine (`needs(&[NETWORK])`), and
//! is skipped where that is missing; [`harness`] says at the end what was skipped.
#![allow(
    clippy::expect_used,
    clippy::items_after_statements,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::type_complexity,
    clippy::unused_self,
    clippy::unwrap_used,
    clippy::verbose_bit_mask
)]

#[macro_use]
extern crate macro_rules_attribute;

/// Registers a function as a test: `#[apply(test)] fn a_name() { … }`.
macro_rules! test {
    ($(#[$meta:meta])* fn $name:ident() $body:block) => {
        $(#[$meta])*
        fn $name() $body

        inventory::submit! {
            crate::harness::Test { module: module_path!(), name: stringify!($name), run: $name }
        }
    };
}

mod common;
mod harness;

mod attack;
mod attest;
mod audit;
mod bad_input;
mod causes;
mod chaos;
mod cli;
mod compare;
mod container;
mod credentials;
mod deploy;
mod discover;
mod earlier;
mod evidence;
mod evidence_bundle;
mod forms;
mod gate;
mod keys;
mod mail;
mod memory;
mod output;
mod policy;
mod prove;
mod provenance;
mod public_log;
mod published;
mod queue;
mod reading;
mod rebuild;
mod regression;
mod sandbox;
mod scheduled;
mod signer;
mod trace;
mod unified;
mod verify;

fn main() -> std::process::ExitCode {
    harness::main()
}
