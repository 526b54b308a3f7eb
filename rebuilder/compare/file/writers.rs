//! Small files of each format, for tests.

/// A module with one function that gives 7, and one data segment.
pub(super) fn wasm(data: &[u8], custom: &[(&str, &[u8])]) -> Vec<u8> {
    let length = |bytes: &[u8]| u8::try_from(bytes.len()).unwrap();
    let section = |id: u8, payload: &[u8]| [&[id, length(payload)], payload].concat();
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    module.extend(section(1, b"\x01\x60\0\x01\x7f"));
    module.extend(section(3, b"\x01\0"));
    module.extend(section(10, b"\x01\x04\0\x41\x07\x0b"));
    module.extend(section(
        11,
        &[b"\x01\0\x41\0\x0b", &[length(data)][..], data].concat(),
    ));
    for (name, payload) in custom {
        module.extend(section(
            0,
            &[&[length(name.as_bytes())], name.as_bytes(), *payload].concat(),
        ));
    }
    module
}

/// A catalog without a hash table; messages are written in the order that they have here.
pub(super) fn mo(messages: &[(&str, &str)], little_endian: bool) -> Vec<u8> {
    let word = |number: usize| {
        let number = u32::try_from(number).unwrap();
        if little_endian {
            number.to_le_bytes()
        } else {
            number.to_be_bytes()
        }
    };
    let count = messages.len();
    let (mut tables, mut strings) = ([Vec::new(), Vec::new()], Vec::new());
    let from = 28 + 16 * count;
    for (id, text) in messages {
        for (table, string) in tables.iter_mut().zip([id, text]) {
            table.extend([word(string.len()), word(from + strings.len())].concat());
            strings.extend([string.as_bytes(), b"\0"].concat());
        }
    }
    let header = [0x9504_12de, 0, count, 28, 28 + 8 * count, 0, from]
        .map(word)
        .concat();
    [header, tables.concat(), strings].concat()
}

/// An executable with data and nothing else, and right digests.
pub(super) fn dex(data: &[u8]) -> Vec<u8> {
    use sha1::{Digest as _, Sha1};
    let word = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let mut file = b"dex\n035\0".to_vec();
    file.resize(32, 0);
    file.extend([0x70 + data.len(), 0x70, 0x1234_5678].map(word).concat());
    file.resize(104, 0);
    file.extend([data.len(), 0x70].map(word).concat());
    file.extend(data);
    let signature = Sha1::digest(&file[32..]);
    file[12..32].copy_from_slice(&signature);
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in &file[12..] {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    file[8..12].copy_from_slice(&(high << 16 | low).to_le_bytes());
    file
}
