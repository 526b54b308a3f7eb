//! Options that several commands share.

pub(super) mod evidence;
