//! Code of methods (JVMS 4.7.3, 6.5), with resolved constants, and addresses as numbers of instructions.

use super::pool::{Pool, Reader};

/// Instructions with what they refer to, and the offset of each.
pub(super) struct Code {
    pub instructions: Vec<String>,
    /// Number of the instruction at each offset, and one more for the end.
    numbers: Vec<Option<usize>>,
}

/// An operand that is an address, before all instructions are numbered.
struct Decoded {
    offset: usize,
    text: String,
    targets: Vec<i64>,
}

impl Code {
    pub fn read(code: &[u8], pool: &Pool) -> Option<Self> {
        let mut reader = Reader(code);
        let mut decoded = Vec::new();
        let mut numbers = vec![None; code.len().checked_add(1)?];
        while !reader.is_empty() {
            let offset = code.len().checked_sub(reader.0.len())?;
            *numbers.get_mut(offset)? = Some(decoded.len());
            decoded.push(instruction(&mut reader, offset, pool)?);
        }
        *numbers.last_mut()? = Some(decoded.len());
        let mut code = Self {
            instructions: Vec::with_capacity(decoded.len()),
            numbers,
        };
        for own in decoded {
            let mut text = own.text;
            for target in own.targets {
                let at = i64::try_from(own.offset).ok()?.checked_add(target)?;
                let number = code.number(usize::try_from(at).ok()?)?;
                text.push_str(&format!(" → {number}"));
            }
            code.instructions.push(text);
        }
        Some(code)
    }

    /// The number of the instruction at an offset.
    pub fn number(&self, offset: usize) -> Option<usize> {
        self.numbers.get(offset).copied().flatten()
    }
}

fn instruction(reader: &mut Reader, offset: usize, pool: &Pool) -> Option<Decoded> {
    let opcode = reader.u1()?;
    let mut targets = Vec::new();
    let name = |opcode: u8| format!("op {opcode:#04x}");
    let text = match opcode {
        0x10 | 0x15..=0x19 | 0x36..=0x3a | 0xa9 | 0xbc => format!("{} {}", name(opcode), reader.u1()?),
        0x11 => format!("{} {}", name(opcode), reader.u2()?),
        0x84 => format!("{} {} {}", name(opcode), reader.u1()?, reader.u1()?),
        0x12 => format!("ldc {}", pool.meaning(u16::from(reader.u1()?))?),
        0x13 => format!("ldc {}", pool.meaning(reader.u2()?)?),
        0x14 => format!("ldc2 {}", pool.meaning(reader.u2()?)?),
        0x99..=0xa8 | 0xc6 | 0xc7 => {
            targets.push(i64::from(reader.u2()?.cast_signed()));
            name(opcode)
        }
        0xc8 | 0xc9 => {
            targets.push(i64::from(reader.u4()?.cast_signed()));
            // The wide forms of `goto` and `jsr`.
            name(if opcode == 0xc8 { 0xa7 } else { 0xa8 })
        }
        0xaa | 0xab => switch(reader, opcode, offset, &mut targets)?,
        0xb2..=0xb8 | 0xbb | 0xbd | 0xc0 | 0xc1 => {
            format!("{} {}", word(opcode), pool.meaning(reader.u2()?)?)
        }
        0xb9 | 0xba => {
            let of = pool.meaning(reader.u2()?)?;
            format!("{} {of} {}", word(opcode), reader.u2()?)
        }
        0xc5 => format!(
            "{} {} {}",
            name(opcode),
            pool.meaning(reader.u2()?)?,
            reader.u1()?
        ),
        0xc4 => {
            let wide = reader.u1()?;
            match wide {
                0x84 => format!("wide {} {} {}", name(wide), reader.u2()?, reader.u2()?),
                0x15..=0x19 | 0x36..=0x3a | 0xa9 => format!("wide {} {}", name(wide), reader.u2()?),
                _ => return None,
            }
        }
        0xca.. => return None,
        _ => name(opcode),
    };
    Some(Decoded {
        offset,
        text,
        targets,
    })
}

fn word(opcode: u8) -> &'static str {
    match opcode {
        0xb2 => "getstatic",
        0xb3 => "putstatic",
        0xb4 => "getfield",
        0xb5 => "putfield",
        0xb6 => "invokevirtual",
        0xb7 => "invokespecial",
        0xb8 => "invokestatic",
        0xb9 => "invokeinterface",
        0xba => "invokedynamic",
        0xbb => "new",
        0xbd => "anewarray",
        0xc0 => "checkcast",
        _ => "instanceof",
    }
}

fn switch(reader: &mut Reader, opcode: u8, offset: usize, targets: &mut Vec<i64>) -> Option<String> {
    // Aligned to four bytes from the beginning of the code; the padding is zero.
    let filling = 3_usize.checked_sub(offset & 3)?;
    reader
        .take(filling)?
        .iter()
        .all(|byte| *byte == 0)
        .then_some(())?;
    targets.push(i64::from(reader.u4()?.cast_signed()));
    if opcode == 0xaa {
        let (low, high) = (reader.u4()?.cast_signed(), reader.u4()?.cast_signed());
        let count = i64::from(high).checked_sub(i64::from(low))?.checked_add(1)?;
        for _ in 0..count {
            targets.push(i64::from(reader.u4()?.cast_signed()));
        }
        return Some(format!("tableswitch {low} to {high}"));
    }
    let mut text = "lookupswitch".to_owned();
    for _ in 0..reader.u4()? {
        text.push_str(&format!(" {}", reader.u4()?.cast_signed()));
        targets.push(i64::from(reader.u4()?.cast_signed()));
    }
    Some(text)
}

/// The attribute `StackMapTable` (JVMS 4.7.4), with numbers of instructions instead of offsets.
pub(super) fn frames(mut reader: Reader, code: &Code, pool: &Pool) -> Option<Vec<String>> {
    let mut frames = Vec::new();
    let mut before: Option<usize> = None;
    for _ in 0..reader.u2()? {
        let kind = reader.u1()?;
        let (delta, text) = match kind {
            0..=63 => (u16::from(kind), "same".to_owned()),
            64..=127 => (
                u16::from(kind & 63),
                format!("stack {}", types(&mut reader, 1, code, pool)?),
            ),
            247 => (
                reader.u2()?,
                format!("stack {}", types(&mut reader, 1, code, pool)?),
            ),
            248..=250 => (reader.u2()?, format!("chop {}", 251_u8.checked_sub(kind)?)),
            251 => (reader.u2()?, "same".to_owned()),
            252..=254 => {
                let delta = reader.u2()?;
                let count = u16::from(kind.checked_sub(251)?);
                (
                    delta,
                    format!("append {}", types(&mut reader, count, code, pool)?),
                )
            }
            255 => {
                let delta = reader.u2()?;
                let count = reader.u2()?;
                let locals = types(&mut reader, count, code, pool)?;
                let count = reader.u2()?;
                let stack = types(&mut reader, count, code, pool)?;
                (delta, format!("locals {locals} stack {stack}"))
            }
            _ => return None,
        };
        let offset = match before {
            None => usize::from(delta),
            Some(before) => before.checked_add(usize::from(delta))?.checked_add(1)?,
        };
        before = Some(offset);
        frames.push(format!("frame at {}: {text}", code.number(offset)?));
    }
    reader.is_empty().then_some(frames)
}

fn types(reader: &mut Reader, count: u16, code: &Code, pool: &Pool) -> Option<String> {
    let mut types = Vec::new();
    for _ in 0..count {
        let tag = reader.u1()?;
        types.push(match tag {
            7 => pool.meaning(reader.u2()?)?,
            8 => format!("new of {}", code.number(usize::from(reader.u2()?))?),
            0..=6 => format!("type {tag}"),
            _ => return None,
        });
    }
    Some(format!("[{}]", types.join(", ")))
}
