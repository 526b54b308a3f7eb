//! Whether elements that both sides have differ only in their order, and what sorted them.

/// Whether one side is in byte order and the other in the order of a locale: by letters, ignoring case, first.
pub(super) fn sorted_by_locale(
    released: &[impl AsRef<str>],
    rebuilt: &[impl AsRef<str>],
) -> Option<&'static str> {
    fn bytewise(lines: &[impl AsRef<str>]) -> bool {
        lines.is_sorted_by(|one, next| one.as_ref() <= next.as_ref())
    }
    fn collated(lines: &[impl AsRef<str>]) -> bool {
        lines.is_sorted_by(|one, next| letters(one.as_ref()) <= letters(next.as_ref()))
    }
    let locale = (bytewise(released) && collated(rebuilt)) || (bytewise(rebuilt) && collated(released));
    (locale && released.len() > 2).then_some("sorted by another locale")
}

/// The primary sort key of locales.
fn letters(line: &str) -> String {
    line.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .map(|c| match c {
            'ä' | 'á' | 'à' | 'â' | 'å' | 'ã' => 'a',
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'í' | 'ì' | 'î' | 'ï' => 'i',
            'ö' | 'ó' | 'ò' | 'ô' | 'õ' | 'ø' => 'o',
            'ü' | 'ú' | 'ù' | 'û' => 'u',
            'ç' => 'c',
            'ñ' => 'n',
            other => other,
        })
        .collect()
}
