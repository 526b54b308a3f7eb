//! Small writers of tar archives, for tests.

/// A header that is changed before its checksum is written.
pub struct Head(pub [u8; 512]);

pub const USTAR: &[u8] = b"ustar\x0000";
pub const GNU: &[u8] = b"ustar  \0";
pub const END: [u8; 1024] = [0; 1024];

impl Head {
    pub fn new(name: &[u8], size: usize) -> Self {
        let mut head = Self([0; 512]).at(0, name).at(100, b"0000644\0");
        head = head.at(108, b"0000000\0").at(116, b"0000000\0");
        head.at(124, format!("{size:011o}\0").as_bytes())
            .at(136, b"14524770400\0")
            .letter(b'0')
            .at(257, USTAR)
    }

    pub fn at(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub fn letter(self, letter: u8) -> Self {
        self.at(156, &[letter])
    }

    pub fn gnu(self) -> Self {
        self.at(257, GNU)
    }

    /// The same header with another time.
    pub fn later(self) -> Self {
        self.at(136, b"14524770467\0")
    }

    pub fn block(self) -> [u8; 512] {
        let block = self.at(148, b"        ");
        let sum: u32 = block.0.iter().map(|byte| u32::from(*byte)).sum();
        block.at(148, format!("{sum:06o}\0 ").as_bytes()).0
    }

    /// The header with the sum of signed bytes, and the data.
    pub fn summed_signed(self, data: &[u8]) -> Vec<u8> {
        let mut block = self.block();
        let sum: i32 = block.iter().enumerate().fold(0, |sum, (at, byte)| {
            let byte = if (148..156).contains(&at) { b' ' } else { *byte };
            sum + i32::from(byte.cast_signed())
        });
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        [&block, &*padded(data)].concat()
    }

    pub fn with(self, data: &[u8]) -> Vec<u8> {
        [&self.block(), &*padded(data)].concat()
    }
}

pub fn padded(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    bytes.resize(data.len().next_multiple_of(512), 0);
    bytes
}

/// A plain member.
pub fn file(name: &str, data: &[u8]) -> Vec<u8> {
    Head::new(name.as_bytes(), data.len()).with(data)
}

pub fn records(records: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (1..9)
            .map(|digits| rest + digits)
            .find(|length| length.to_string().len() + rest == *length);
        body.extend_from_slice(format!("{} {key}={value}\n", length.unwrap()).as_bytes());
    }
    body
}

/// A pax header with these records, before a member.
pub fn pax(own: &[(&str, &str)]) -> Vec<u8> {
    let body = records(own);
    Head::new(b"./PaxHeaders/x", body.len()).letter(b'x').with(&body)
}

/// A global pax header.
pub fn global(own: &[(&str, &str)]) -> Vec<u8> {
    let body = records(own);
    Head::new(b"pax_global_header", body.len())
        .letter(b'g')
        .with(&body)
}

/// GNU's long name (`L`) or long link (`K`), with bytes after its end.
pub fn long(letter: u8, name: &str, after: &[u8]) -> Vec<u8> {
    let mut block = padded(format!("{name}\0").as_bytes());
    block[name.len() + 1..name.len() + 1 + after.len()].copy_from_slice(after);
    let head = Head::new(b"././@LongLink", name.len() + 1)
        .gnu()
        .letter(letter)
        .at(136, b"00000000000\0");
    [&head.block(), &*block].concat()
}

pub fn archive(parts: &[Vec<u8>]) -> Vec<u8> {
    [&*parts.concat(), &END].concat()
}

/// A Debian package that contains only `data.tar`.
pub fn deb(data: &[u8]) -> Vec<u8> {
    let member = |name: &str, bytes: &[u8]| {
        let head = format!(
            "{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n",
            0,
            0,
            0,
            "100644",
            bytes.len()
        );
        [head.as_bytes(), bytes].concat()
    };
    [
        b"!<arch>\n".to_vec(),
        member("debian-binary", b"2.0\n"),
        member("data.tar", data),
    ]
    .concat()
}
