//! Numbers in headers: octal digits, or base 256 (GNU), in spellings that all readers interpret equally.

/// The value, if all readers interpret the field equally.
///
/// Octal digits after any spaces, up to the end of the field or to one of the common terminators: NULs, a space and
/// NULs, spaces, or a NUL and a space. A field of only NULs is 0. Base 256 begins with the byte 0x80, or with 0xff for
/// negative numbers; only the last eight bytes may carry the value.
pub(super) fn number(field: &[u8]) -> Option<i128> {
    match field.first()? {
        0x80 | 0xff => return base_256(field),
        _ => {}
    }
    let spaces = field.iter().take_while(|byte| **byte == b' ').count();
    let (_, rest) = field.split_at_checked(spaces)?;
    let digits = rest
        .iter()
        .take_while(|byte| (b'0'..=b'7').contains(*byte))
        .count();
    let (digits, end) = rest.split_at_checked(digits)?;
    if digits.is_empty() && spaces > 0 {
        return None;
    }
    let after_space = end.strip_prefix(b" ").unwrap_or(end);
    let ended = after_space.iter().all(|byte| *byte == 0)
        || end.iter().all(|byte| *byte == b' ')
        || (end == b"\0 " && !digits.is_empty());
    if !ended || (digits.is_empty() && end.first() == Some(&b' ')) {
        return None;
    }
    digits.iter().try_fold(0_i128, |value, digit| {
        value
            .checked_mul(8)?
            .checked_add(i128::from(digit.wrapping_sub(b'0')))
    })
}

/// GNU's base 256. Some readers use only the last eight bytes, so the bytes before them must be padding.
fn base_256(field: &[u8]) -> Option<i128> {
    let (first, rest) = field.split_first()?;
    let fill = if *first == 0xff { 0xff } else { 0 };
    let high = rest.len().saturating_sub(8);
    let (high, low) = rest.split_at_checked(high)?;
    if high.iter().any(|byte| *byte != fill) {
        return None;
    }
    let whole = low.iter().try_fold(0_i128, |value, byte| {
        value.checked_mul(256)?.checked_add(i128::from(*byte))
    })?;
    if fill == 0 {
        return Some(whole);
    }
    let bits = u32::try_from(low.len()).ok()?.checked_mul(8)?;
    whole
        .checked_sub(1_i128.checked_shl(bits)?)
        .filter(|value| *value < 0)
}

/// The spelling of the number; together with its value, it determines the bytes.
pub(super) fn spelling(field: &[u8]) -> String {
    if matches!(field.first(), Some(0x80 | 0xff)) {
        return "256".to_owned();
    }
    let letter = |byte: &u8| match byte {
        b'0'..=b'7' => 'd',
        b' ' => '_',
        _ => '0',
    };
    field.iter().map(letter).collect()
}

/// Whether a field has digits up to its last byte, which is a NUL, as most writers produce it.
pub(super) fn is_usual(field: &[u8]) -> bool {
    let Some((last, digits)) = field.split_last() else {
        return false;
    };
    *last == 0 && digits.iter().all(|byte| (b'0'..=b'7').contains(byte))
}

/// A decimal number in the form of pax records: digits without a sign or leading zeros.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let canonical = text == b"0" || text.first().is_some_and(|byte| *byte != b'0');
    if !canonical || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Maximum number of digits on either side of the decimal point of a time.
const MOST_DIGITS: usize = 18;

/// The seconds of a time in a pax record, rounded down, and whether it has a fraction.
pub(super) fn seconds(text: &[u8]) -> Option<(i64, bool)> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |part: &str| part.len() <= MOST_DIGITS && part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    let whole: i64 = whole.parse().ok()?;
    let more = fraction.bytes().any(|byte| byte != b'0');
    let below = i64::from(negative && more);
    let signed = if negative { whole.checked_neg()? } else { whole };
    Some((signed.checked_sub(below)?, more))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_all_readers_read_it_or_not_at_all() {
        let cases: [(&[u8], Option<i128>); 19] = [
            (b"0000644\0", Some(0o644)),
            (b"00000644", Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"000644 \0", Some(0o644)),
            (b"000644\0 ", Some(0o644)),
            (b"0000644 ", Some(0o644)),
            (b"644\0\0\0\0\0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", None),
            (b"\x00000644\0", None),
            (b"644\0x\0\0\0", None),
            (b"644 1\0\0\0", None),
            (b"644\0 \0\0\0", None),
            (b"-000644\0", None),
            (b"0000648\0", None),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"\xc0\0\0\0\0\0\x01\0", None),
            (b"\x80\x01\0\0\0\0\0\0\0\0\0\0", None),
        ];
        for (field, wanted) in cases {
            assert_eq!(number(field), wanted, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn times_and_sizes_in_records_are_numbers_and_nothing_else() {
        assert_eq!(seconds(b"-1.5"), Some((-2, true)));
        assert_eq!(seconds(b"-1"), Some((-1, false)));
        assert_eq!(seconds(b"1700000000.000"), Some((1_700_000_000, false)));
        for odd in ["", "-", ".5", "1e9", "1 ", "0.1234567890123456789", "\u{661}"] {
            assert_eq!(seconds(odd.as_bytes()), None, "{odd}");
        }
        assert_eq!((decimal(b"0"), decimal(b"17")), (Some(0), Some(17)));
        for odd in ["", "017", "+1", "1 ", "0x1", "-1", "99999999999999999999"] {
            assert_eq!(decimal(odd.as_bytes()), None, "{odd}");
        }
    }
}
