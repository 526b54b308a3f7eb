//! Time zones.

/// Whether two local times may be one moment: a whole number of quarter hours apart, as zones are, and no further than
/// the two that are furthest from each other.
pub(super) fn zones_apart(released: i64, rebuilt: i64) -> bool {
    const QUARTER: i64 = 15 * 60;
    const FURTHEST: u64 = 26 * 3600;
    let apart = released.saturating_sub(rebuilt);
    apart != 0 && apart % QUARTER == 0 && apart.unsigned_abs() <= FURTHEST
}
