//! Time zones.

/// Whether two local times may be one moment: a whole number of quarter hours apart, as zones are, and no further than
/// the two that are furthest from each other.
pub(super) fn zones_apart(released: i64, rebuilt: i64) -> bool {
    const QUARTER: i64 = 15 * 60;
    const DAY: i64 = 24 * 3600;
    const FURTHEST: u64 = 26 * 3600;
    let apart = released.saturating_sub(rebuilt);
    // Whole days are days, although the two zones that are furthest apart differ by more than one.
    apart % DAY != 0 && apart % QUARTER == 0 && apart.unsigned_abs() <= FURTHEST
}
