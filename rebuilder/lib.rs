//! x
pub mod artifact;
pub mod attest;
pub mod cli;
pub mod compare;
pub mod container;
pub mod ecosystem;
pub mod evidence;
pub mod plan;
pub mod progress;
pub mod rebuild;
pub mod report;
pub mod sandbox;
pub mod store;
