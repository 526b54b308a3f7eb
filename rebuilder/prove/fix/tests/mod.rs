//! Remedies line by line, and the patches that are made of them.

mod lines;
mod patches;
mod remedies;
