//! What the query builder of `Any` leaves to us.

/// Rows for `VALUES`, each `$` with the next number, from `first`: the query builder of `Any` writes `?`, which PostgreSQL
/// refuses.
pub(super) fn rows(first: usize, count: usize, row: &[&str]) -> String {
    let mut next = first..;
    let rows: Vec<String> = (0..count)
        .map(|_| {
            let cells = row.iter().map(|cell| match cell.strip_suffix('$') {
                Some(before) => format!("{before}${}", next.next().unwrap_or(usize::MAX)),
                None => (*cell).to_owned(),
            });
            format!("({})", cells.collect::<Vec<_>>().join(", "))
        })
        .collect();
    rows.join(", ")
}

#[cfg(test)]
mod tests {
    use super::rows;

    #[test]
    fn parameters_are_numbered_through() {
        assert_eq!(
            rows(3, 2, &["$", "now()", "1 + $"]),
            "($3, now(), 1 + $4), ($5, now(), 1 + $6)"
        );
    }
}
