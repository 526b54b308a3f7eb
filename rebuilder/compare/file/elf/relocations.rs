//! Relocations of object files whose strings moved: each must still have the same meaning.

use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, Relocation, RelocationTarget, SectionIndex, Symbol,
    SymbolKind,
};

use super::image::{Image, Section};
use super::moves::Moves;

/// Whether all relocations or symbols of a section are the same, at offsets that moved with the strings.
pub(super) fn explained(
    (old, new): (&Image, &Image),
    (own, other): (&Section, &Section),
    moves: &Moves,
) -> bool {
    /// Sections are looked for one by one.
    const MOST_SECTIONS: usize = 4096;
    if old.sections.len().max(new.sections.len()) > MOST_SECTIONS {
        return false;
    }
    if own.name == ".symtab" {
        return own.data.len() == other.data.len() && symbols((old, new), moves);
    }
    same((old, new), (own, other), moves) == Some(true)
}

fn same((old, new): (&Image, &Image), (own, other): (&Section, &Section), moves: &Moves) -> Option<bool> {
    let of = own.name.strip_prefix(".rela")?;
    let target = |image: &Image, relocations: &Section| {
        let mut sections = image.sections.iter();
        let found = sections.find(|section| section.name == of && section.nth == relocations.nth)?;
        Some(SectionIndex(found.index))
    };
    let before = old.file.section_by_index(target(old, own)?).ok()?;
    let after = new.file.section_by_index(target(new, other)?).ok()?;
    let (mut these, mut those) = (before.relocations(), after.relocations());
    loop {
        match (these.next(), those.next()) {
            (None, None) => return Some(own.data.len() == other.data.len()),
            (Some(one), Some(next)) if is_same((old, new), &one, &next, moves)? => {}
            _ => return Some(false),
        }
    }
}

fn is_same(
    (old, new): (&Image, &Image),
    (at, own): &(u64, Relocation),
    (other_at, other): &(u64, Relocation),
    moves: &Moves,
) -> Option<bool> {
    let (RelocationTarget::Symbol(symbol), RelocationTarget::Symbol(other_symbol)) =
        (own.target(), other.target())
    else {
        return Some(false);
    };
    let symbol = old.file.symbol_by_index(symbol).ok()?;
    let other_symbol = new.file.symbol_by_index(other_symbol).ok()?;
    let within = section_of(old, &symbol);
    let same_symbol = at == other_at
        && own.flags() == other.flags()
        && is_same_symbol((old, new), (&symbol, &other_symbol), moves);
    if !same_symbol || own.addend() == other.addend() {
        return Some(same_symbol);
    }
    let Some((name, nth)) = within.filter(|_| symbol.kind() == SymbolKind::Section) else {
        return Some(false);
    };
    // An operand is relative to the next instruction, which begins after an immediate.
    Some([0, 4, 5, 6, 8].into_iter().any(|more| {
        let place = |addend: i64| u64::try_from(addend.saturating_add(more)).ok();
        let moved = place(own.addend()).and_then(|offset| moves.within((name, nth), offset));
        moved.is_some() && moved == place(other.addend())
    }))
}

fn section_of<'i>(image: &'i Image, symbol: &Symbol) -> Option<(&'i str, usize)> {
    let index = symbol.section_index()?.0;
    let mut sections = image.sections.iter();
    sections
        .find(|section| section.index == index)
        .map(Section::numbered)
}

/// Whether two symbols are the same thing, which may have moved with the strings around it.
fn is_same_symbol((old, new): (&Image, &Image), (own, other): (&Symbol, &Symbol), moves: &Moves) -> bool {
    let (within, other_within) = (section_of(old, own), section_of(new, other));
    let moved = || within.and_then(|place| moves.within(place, own.address())) == Some(other.address());
    own.name_bytes() == other.name_bytes()
        && own.flags() == other.flags()
        && (own.kind(), own.size()) == (other.kind(), other.size())
        && within == other_within
        && (own.address() == other.address() || moved())
}

/// Whether a symbol table has the same symbols, at places that moved with the strings.
fn symbols((old, new): (&Image, &Image), moves: &Moves) -> bool {
    let (mut these, mut those) = (old.file.symbols(), new.file.symbols());
    loop {
        match (these.next(), those.next()) {
            (None, None) => return true,
            (Some(own), Some(other)) if is_same_symbol((old, new), (&own, &other), moves) => {}
            _ => return false,
        }
    }
}
