//! Options that several commands share.

pub(super) mod alarm;
pub(super) mod discovery;
pub(super) mod evidence;
pub(super) mod log;
pub(super) mod logged;
pub(super) mod memory;
pub(super) mod normalise;
pub(super) mod operator;
pub(super) mod released;
pub(super) mod sandbox;
pub(super) mod search;
pub(super) mod signing;
pub(super) mod target;
