//! The pixels of a picture: its data is inflated, and the filter of each line is reversed.

use std::io::Read as _;

/// Maximum number of bytes of a picture that is unpacked.
const LARGEST: usize = 64 << 20;

/// A picture, or one of its seven interlaced passes.
struct Pass {
    /// Number of bytes of a line.
    line: usize,
    lines: usize,
}

/// The bytes of all lines. `None` if the data does not exactly match the picture that the header describes.
pub(super) fn read(header: &[u8], stream: &[u8]) -> Option<Vec<u8>> {
    let (width, rest) = header.split_first_chunk()?;
    let (height, rest) = rest.split_first_chunk()?;
    let [depth, colour, 0, 0, interlaced @ (0 | 1)] = rest else {
        return None;
    };
    let size = |word: &[u8; 4]| usize::try_from(u32::from_be_bytes(*word)).ok();
    let channels: usize = match colour {
        0 | 3 => 1,
        2 => 3,
        4 => 2,
        6 => 4,
        _ => return None,
    };
    let bits = channels.checked_mul(usize::from(*depth))?;
    let passes = passes((size(width)?, size(height)?), bits, *interlaced == 1)?;
    let mut total: usize = 0;
    for pass in &passes {
        total = total.checked_add(pass.line.checked_add(1)?.checked_mul(pass.lines)?)?;
    }
    let mut data = inflated(stream, total)?;
    let pixel = bits.div_ceil(8).max(1);
    let mut pixels = Vec::with_capacity(data.len());
    let mut rest = data.as_mut_slice();
    for pass in passes {
        let mut before = vec![0; pass.line];
        for _ in 0..pass.lines {
            let (own, after) = rest.split_at_mut_checked(pass.line.checked_add(1)?)?;
            let (filter, line) = own.split_first_mut()?;
            unfilter(*filter, line, &before, pixel)?;
            before.copy_from_slice(line);
            pixels.extend_from_slice(line);
            rest = after;
        }
    }
    Some(pixels)
}

fn passes((width, height): (usize, usize), bits: usize, interlaced: bool) -> Option<Vec<Pass>> {
    /// First column and line of each pass, and the steps to the next ones.
    const ADAM7: [[usize; 4]; 7] = [
        [0, 0, 8, 8],
        [4, 0, 8, 8],
        [0, 4, 4, 8],
        [2, 0, 4, 4],
        [0, 2, 2, 4],
        [1, 0, 2, 2],
        [0, 1, 1, 2],
    ];
    let whole = [[0, 0, 1, 1]];
    let starts: &[[usize; 4]] = if interlaced { &ADAM7 } else { &whole };
    let mut passes = Vec::new();
    for [column, line, across, down] in starts {
        let columns = width.saturating_sub(*column).div_ceil(*across);
        let lines = height.saturating_sub(*line).div_ceil(*down);
        if columns > 0 && lines > 0 {
            passes.push(Pass {
                line: columns.checked_mul(bits)?.div_ceil(8),
                lines,
            });
        }
    }
    Some(passes)
}

/// `None` unless the stream inflates to exactly `size` bytes, and nothing follows it.
fn inflated(stream: &[u8], size: usize) -> Option<Vec<u8>> {
    if size > LARGEST {
        return None;
    }
    let mut data = Vec::new();
    let mut decoder = flate2::bufread::ZlibDecoder::new(stream);
    let one_more = size.checked_add(1)?;
    decoder
        .by_ref()
        .take(one_more as u64)
        .read_to_end(&mut data)
        .ok()?;
    (data.len() == size && decoder.total_in() == stream.len() as u64).then_some(data)
}

/// Reverses the filter of a line: each byte was stored as the difference from a prediction by its neighbours.
fn unfilter(filter: u8, line: &mut [u8], before: &[u8], pixel: usize) -> Option<()> {
    for at in 0..line.len() {
        let left_at = at.checked_sub(pixel);
        let left = left_at.and_then(|at| line.get(at).copied()).unwrap_or(0);
        let corner = left_at.and_then(|at| before.get(at).copied()).unwrap_or(0);
        let up = before.get(at).copied().unwrap_or(0);
        let foretold = match filter {
            0 => 0,
            1 => left,
            2 => up,
            3 => left.midpoint(up),
            4 => paeth(left, up, corner),
            _ => return None,
        };
        let byte = line.get_mut(at)?;
        *byte = byte.wrapping_add(foretold);
    }
    Some(())
}

fn paeth(left: u8, up: u8, corner: u8) -> u8 {
    let near = |byte: u8| {
        let guess = i16::from(left)
            .wrapping_add(i16::from(up))
            .wrapping_sub(i16::from(corner));
        guess.wrapping_sub(i16::from(byte)).unsigned_abs()
    };
    if near(left) <= near(up) && near(left) <= near(corner) {
        left
    } else if near(up) <= near(corner) {
        up
    } else {
        corner
    }
}
