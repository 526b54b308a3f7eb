//! Cases of the attack suite; see `main.rs`.

use super::Case;

pub const CASES: &[Case] = &[];
