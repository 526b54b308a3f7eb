//! Attributes of a class for debuggers and stack traces: line numbers and names of local variables (JVMS 4.7.12 to
//! 4.7.14).

use super::code::Code;
use super::facts::About;
use super::pool::{Pool, Reader};

pub(super) fn lines(mut reader: Reader, code: &Code) -> Option<String> {
    let mut lines = Vec::new();
    for _ in 0..reader.u2()? {
        let number = code.number(usize::from(reader.u2()?))?;
        lines.push(format!("{number}: line {}", reader.u2()?));
    }
    reader.is_empty().then(|| lines.join(", "))
}

/// Names of files and variables count as debug information only if they can be names.
pub(super) fn about_name(name: &str) -> About {
    const LONGEST: usize = 200;
    let is_name = |c: char| {
        c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | '-' | '<' | '>' | '?' | '\\' | '{' | '}')
    };
    if name.len() <= LONGEST && name.chars().all(is_name) {
        About::Debug
    } else {
        About::Meaning
    }
}

pub(super) fn variables(mut reader: Reader, code: &Code, pool: &Pool) -> Option<(String, About)> {
    let mut about = About::Debug;
    let mut variables = Vec::new();
    for _ in 0..reader.u2()? {
        let start = reader.u2()?;
        let end = usize::from(start).checked_add(usize::from(reader.u2()?))?;
        let (name, kind) = (pool.utf8(reader.u2()?)?, pool.utf8(reader.u2()?)?);
        if about_name(&name) != About::Debug {
            about = About::Meaning;
        }
        let numbers = (code.number(usize::from(start))?, code.number(end)?);
        variables.push(format!(
            "{} {name}:{kind} {}..{}",
            reader.u2()?,
            numbers.0,
            numbers.1
        ));
    }
    // Their order has no meaning.
    variables.sort();
    reader.is_empty().then(|| (variables.join(", "), about))
}
