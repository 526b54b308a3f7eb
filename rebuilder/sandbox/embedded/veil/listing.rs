//! Sorts the listings of folders.

/// Offset of names in entries of getdents64(2), which have a byte for the kind before the name.
pub(super) const LONG: usize = 19;
/// Offset of names in entries of getdents(2).
pub(super) const SHORT: usize = 18;

/// The entries of a listing (getdents(2)), sorted by their names, which are at the offset `name` of each entry. Each
/// entry keeps its inode number; the positions at which a listing can be continued stay in their order.
pub(super) fn in_order(bytes: &[u8], name: usize, backwards: bool) -> Option<Vec<u8>> {
    let mut entries = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        // Inode number and position, eight bytes each, then the length of the entry in two bytes.
        let length = usize::from(u16::from_ne_bytes(rest.get(16..18)?.try_into().ok()?));
        let (entry, after) = rest.split_at_checked(length.max(20))?;
        let name = entry.get(name..)?.split(|byte| *byte == 0).next()?;
        entries.push((name, entry));
        rest = after;
    }
    let places: Vec<_> = entries.iter().map(|(_, entry)| entry.get(8..16)).collect();
    entries.sort_by(|a, b| if backwards { b.0.cmp(a.0) } else { a.0.cmp(b.0) });
    let mut ordered = Vec::with_capacity(bytes.len());
    for ((_, entry), place) in entries.iter().zip(places) {
        ordered.extend_from_slice(entry.get(..8)?);
        ordered.extend_from_slice(place?);
        ordered.extend_from_slice(entry.get(16..)?);
    }
    Some(ordered)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn entry(inode: u64, place: i64, name: &str) -> Vec<u8> {
        let length = (19 + name.len() + 1).next_multiple_of(8);
        let mut entry = [
            &inode.to_ne_bytes()[..],
            &place.to_ne_bytes(),
            &u16::try_from(length).unwrap().to_ne_bytes(),
            &[8],
        ]
        .concat();
        entry.extend(name.bytes());
        entry.resize(length, 0);
        entry
    }

    #[test]
    fn listings_are_put_in_order_and_their_places_stay() {
        let listed = [entry(7, 1, "b"), entry(8, 2, "a-longer-name"), entry(9, 3, "c")].concat();
        let by_name = [entry(8, 1, "a-longer-name"), entry(7, 2, "b"), entry(9, 3, "c")].concat();
        let backwards = [entry(9, 1, "c"), entry(7, 2, "b"), entry(8, 3, "a-longer-name")].concat();
        assert_eq!(in_order(&listed, LONG, false).unwrap(), by_name);
        assert_eq!(in_order(&listed, LONG, true).unwrap(), backwards);
        assert_eq!(in_order(&listed[..30], LONG, false), None);
        assert_eq!(in_order(&[0; 24], LONG, false), None);
    }
}
