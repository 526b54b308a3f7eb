//! Charts over time, as pictures in a page: what is in them is in a table beside them too.
//!
//! They are drawn here because the parts of a bar have classes of the style instead of colours, so that they follow the
//! reader's light or dark setting as all else does.

use std::collections::BTreeMap;

use super::time;
use crate::queue::published::{Rate, Span};

/// Width of a bar with the room beside it, and height of the highest one, in the units of the picture.
const STEP: i64 = 20;
const BAR: i64 = 16;
const HEIGHT: i64 = 120;

/// Bars over time, each of parts with different classes.
pub(super) struct Chart {
    pub(super) width: i64,
    pub(super) height: i64,
    pub(super) bars: Vec<Bar>,
    pub(super) first: String,
    pub(super) last: String,
    /// How many the highest bar stands for.
    pub(super) most: i64,
}

pub(super) struct Bar {
    pub(super) x: i64,
    pub(super) width: i64,
    /// When its part of time begins.
    pub(super) day: String,
    /// What it says in words.
    pub(super) said: String,
    pub(super) parts: Vec<Part>,
}

pub(super) struct Part {
    pub(super) class: &'static str,
    pub(super) y: i64,
    pub(super) height: i64,
}

/// The first day of a part of time.
pub(super) fn day(span: Span, number: i64) -> String {
    time(span.begin(number)).strftime("%Y-%m-%d").to_string()
}

impl Chart {
    /// Bars for the parts of time from `first` to `last`. `class` gives the class of a word, in the order in which parts stand
    /// on each other.
    pub(super) fn stacked(
        span: Span,
        (first, last): (i64, i64),
        rates: &[Rate],
        classes: &[&'static str],
        class: impl Fn(&str) -> &'static str,
    ) -> Self {
        let mut counts: BTreeMap<i64, BTreeMap<&'static str, i64>> = BTreeMap::new();
        for rate in rates {
            let bar = counts.entry(rate.number).or_default();
            let cell = bar.entry(class(&rate.word)).or_default();
            *cell = cell.saturating_add(rate.count);
        }
        let total = |bar: &BTreeMap<_, i64>| bar.values().copied().fold(0, i64::saturating_add);
        let most = counts.values().map(total).max().unwrap_or(0).max(1);
        let empty = BTreeMap::new();
        let bars = (first..=last).zip(0_i64..).map(|(number, place)| {
            let counted = counts.get(&number).unwrap_or(&empty);
            let (mut parts, mut below) = (Vec::new(), 0_i64);
            let at = |count: i64| count.saturating_mul(HEIGHT).checked_div(most).unwrap_or(0);
            for class in classes {
                let count = counted.get(class).copied().unwrap_or(0);
                let bottom = at(below);
                below = below.saturating_add(count);
                let height = at(below).saturating_sub(bottom);
                if height > 0 {
                    let y = HEIGHT.saturating_sub(at(below));
                    parts.push(Part { class, y, height });
                }
            }
            let said = classes.iter().filter_map(|class| {
                let count = counted.get(class).filter(|count| **count > 0)?;
                Some(format!("{count} {class}"))
            });
            let said: Vec<_> = said.collect();
            Bar {
                x: place.saturating_mul(STEP),
                width: BAR,
                day: day(span, number),
                said: if said.is_empty() {
                    "no builds".into()
                } else {
                    said.join(", ")
                },
                parts,
            }
        });
        let bars: Vec<_> = bars.collect();
        Self {
            width: i64::try_from(bars.len())
                .unwrap_or(0)
                .saturating_mul(STEP)
                .max(STEP),
            height: HEIGHT,
            first: day(span, first),
            last: day(span, last),
            most,
            bars,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(number: i64, word: &str, count: i64) -> Rate {
        Rate {
            number,
            ecosystem: "pypi".into(),
            word: word.into(),
            count,
        }
    }

    #[test]
    fn parts_stand_on_each_other_and_the_highest_bar_fills_the_picture() {
        let rates = [rate(2, "a", 1), rate(2, "b", 2), rate(4, "c", 6), rate(4, "a", 6)];
        let class = |word: &str| match word {
            "a" => "good",
            _ => "bad",
        };
        let chart = Chart::stacked(Span::Day, (2, 4), &rates, &["good", "bad"], class);
        let found: Vec<Vec<_>> = chart
            .bars
            .iter()
            .map(|bar| {
                bar.parts
                    .iter()
                    .map(|part| (part.class, part.y, part.height))
                    .collect()
            })
            .collect();
        assert_eq!(
            found,
            [
                vec![("good", 110, 10), ("bad", 90, 20)],
                vec![],
                vec![("good", 60, 60), ("bad", 0, 60)],
            ]
        );
        assert_eq!(
            chart.bars.first().map(|bar| bar.said.as_str()),
            Some("1 good, 2 bad")
        );
        assert_eq!(
            (chart.first.as_str(), chart.last.as_str()),
            ("1970-01-03", "1970-01-05")
        );
        assert_eq!((chart.most, chart.width), (12, 60));
    }
}
