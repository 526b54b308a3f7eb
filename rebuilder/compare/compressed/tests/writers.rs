//! Writers of small files for each codec.

use std::io::Write as _;

use super::TEXT;

pub(super) fn gzip(level: u32, bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A gzip header with these flags and the fields that they announce, followed by the rest of an ordinary file.
pub(super) fn header(flags: u8, more: &[u8]) -> Vec<u8> {
    let plain = gzip(6, TEXT);
    let mut head = plain[..10].to_vec();
    head[3] = flags;
    [&head, more, &plain[10..]].concat()
}

pub(super) fn with(mut bytes: Vec<u8>, at: usize, byte: u8) -> Vec<u8> {
    let at = if at < 100 { at } else { bytes.len() + at - 200 };
    bytes[at] = byte;
    bytes
}

pub(super) fn xz(bytes: &[u8], check: liblzma::stream::Check) -> Vec<u8> {
    let stream = liblzma::stream::Stream::new_easy_encoder(6, check).unwrap();
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn xz_of(bytes: &[u8]) -> Vec<u8> {
    xz(bytes, liblzma::stream::Check::Crc64)
}

pub(super) fn lzma(bytes: &[u8], dictionary: u32) -> Vec<u8> {
    let mut options = liblzma::stream::LzmaOptions::new_preset(6).unwrap();
    options.dict_size(dictionary);
    let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8], checksum: bool) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(checksum).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn skippable(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    [&[0x50 | number, 0x2a, 0x4d, 0x18], &length[..], content].concat()
}

/// Frames as pzstd writes them: each after its length.
pub(super) fn pieces(parts: &[&[u8]]) -> Vec<u8> {
    let frames = parts.iter().map(|part| zstd(part, true));
    frames
        .flat_map(|frame| {
            let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
            [skippable(0, &length), frame].concat()
        })
        .collect()
}

pub(super) fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(9));
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A frame of blocks, which refer to earlier blocks if the flags say so.
pub(super) fn lz4(flags: u8, blocks: &[&[u8]]) -> Vec<u8> {
    let descriptor = [flags, 0x40];
    let [_, sum, ..] = twox_hash::XxHash32::oneshot(0, &descriptor).to_le_bytes();
    let mut frame = [&crate::compare::lz4::MAGIC[..], &descriptor, &[sum]].concat();
    for block in blocks {
        let packed = lz4_flex::block::compress(block);
        frame.extend(u32::try_from(packed.len()).unwrap().to_le_bytes());
        frame.extend(packed);
    }
    frame.extend([0; 4]);
    if flags & 4 != 0 {
        frame.extend(twox_hash::XxHash32::oneshot(0, &blocks.concat()).to_le_bytes());
    }
    frame
}

/// The output of `echo hello | lzip`, with a dictionary of the given size.
pub(super) fn lzip(dictionary: u8) -> Vec<u8> {
    let raw = LZIP_HELLO.replacen("DD", &format!("{dictionary:02x}"), 1);
    hex::decode(raw).unwrap()
}

/// Made with `printf 'hello\n' | lzip`, except for the size of the dictionary.
const LZIP_HELLO: &str =
    "4c5a495001DD00341949ee8ddd3d3adfffffdd12000020303a3606000000000000002a00000000000000";
