//! Which package someone may have meant.

use super::{AptError, Indexes};

impl Indexes {
    /// The name of a binary package that is most like `name`, which is not a package.
    pub fn similar(&self, name: &str) -> Result<Option<String>, AptError> {
        // Short names have too many neighbours.
        let most = name.len().div_ceil(4).min(2);
        let mut best: Option<(usize, String)> = None;
        self.each_package(|package| {
            let edits = edits(name, package, most);
            if let Some(edits) = edits
                && best
                    .as_ref()
                    .is_none_or(|(fewest, known)| (edits, package) < (*fewest, known))
            {
                best = Some((edits, package.to_owned()));
            }
        })?;
        Ok(best.map(|(_, name)| name))
    }
}

/// How many letters must be added, dropped, changed or swapped with their neighbour to get from one name to the other;
/// none if these are more than `most`.
fn edits(one: &str, other: &str, most: usize) -> Option<usize> {
    if one.len().abs_diff(other.len()) > most {
        return None;
    }
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i.saturating_add(1)];
        for (j, b) in other.iter().enumerate() {
            let next = j.saturating_add(1);
            let mut least = at(&last, j).saturating_add(usize::from(a != b));
            least = least.min(at(&last, next).saturating_add(1));
            least = least.min(at(&row, j).saturating_add(1));
            let swapped = i > 0
                && j > 0
                && Some(b) == one.get(i.wrapping_sub(1))
                && Some(a) == other.get(j.wrapping_sub(1));
            if swapped {
                least = least.min(at(&before, j.wrapping_sub(1)).saturating_add(1));
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().filter(|edits| *edits <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits_up_to_a_bound() {
        for (one, other, found) in [
            ("crony", "chrony", Some(1)),
            ("chrnoy", "chrony", Some(1)),
            ("chrony", "chrony", Some(0)),
            ("chony", "crhony", Some(2)),
            ("crony", "irony", Some(1)),
            ("crony", "balcony", None),
            ("", "ab", Some(2)),
        ] {
            assert_eq!(edits(one, other, 2), found, "{one} {other}");
        }
    }
}
