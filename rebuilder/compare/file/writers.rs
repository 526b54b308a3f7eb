//! Writers of small files in each format, for tests.

/// A module with one function that returns 7, and one data segment.
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

/// A catalog without a hash table; messages are written in the given order.
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

/// An executable that has only data, with correct digests.
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

/// A TrueType font; tables are written in the given order.
pub(super) fn font(tables: &[(&str, &[u8])]) -> Vec<u8> {
    let sum = |bytes: &[u8]| {
        let words = bytes.chunks(4).map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_be_bytes(word)
        });
        words.fold(0, u32::wrapping_add)
    };
    let count = u8::try_from(tables.len()).unwrap();
    let mut at = 12 + 16 * tables.len();
    let (mut entries, mut data, mut head) = (Vec::new(), Vec::new(), None);
    for (tag, table) in tables {
        if *tag == "head" {
            head = Some(at + 8);
        }
        let numbers = [
            sum(table),
            u32::try_from(at).unwrap(),
            u32::try_from(table.len()).unwrap(),
        ];
        entries.push([tag.as_bytes(), &numbers.map(u32::to_be_bytes).concat()].concat());
        data.extend(*table);
        data.resize(data.len().next_multiple_of(4), 0);
        at = 12 + 16 * tables.len() + data.len();
    }
    entries.sort();
    let header = [0, 1, 0, 0, 0, count, 0, 0, 0, 0, 0, 0];
    let mut file = [&header[..], &entries.concat(), &data].concat();
    if let Some(at) = head {
        let adjustment = 0xb1b0_afba_u32.wrapping_sub(sum(&file));
        file[at..at + 4].copy_from_slice(&adjustment.to_be_bytes());
    }
    file
}

/// The content of a PE file.
#[derive(Clone, Copy)]
pub(super) struct PeFile {
    pub time: u32,
    pub text: &'static [u8],
    pub pdb: &'static str,
    pub guid: [u8; 16],
    pub reproducible: bool,
    pub certificate: Option<&'static [u8]>,
}

/// A PE32+ file with `.text` at 0x200, and `.rdata` with a debug directory at 0x400.
pub(super) fn pe(file: &PeFile) -> Vec<u8> {
    let word = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let mut bytes = b"MZ".to_vec();
    bytes.resize(0x3c, 0);
    bytes.extend(word(0x40));
    bytes.extend(b"PE\0\0\x64\x86\x02\0");
    bytes.extend(file.time.to_le_bytes());
    bytes.extend(b"\0\0\0\0\0\0\0\0\xf0\0\x22\0\x0b\x02");
    bytes.resize(0x58 + 108, 0);
    bytes.extend(word(16));
    bytes.resize(bytes.len() + 48, 0);
    bytes.extend([word(0x2010), word(if file.reproducible { 56 } else { 28 })].concat());
    bytes.resize(0x58 + 240, 0);
    for (name, address, at) in [(b".text\0\0\0", 0x1000, 0x200), (b".rdata\0\0", 0x2000, 0x400)] {
        bytes.extend(name);
        bytes.extend([0x200, address, 0x200, at, 0, 0, 0, 0].map(word).concat());
    }
    bytes.resize(0x200, 0);
    bytes.extend(file.text);
    bytes.resize(0x410, 0);
    let record = [b"RSDS", &file.guid[..], &word(1), file.pdb.as_bytes(), b"\0"].concat();
    let entry = |kind: usize, data: usize| {
        [
            word(0),
            file.time.to_le_bytes(),
            word(0),
            word(kind),
            word(data),
            word(0),
            word(0x448),
        ]
        .concat()
    };
    bytes.extend(entry(2, record.len()));
    bytes.extend(if file.reproducible {
        entry(16, 0)
    } else {
        vec![0; 28]
    });
    bytes.extend(record);
    bytes.resize(0x600, 0);
    if let Some(data) = file.certificate {
        let length = 8 + data.len();
        let padded = length.next_multiple_of(8);
        bytes[0x58 + 144..0x58 + 152].copy_from_slice(&[word(0x600), word(padded)].concat());
        bytes.extend([&word(length)[..], b"\0\x02\x02\0", data].concat());
        bytes.resize(0x600 + padded, 0);
    }
    bytes
}

/// A grey picture of four by two pixels, with other chunks before it.
pub(super) fn png(lines: &[u8], level: u32, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    use std::io::Write as _;
    let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(level));
    stream.write_all(lines).unwrap();
    let data = stream.finish().unwrap();
    let header = b"\0\0\0\x04\0\0\0\x02\x08\0\0\0\0";
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let all = [(b"IHDR", &header[..])].into_iter();
    for (name, data) in all
        .chain(chunks.iter().copied())
        .chain([(b"IDAT", &data[..]), (b"IEND", b"")])
    {
        file.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
        let own = [name, data].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&own);
        file.extend([&own[..], &crc.sum().to_be_bytes()].concat());
    }
    file
}

/// A program for x86-64 with `.text` and `.rodata`, both in one loaded segment.
pub(super) fn elf(data: &[u8]) -> Vec<u8> {
    let short = |number: u16| number.to_le_bytes().to_vec();
    let word = |number: u32| number.to_le_bytes().to_vec();
    let long = |number: usize| (number as u64).to_le_bytes().to_vec();
    let names = b"\0.text\0.rodata\0.shstrtab\0";
    let text = [0x90; 16];
    let (data_at, names_at) = (0x90, 0x90 + data.len());
    let table = (names_at + names.len()).next_multiple_of(8);
    let mut file = [
        b"\x7fELF\x02\x01\x01".to_vec(),
        vec![0; 9],
        short(2),
        short(62),
        word(1),
    ]
    .concat();
    file.extend([long(0x80), long(0x40), long(table), word(0)].concat());
    file.extend([64, 56, 1, 64, 4, 3].map(short).concat());
    file.extend([word(1), word(5), long(0), long(0), long(0)].concat());
    file.extend([long(names_at), long(names_at), long(0x1000)].concat());
    file.resize(0x80, 0);
    file.extend(text);
    file.extend(data);
    file.extend(names);
    file.resize(table, 0);
    let section = |name: u32, kind: u32, flags: usize, at: usize, size: usize| {
        let address = if flags == 0 { 0 } else { at };
        let rest = [word(0), word(0), long(1), long(0)].concat();
        [
            word(name),
            word(kind),
            long(flags),
            long(address),
            long(at),
            long(size),
            rest,
        ]
        .concat()
    };
    file.extend(section(0, 0, 0, 0, 0));
    file.extend(section(1, 1, 6, 0x80, text.len()));
    file.extend(section(7, 1, 2, data_at, data.len()));
    file.extend(section(15, 3, 0, names_at, names.len()));
    file
}

/// A document: catalog, information, page contents and metadata, with a cross-reference table.
pub(super) fn pdf(info: &str, page: &str, xmp: &str, id: &str) -> Vec<u8> {
    let stream = |dictionary: &str, data: &str| {
        format!("<<{dictionary}/Length {}>>stream\n{data}\nendstream", data.len())
    };
    let objects = [
        "<</Type/Catalog/Metadata 4 0 R>>".to_owned(),
        info.to_owned(),
        stream("", page),
        stream("/Type/Metadata/Subtype/XML", xmp),
    ];
    let mut file = "%PDF-1.7\n".to_owned();
    let mut table = "xref\n0 5\n0000000000 65535 f \n".to_owned();
    for (number, object) in (1..).zip(objects) {
        table += &format!("{:010} 00000 n \n", file.len());
        file += &format!("{number} 0 obj\n{object}\nendobj\n");
    }
    let start = file.len();
    file += &format!(
        "{table}trailer\n<</Size 5/Root 1 0 R/Info 2 0 R/ID[<{id}><{id}>]>>\nstartxref\n{start}\n%%EOF\n"
    );
    file.into_bytes()
}

/// A WOFF 2.0 font of plain tables, the glyf table as a transformed one, in `blocks` blocks of brotli.
pub(super) fn woff2(tables: &[(u8, &[u8])], blocks: usize) -> Vec<u8> {
    let mut data: Vec<u8> = tables.iter().flat_map(|(_, table)| table.to_vec()).collect();
    let unpacked: usize = tables
        .iter()
        .map(|(_, table)| 16 + table.len().next_multiple_of(4))
        .sum();
    let directory: Vec<u8> = tables
        .iter()
        .flat_map(|(tag, table)| {
            let length = u8::try_from(table.len()).unwrap();
            if *tag == 10 {
                vec![*tag, length, length]
            } else {
                vec![*tag, length]
            }
        })
        .collect();
    // Blocks that are not compressed (RFC 7932, 9.2), then an empty last one.
    let mut stream = Vec::new();
    for nth in 0..blocks {
        let block: Vec<u8> = if nth + 1 == blocks {
            std::mem::take(&mut data)
        } else {
            data.drain(..8).collect()
        };
        let window = u32::from(nth == 0);
        let header = (u32::try_from(block.len()).unwrap() - 1) << 3 | 1 << 19;
        stream.extend(&(header << window).to_le_bytes()[..3]);
        stream.extend(block);
    }
    stream.push(3);
    let padded = stream.len().next_multiple_of(4);
    let length = 48 + directory.len() + padded;
    let word = |number: usize| u32::try_from(number).unwrap().to_be_bytes();
    let mut file = [b"wOF2\0\x01\0\0".as_slice(), &word(length)].concat();
    file.extend([0, u8::try_from(tables.len()).unwrap(), 0, 0]);
    file.extend([word(12 + unpacked), word(stream.len()), [0, 1, 0, 0]].concat());
    file.extend([0; 20]);
    stream.resize(padded, 0);
    file.extend([directory, stream].concat());
    file
}

/// A PDF file whose objects are in a stream, with a cross-reference table in another one. `level` is that of zlib, and
/// `lie` is added to the first offset in the table.
pub(super) fn packed_pdf(info: &str, catalog: &str, id: &str, level: u32, lie: u8) -> Vec<u8> {
    use std::io::Write as _;
    let deflated = |bytes: &[u8]| {
        let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(level));
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    };
    let stream = |number: u32, dictionary: &str, data: &[u8]| {
        let data = deflated(data);
        let head = format!(
            "{number} 0 obj\n<<{dictionary}/Filter/FlateDecode/Length {}>>stream\n",
            data.len()
        );
        [head.as_bytes(), &data, b"\nendstream\nendobj\n"].concat()
    };
    let header = format!("1 0 2 {} ", catalog.len() + 1);
    let mut file = b"%PDF-1.7\n".to_vec();
    let objects = file.len();
    file.extend(stream(
        3,
        &format!("/Type/ObjStm/N 2/First {}", header.len()),
        format!("{header}{catalog} {info}").as_bytes(),
    ));
    let start = file.len();
    let mut rows = vec![0, 0, 0, 255, 2, 0, 3, 0, 2, 0, 3, 1];
    for (at, lie) in [(objects, lie), (start, 0)] {
        let [high, low] = u16::try_from(at).unwrap().to_be_bytes();
        rows.extend([1, high, low + lie, 0]);
    }
    let dictionary = format!("/Type/XRef/Size 5/W[1 2 1]/Root 1 0 R/Info 2 0 R/ID[<{id}><{id}>]");
    file.extend(stream(4, &dictionary, &rows));
    file.extend(format!("startxref\n{start}\n%%EOF\n").bytes());
    file
}

/// The content of a Mach-O file.
#[derive(Clone, Copy)]
pub(super) struct MachOFile {
    pub text: &'static [u8],
    pub uuid: [u8; 16],
    pub sdk: u32,
    pub identifier: &'static [u8],
}

/// A 64-bit image with one section, and an ad-hoc signature.
pub(super) fn macho(file: &MachOFile) -> Vec<u8> {
    let word = |number: usize| u32::try_from(number).unwrap().to_le_bytes().to_vec();
    let long = |number: usize| (number as u64).to_le_bytes().to_vec();
    let name = |text: &str| [text.as_bytes(), &vec![0; 16 - text.len()]].concat();
    let commands = 152 + 24 + 24 + 16;
    let at = 32 + commands;
    let end = at + file.text.len();
    let segment = [word(0x19), word(152), name("__TEXT")];
    let section = [word(5), word(5), word(1), word(0), name("__text"), name("__TEXT")];
    let text = [
        segment.concat(),
        [long(0), long(end), long(0), long(end)].concat(),
        section.concat(),
        [long(at), long(file.text.len())].concat(),
        [word(at), word(0), word(0), word(0), word(0), vec![0; 12]].concat(),
    ];
    let magic = [0xcf, 0xfa, 0xed, 0xfe, 7, 0, 0, 1, 3, 0, 0, 0, 2, 0, 0, 0].to_vec();
    let mut bytes = [magic, word(4), word(commands), word(0), word(0), text.concat()].concat();
    bytes.extend([word(0x1b), word(24), file.uuid.to_vec()].concat());
    let sdk = file.sdk.to_le_bytes().to_vec();
    bytes.extend([word(0x32), word(24), word(1), word(0xb0000), sdk, word(0)].concat());
    let size = 20 + hashes(file.identifier) + 32;
    bytes.extend([word(0x1d), word(16), word(end), word(size)].concat());
    bytes.extend(file.text);
    let hash = hex::decode(crate::artifact::Sha256::of(&bytes).to_hex()).unwrap();
    bytes.extend(ad_hoc_signature(file.identifier, &hash, end));
    bytes
}

/// Offset of the hashes in a code directory.
fn hashes(identifier: &[u8]) -> usize {
    44 + identifier.len()
}

/// A super blob with only a code directory, with the hash of the `end` bytes before it.
fn ad_hoc_signature(identifier: &[u8], hash: &[u8], end: usize) -> Vec<u8> {
    let big = |number: usize| u32::try_from(number).unwrap().to_be_bytes().to_vec();
    let hashes = hashes(identifier);
    let blob = [0xfade_0cc0, 20 + hashes + 32, 1, 0, 20];
    let directory = [0xfade_0c02, hashes + 32, 0x20001, 2, hashes, 44, 0, 1, end];
    let numbers = [blob.map(big).concat(), directory.map(big).concat()].concat();
    [&numbers[..], &[32, 2, 0, 12], &big(0)[..], identifier, hash].concat()
}

/// One image in a fat file.
pub(super) fn fat(image: &[u8]) -> Vec<u8> {
    let word = |number: usize| u32::try_from(number).unwrap().to_be_bytes();
    let header = [0xcafe_babe, 1, 0x0100_0007, 3, 0x1000, image.len(), 12]
        .map(word)
        .concat();
    let mut bytes = header;
    bytes.resize(0x1000, 0);
    bytes.extend(image);
    bytes
}
