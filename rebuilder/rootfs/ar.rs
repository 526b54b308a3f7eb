//! The outer archive of a Debian package (deb(5)): members with short names, one after another.

use std::io::{self, Read};

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER: usize = 60;

/// The members of an archive; reading gives the bytes of the current member.
pub(super) struct Members<R> {
    inner: R,
    /// Bytes of the current member that have not been read yet.
    left: u64,
    /// Whether a padding byte follows the member, to make its length even.
    padded: bool,
}

impl<R: Read> Members<R> {
    pub fn new(mut inner: R) -> io::Result<Self> {
        let mut magic = [0; MAGIC.len()];
        inner.read_exact(&mut magic)?;
        if magic != *MAGIC {
            return Err(invalid("it does not begin as an ar archive"));
        }
        Ok(Self {
            inner,
            left: 0,
            padded: false,
        })
    }

    /// Goes to the next member and returns its name; `None` after the last one.
    pub fn next(&mut self) -> io::Result<Option<String>> {
        let behind = self.left.saturating_add(u64::from(self.padded));
        io::copy(&mut self.inner.by_ref().take(behind), &mut io::sink())?;
        let mut header = Vec::new();
        self.inner.by_ref().take(HEADER as u64).read_to_end(&mut header)?;
        if header.is_empty() {
            return Ok(None);
        }
        let field = |from: usize, to: usize| {
            let text = header
                .get(from..to)
                .and_then(|field| std::str::from_utf8(field).ok());
            text.map(|text| text.trim_end_matches(' '))
                .ok_or_else(|| invalid("the header of a member is not text, or is cut off"))
        };
        if field(58, HEADER)? != "`\n" {
            return Err(invalid("the header of a member does not end as it should"));
        }
        let size = field(48, 58)?;
        let is_number = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
        let size = size.parse().ok().filter(|_| is_number);
        self.left = size.ok_or_else(|| invalid("the size of a member is not a number"))?;
        self.padded = self.left % 2 == 1;
        let name = field(0, 16)?;
        Ok(Some(name.strip_suffix('/').unwrap_or(name).to_owned()))
    }
}

impl<R: Read> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.by_ref().take(self.left).read(buffer)?;
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

fn invalid(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, size: &str, content: &str) -> String {
        format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n{content}",
            0, 0, 0, 100_644
        )
    }

    /// Names and contents of the members, or the error.
    fn read(members: &[String]) -> io::Result<Vec<(String, String)>> {
        let bytes = format!("!<arch>\n{}", members.concat());
        let mut archive = Members::new(bytes.as_bytes())?;
        let mut found = Vec::new();
        while let Some(name) = archive.next()? {
            let mut content = String::new();
            archive.read_to_string(&mut content)?;
            found.push((name, content));
        }
        Ok(found)
    }

    #[test]
    fn members_follow_each_other_at_even_places() {
        let members = [
            member("debian-binary", "4", "2.0\n"),
            member("a/", "3", "abc\n"),
            member("b", "1", "x"),
        ];
        let expected = [("debian-binary", "2.0\n"), ("a", "abc"), ("b", "x")];
        assert_eq!(
            read(&members).unwrap(),
            expected.map(|(name, content)| (name.to_owned(), content.to_owned()))
        );
        let bytes = format!("!<arch>\n{}", members.concat());
        let mut passed = Members::new(bytes.as_bytes()).unwrap();
        let names: Vec<_> = std::iter::from_fn(|| passed.next().unwrap()).collect();
        assert_eq!(
            names,
            ["debian-binary", "a", "b"],
            "what is not read is passed over"
        );
    }

    #[test]
    fn long_names_are_not_looked_up_and_take_no_room() {
        for (name, size, content) in [
            ("/9", "0", ""),
            ("//", "9999999999", ""),
            ("#1/9999999999", "9999999999", ""),
        ] {
            let found = read(&[member(name, size, content)]).unwrap();
            assert_eq!(found.len(), 1, "{name}");
        }
        for (name, size) in [("a", ""), ("a", "-1"), ("a", "+1"), ("a", "x")] {
            assert!(read(&[member(name, size, "")]).is_err(), "{size:?}");
        }
        assert!(read(&["cut off".to_owned()]).is_err());
    }
}
