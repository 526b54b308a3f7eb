//! Records of pax extended headers (POSIX.1-2017, pax, "pax Extended Header").

/// The records of one header in stored order, and the bytes from the first malformed record on.
pub(super) struct Records<'a> {
    pub records: Vec<(&'a [u8], &'a [u8])>,
    pub malformed: &'a [u8],
}

/// Each record is its own length in decimal digits, a space, `key=value`, and a newline.
pub(super) fn records(body: &[u8]) -> Records<'_> {
    let (mut records, mut rest) = (Vec::new(), body);
    while let Some((record, after)) = first(rest) {
        records.push(record);
        rest = after;
    }
    Records {
        records,
        malformed: rest,
    }
}

type Record<'a> = (&'a [u8], &'a [u8]);

fn first(rest: &[u8]) -> Option<(Record<'_>, &[u8])> {
    /// Maximum number of digits of a length.
    const LONGEST: usize = 10;
    let space = rest
        .iter()
        .take(LONGEST.saturating_add(1))
        .position(|byte| *byte == b' ')?;
    let length = super::number::decimal(rest.get(..space)?)?;
    let (record, after) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    let text = record.get(space.checked_add(1)?..)?.strip_suffix(b"\n")?;
    let equals = text.iter().position(|byte| *byte == b'=').filter(|at| *at > 0)?;
    let (key, value) = text.split_at_checked(equals)?;
    Some(((key, value.get(1..)?), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_end_at_the_first_that_is_malformed() {
        let good = b"6 a=1\n8 b=\nx=\n";
        let all = records(good);
        assert_eq!(all.records, [(&b"a"[..], &b"1"[..]), (b"b", b"\nx=")]);
        assert!(all.malformed.is_empty());
        for bad in [
            "6 a=12\n", "06 a=1\n", "5 a=1\n", "6 a 1\n", "5 =1\n", "99 a=1\n", "x", "-6 a=1\n", "\0",
        ] {
            let bytes = [good, bad.as_bytes()].concat();
            let found = records(&bytes);
            assert_eq!(
                (found.records.len(), found.malformed),
                (2, bad.as_bytes()),
                "{bad:?}"
            );
        }
    }
}
