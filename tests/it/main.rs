//! The tests of the real program, one module for each user story, linked once.
#![allow(
    dead_code,
    clippy::expect_used,
    clippy::items_after_statements,
    clippy::needless_pass_by_value,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    clippy::type_complexity,
    clippy::unused_self,
    clippy::unwrap_used,
    clippy::verbose_bit_mask,
    missing_docs
)]

mod common;

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
mod evidence;
mod evidence_bundle;
mod keys;
mod policy;
mod provenance;
mod published;
mod rebuild;
mod sandbox;
mod signer;
mod verify;
