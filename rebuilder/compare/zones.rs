//! Time zones.

/// Whether two local times may be the same moment: they differ by a whole number of quarter hours, as zones do, and by
/// no more than the two most distant zones.
pub(super) fn zones_apart(released: i64, rebuilt: i64) -> bool {
    const QUARTER: i64 = 15 * 60;
    const DAY: i64 = 24 * 3600;
    const FURTHEST: u64 = 26 * 3600;
    let apart = released.saturating_sub(rebuilt);
    // Whole days count as days, although the two most distant zones differ by more than one.
    apart % DAY != 0 && apart % QUARTER == 0 && apart.unsigned_abs() <= FURTHEST
}
