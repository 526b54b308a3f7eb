//! A class as a list of facts (JVMS 4). Each has a place, which names the class, method or field, and a value with all
//! references resolved.

use super::code::{self, Code};
use super::debug;
use super::pool::{Pool, Reader};

/// One fact about a class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    pub place: String,
    pub value: String,
    pub about: About,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// Something that the JVM runs, links or reflects.
    Meaning,
    /// Line numbers, and names of local variables and of the source file.
    Debug,
    /// An attribute whose references cannot be resolved: it is the same only if the constants have the same order.
    Raw,
}

/// A class with all references resolved.
pub(super) struct Class<'a> {
    pub version: (u16, u16),
    pub name: String,
    /// Facts about the class itself.
    pub facts: Vec<Fact>,
    /// Fields and methods in stored order, each with its name and type.
    pub members: Vec<Member>,
    pub pool: Pool<'a>,
    /// The constants as they are stored.
    pub constants: &'a [u8],
}

pub(super) struct Member {
    pub name: String,
    pub is_synthetic: bool,
    pub facts: Vec<Fact>,
    /// Its instructions, if it has code.
    pub instructions: Vec<String>,
}

const SYNTHETIC: u16 = 0x1000;

impl<'a> Class<'a> {
    /// Reads all bytes of a class file; `None` if the meaning of any of them is not known.
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes.strip_prefix(b"\xca\xfe\xba\xbe")?);
        let (minor, major) = (reader.u2()?, reader.u2()?);
        let before = reader;
        let mut pool = Pool::read(&mut reader)?;
        let constants = before.0.get(..before.0.len().checked_sub(reader.0.len())?)?;
        let mut body = reader;
        bootstraps(reader, &mut pool)?;
        let flags = body.u2()?;
        let name = pool.meaning(body.u2()?)?;
        let mut facts = Facts { facts: Vec::new() };
        facts.meaning("flags", format!("{flags:#06x}"));
        facts.meaning("super class", pool.meaning(body.u2()?)?);
        for number in 0..body.u2()? {
            facts.meaning(&format!("interface {number}"), pool.meaning(body.u2()?)?);
        }
        let mut members = Vec::new();
        for kind in ["field", "method"] {
            for _ in 0..body.u2()? {
                members.push(member(kind, &mut body, &pool)?);
            }
        }
        attributes(&mut body, &pool, None, "", &mut facts)?;
        let name = name.strip_prefix("class ").unwrap_or(&name).to_owned();
        body.is_empty().then_some(Self {
            version: (major, minor),
            name,
            facts: facts.facts,
            members,
            pool,
            constants,
        })
    }
}

struct Facts {
    facts: Vec<Fact>,
}

impl Facts {
    fn add(&mut self, place: &str, value: String, about: About) {
        let place = place.to_owned();
        self.facts.push(Fact { place, value, about });
    }

    fn meaning(&mut self, place: &str, value: String) {
        self.add(place, value, About::Meaning);
    }
}

/// Reads the bootstrap methods first, as constants refer to them.
fn bootstraps<'a>(mut reader: Reader<'a>, pool: &mut Pool<'a>) -> Option<()> {
    reader.take(6)?;
    let interfaces = usize::from(reader.u2()?);
    reader.take(interfaces.checked_mul(2)?)?;
    for _ in 0..2 {
        for _ in 0..reader.u2()? {
            reader.take(6)?;
            for _ in 0..reader.u2()? {
                reader.take(2)?;
                let length = reader.u4()?;
                reader.take(usize::try_from(length).ok()?)?;
            }
        }
    }
    let mut seen = false;
    for _ in 0..reader.u2()? {
        let name = reader.u2()?;
        let length = reader.u4()?;
        let content = reader.take(usize::try_from(length).ok()?)?;
        if pool.utf8(name)? == "BootstrapMethods" {
            (!seen).then_some(())?;
            seen = true;
            pool.read_bootstraps(Reader(content))?;
        }
    }
    Some(())
}

fn member(kind: &str, body: &mut Reader, pool: &Pool) -> Option<Member> {
    let flags = body.u2()?;
    let name = format!("{kind} {}:{}", pool.utf8(body.u2()?)?, pool.utf8(body.u2()?)?);
    let mut facts = Facts { facts: Vec::new() };
    facts.meaning("flags", format!("{flags:#06x}"));
    let mut instructions = Vec::new();
    attributes(body, pool, Some(&mut instructions), "", &mut facts)?;
    Some(Member {
        name,
        is_synthetic: flags & SYNTHETIC != 0,
        facts: facts.facts,
        instructions,
    })
}

/// Reads the attributes of a class, a field or a method; `instructions` are those of the method.
fn attributes(
    body: &mut Reader,
    pool: &Pool,
    mut instructions: Option<&mut Vec<String>>,
    before: &str,
    facts: &mut Facts,
) -> Option<()> {
    for _ in 0..body.u2()? {
        let name = pool.utf8(body.u2()?)?;
        let length = body.u4()?;
        let content = body.take(usize::try_from(length).ok()?)?;
        let place = format!("{before}{name}");
        let mut reader = Reader(content);
        match name.as_str() {
            "BootstrapMethods" => {}
            "Code" => {
                let instructions = instructions.as_deref_mut()?;
                instructions.is_empty().then_some(())?;
                *instructions = code_of(&mut reader, pool, facts)?;
                reader.is_empty().then_some(())?;
            }
            _ => match known(&name, reader, pool) {
                Some((value, about)) => facts.add(&place, value, about),
                None => facts.add(&place, hex::encode(content), About::Raw),
            },
        }
    }
    Some(())
}

/// An attribute with its references resolved; `None` if it is of another kind or form.
fn known(name: &str, mut reader: Reader, pool: &Pool) -> Option<(String, About)> {
    let mut about = About::Meaning;
    let value = match name {
        "SourceFile" => {
            let file = pool.utf8(reader.u2()?)?;
            about = debug::about_name(&file);
            file
        }
        "SourceDebugExtension" => {
            // A source map (JSR 45); the readers of anything else are not known.
            let map = reader.take(reader.0.len())?;
            if map.starts_with(b"SMAP\n") {
                about = About::Debug;
            }
            hex::encode(map)
        }
        "Synthetic" | "Deprecated" => String::new(),
        "ConstantValue" | "Signature" | "NestHost" | "ModuleMainClass" => pool.meaning(reader.u2()?)?,
        "EnclosingMethod" => format!("{} {}", pool.meaning(reader.u2()?)?, pool.meaning(reader.u2()?)?),
        "Exceptions" | "NestMembers" | "PermittedSubclasses" => meanings(&mut reader, pool)?.join(", "),
        "InnerClasses" => {
            let mut classes = Vec::new();
            for _ in 0..reader.u2()? {
                let names = [reader.u2()?, reader.u2()?, reader.u2()?];
                let names: Option<Vec<_>> = names.iter().map(|index| pool.meaning(*index)).collect();
                classes.push(format!("{} {:#06x}", names?.join(" "), reader.u2()?));
            }
            // Compilers write them in the order of their constants, but the JVM looks them up by name.
            classes.sort();
            classes.join("; ")
        }
        "MethodParameters" => {
            let mut parameters = Vec::new();
            for _ in 0..reader.u1()? {
                parameters.push(format!("{} {:#06x}", pool.meaning(reader.u2()?)?, reader.u2()?));
            }
            parameters.join(", ")
        }
        "RuntimeVisibleAnnotations" | "RuntimeInvisibleAnnotations" => annotations(&mut reader, pool)?,
        "RuntimeVisibleParameterAnnotations" | "RuntimeInvisibleParameterAnnotations" => {
            let mut parameters = Vec::new();
            for _ in 0..reader.u1()? {
                parameters.push(annotations(&mut reader, pool)?);
            }
            parameters.join(" | ")
        }
        "Record" => record(&mut reader, pool)?,
        "Module" => module(&mut reader, pool)?,
        "ModulePackages" => {
            let mut packages = meanings(&mut reader, pool)?;
            packages.sort();
            packages.join(", ")
        }
        "AnnotationDefault" => element(&mut reader, pool, 0)?,
        _ => return None,
    };
    reader.is_empty().then_some((value, about))
}

/// The components of a record, each with its attributes.
fn record(reader: &mut Reader, pool: &Pool) -> Option<String> {
    let mut components = Vec::new();
    for _ in 0..reader.u2()? {
        let mut component = format!("{}:{}", pool.utf8(reader.u2()?)?, pool.utf8(reader.u2()?)?);
        for _ in 0..reader.u2()? {
            let name = pool.utf8(reader.u2()?)?;
            let length = reader.u4()?;
            let content = Reader(reader.take(usize::try_from(length).ok()?)?);
            // A component has no components itself.
            let is_known = matches!(
                name.as_str(),
                "Signature" | "RuntimeVisibleAnnotations" | "RuntimeInvisibleAnnotations"
            );
            is_known.then_some(())?;
            component.push_str(&format!(" {name} {}", known(&name, content, pool)?.0));
        }
        components.push(component);
    }
    Some(components.join(", "))
}

/// The parts of a module (JVMS 4.7.25), each of which is looked up by name.
fn module(reader: &mut Reader, pool: &Pool) -> Option<String> {
    let mut all = vec![format!(
        "{} {:#06x} version {}",
        pool.meaning(reader.u2()?)?,
        reader.u2()?,
        pool.meaning(reader.u2()?)?
    )];
    let mut entries = Vec::new();
    for _ in 0..reader.u2()? {
        let (name, flags) = (pool.meaning(reader.u2()?)?, reader.u2()?);
        let version = pool.meaning(reader.u2()?)?;
        entries.push(format!("requires {name} {flags:#06x} version {version}"));
    }
    for word in ["exports", "opens"] {
        for _ in 0..reader.u2()? {
            let (name, flags) = (pool.meaning(reader.u2()?)?, reader.u2()?);
            let mut to = meanings(reader, pool)?;
            to.sort();
            entries.push(format!("{word} {name} {flags:#06x} to {}", to.join(", ")));
        }
    }
    entries.extend(meanings(reader, pool)?.iter().map(|name| format!("uses {name}")));
    for _ in 0..reader.u2()? {
        let name = pool.meaning(reader.u2()?)?;
        // The first provider is tried first.
        entries.push(format!(
            "provides {name} with {}",
            meanings(reader, pool)?.join(", ")
        ));
    }
    entries.sort();
    all.extend(entries);
    Some(all.join("; "))
}

fn meanings(reader: &mut Reader, pool: &Pool) -> Option<Vec<String>> {
    (0..reader.u2()?).map(|_| pool.meaning(reader.u2()?)).collect()
}

fn annotations(reader: &mut Reader, pool: &Pool) -> Option<String> {
    let mut all = Vec::new();
    for _ in 0..reader.u2()? {
        all.push(annotation(reader, pool, 0)?);
    }
    Some(all.join(", "))
}

/// Maximum depth of nested annotations.
const DEEPEST: u32 = 16;

fn annotation(reader: &mut Reader, pool: &Pool, depth: u32) -> Option<String> {
    let name = pool.utf8(reader.u2()?)?;
    let mut pairs = Vec::new();
    for _ in 0..reader.u2()? {
        let key = pool.utf8(reader.u2()?)?;
        pairs.push(format!("{key}={}", element(reader, pool, depth)?));
    }
    Some(format!("@{name}({})", pairs.join(", ")))
}

fn element(reader: &mut Reader, pool: &Pool, depth: u32) -> Option<String> {
    (depth < DEEPEST).then_some(())?;
    let below = depth.saturating_add(1);
    let tag = char::from(reader.u1()?);
    Some(match tag {
        'B' | 'C' | 'D' | 'F' | 'I' | 'J' | 'S' | 'Z' | 's' | 'c' => {
            format!("{tag} {}", pool.meaning(reader.u2()?)?)
        }
        'e' => format!("e {}.{}", pool.utf8(reader.u2()?)?, pool.utf8(reader.u2()?)?),
        '@' => annotation(reader, pool, below)?,
        '[' => {
            let mut values = Vec::new();
            for _ in 0..reader.u2()? {
                values.push(element(reader, pool, below)?);
            }
            format!("[{}]", values.join(", "))
        }
        _ => return None,
    })
}

/// The attribute `Code`.
fn code_of(reader: &mut Reader, pool: &Pool, facts: &mut Facts) -> Option<Vec<String>> {
    facts.meaning("stack", reader.u2()?.to_string());
    facts.meaning("locals", reader.u2()?.to_string());
    let length = reader.u4()?;
    let code = Code::read(reader.take(usize::try_from(length).ok()?)?, pool)?;
    for number in 0..reader.u2()? {
        let range = [reader.u2()?, reader.u2()?, reader.u2()?];
        let numbers: Option<Vec<_>> = range
            .iter()
            .map(|offset| code.number(usize::from(*offset)))
            .collect();
        let value = format!("{:?} {}", numbers?, pool.meaning(reader.u2()?)?);
        facts.meaning(&format!("handler {number}"), value);
    }
    for _ in 0..reader.u2()? {
        let name = pool.utf8(reader.u2()?)?;
        let length = reader.u4()?;
        let content = reader.take(usize::try_from(length).ok()?)?;
        let inner = Reader(content);
        let (value, about) = match name.as_str() {
            "LineNumberTable" => (debug::lines(inner, &code), About::Debug),
            "LocalVariableTable" | "LocalVariableTypeTable" => {
                let variables = debug::variables(inner, &code, pool);
                let about = variables.as_ref().map_or(About::Raw, |(_, about)| *about);
                (variables.map(|(variables, _)| variables), about)
            }
            "StackMapTable" => (
                code::frames(inner, &code, pool).map(|frames| frames.join("; ")),
                About::Meaning,
            ),
            _ => (None, About::Raw),
        };
        match value {
            Some(value) => facts.add(&name, value, about),
            None => facts.add(&name, hex::encode(content), About::Raw),
        }
    }
    Some(code.instructions)
}
