//! Names of months and weekdays in the most common languages of machines.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Names and abbreviations of the twelve months, from January; `|` separates the forms of one month.
pub(super) struct Language {
    months: [&'static str; 12],
    /// The weekdays, from Monday.
    weekdays: [&'static str; 7],
}

/// English is first: dates in other languages need a year.
pub(super) const LANGUAGES: &[Language] = &[
    Language {
        months: [
            "january|jan",
            "february|feb",
            "march|mar",
            "april|apr",
            "may",
            "june|jun",
            "july|jul",
            "august|aug",
            "september|sept|sep",
            "october|oct",
            "november|nov",
            "december|dec",
        ],
        weekdays: [
            "monday|mon",
            "tuesday|tues|tue",
            "wednesday|wed",
            "thursday|thurs|thu",
            "friday|fri",
            "saturday|sat",
            "sunday|sun",
        ],
    },
    Language {
        // German
        months: [
            "januar|jänner|jan",
            "februar|feb",
            "märz|mär|mrz",
            "april|apr",
            "mai",
            "juni|jun",
            "juli|jul",
            "august|aug",
            "september|sept|sep",
            "oktober|okt",
            "november|nov",
            "dezember|dez",
        ],
        weekdays: [
            "montag|mo",
            "dienstag|di",
            "mittwoch|mi",
            "donnerstag|do",
            "freitag|fr",
            "samstag|sonnabend|sa",
            "sonntag|so",
        ],
    },
    Language {
        // French
        months: [
            "janvier|janv",
            "février|févr|fév",
            "mars",
            "avril|avr",
            "mai",
            "juin",
            "juillet|juil",
            "août",
            "septembre|sept",
            "octobre|oct",
            "novembre|nov",
            "décembre|déc",
        ],
        weekdays: [
            "lundi|lun",
            "mardi|mar",
            "mercredi|mer",
            "jeudi|jeu",
            "vendredi|ven",
            "samedi|sam",
            "dimanche|dim",
        ],
    },
    Language {
        // Spanish
        months: [
            "enero|ene",
            "febrero|feb",
            "marzo|mar",
            "abril|abr",
            "mayo|may",
            "junio|jun",
            "julio|jul",
            "agosto|ago",
            "septiembre|setiembre|sept|sep",
            "octubre|oct",
            "noviembre|nov",
            "diciembre|dic",
        ],
        weekdays: [
            "lunes|lun",
            "martes|mar",
            "miércoles|mié",
            "jueves|jue",
            "viernes|vie",
            "sábado|sáb",
            "domingo|dom",
        ],
    },
    Language {
        // Italian
        months: [
            "gennaio|gen",
            "febbraio|feb",
            "marzo|mar",
            "aprile|apr",
            "maggio|mag",
            "giugno|giu",
            "luglio|lug",
            "agosto|ago",
            "settembre|set",
            "ottobre|ott",
            "novembre|nov",
            "dicembre|dic",
        ],
        weekdays: [
            "lunedì|lun",
            "martedì|mar",
            "mercoledì|mer",
            "giovedì|gio",
            "venerdì|ven",
            "sabato|sab",
            "domenica|dom",
        ],
    },
    Language {
        // Portuguese
        months: [
            "janeiro|jan",
            "fevereiro|fev",
            "março|mar",
            "abril|abr",
            "maio|mai",
            "junho|jun",
            "julho|jul",
            "agosto|ago",
            "setembro|set",
            "outubro|out",
            "novembro|nov",
            "dezembro|dez",
        ],
        weekdays: [
            "segunda-feira|segunda|seg",
            "terça-feira|terça|ter",
            "quarta-feira|quarta|qua",
            "quinta-feira|quinta|qui",
            "sexta-feira|sexta|sex",
            "sábado|sáb",
            "domingo|dom",
        ],
    },
    Language {
        // Dutch
        months: [
            "januari|jan",
            "februari|feb",
            "maart|mrt",
            "april|apr",
            "mei",
            "juni|jun",
            "juli|jul",
            "augustus|aug",
            "september|sep",
            "oktober|okt",
            "november|nov",
            "december|dec",
        ],
        weekdays: [
            "maandag|ma",
            "dinsdag|di",
            "woensdag|wo",
            "donderdag|do",
            "vrijdag|vr",
            "zaterdag|za",
            "zondag|zo",
        ],
    },
    Language {
        // Swedish
        months: [
            "januari|jan",
            "februari|feb",
            "mars|mar",
            "april|apr",
            "maj",
            "juni|jun",
            "juli|jul",
            "augusti|aug",
            "september|sep",
            "oktober|okt",
            "november|nov",
            "december|dec",
        ],
        weekdays: [
            "måndag|mån",
            "tisdag|tis",
            "onsdag|ons",
            "torsdag|tors|tor",
            "fredag|fre",
            "lördag|lör",
            "söndag|sön",
        ],
    },
    Language {
        // Danish and Norwegian
        months: [
            "januar|jan",
            "februar|feb",
            "marts|mars|mar",
            "april|apr",
            "maj|mai",
            "juni|jun",
            "juli|jul",
            "august|aug",
            "september|sep",
            "oktober|okt",
            "november|nov",
            "december|desember|dec|des",
        ],
        weekdays: [
            "mandag|man",
            "tirsdag|tirs|tir",
            "onsdag|ons",
            "torsdag|tors|tor",
            "fredag|fre",
            "lørdag|lør",
            "søndag|søn",
        ],
    },
    Language {
        // Polish
        months: [
            "stycznia|styczeń|sty",
            "lutego|luty|lut",
            "marca|marzec|mar",
            "kwietnia|kwiecień|kwi",
            "maja|maj",
            "czerwca|czerwiec|cze",
            "lipca|lipiec|lip",
            "sierpnia|sierpień|sie",
            "września|wrzesień|wrz",
            "października|październik|paź",
            "listopada|listopad|lis",
            "grudnia|grudzień|gru",
        ],
        weekdays: [
            "poniedziałek|pon",
            "wtorek|wto",
            "środa|śro",
            "czwartek|czw",
            "piątek|pią",
            "sobota|sob",
            "niedziela|nie",
        ],
    },
];

/// The meaning of a word: a number counted from 1, and the languages in which it has that meaning, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub number: i8,
    pub languages: u16,
}

/// The months that a word may mean.
pub(super) fn months(word: &str) -> Vec<Known> {
    known(word, |language| &language.months)
}

/// The weekdays that a word may mean, counted from Monday.
pub(super) fn weekdays(word: &str) -> Vec<Known> {
    known(word, |language| &language.weekdays)
}

fn known(word: &str, names: impl Fn(&'static Language) -> &'static [&'static str]) -> Vec<Known> {
    let word = word.to_lowercase();
    let mut found: Vec<Known> = Vec::new();
    for (bit, language) in (0_u32..).zip(LANGUAGES) {
        let at = names(language)
            .iter()
            .position(|forms| forms.split('|').any(|form| form == word));
        let number = at.and_then(|at| i8::try_from(at.saturating_add(1)).ok());
        let (Some(number), Some(languages)) = (number, 1_u16.checked_shl(bit)) else {
            continue;
        };
        match found.iter_mut().find(|known| known.number == number) {
            Some(known) => known.languages |= languages,
            None => found.push(Known { number, languages }),
        }
    }
    found
}

/// All forms of all names as alternatives of a pattern, the longest first; each as listed and with a capital letter.
fn alternatives(
    of: impl Fn(&'static Language) -> &'static [&'static str],
    languages: &'static [Language],
) -> String {
    let mut forms: Vec<&str> = languages
        .iter()
        .flat_map(|language| of(language).iter().flat_map(|forms| forms.split('|')))
        .collect();
    forms.sort_by_key(|form| (std::cmp::Reverse(form.len()), *form));
    forms.dedup();
    let cased = forms.iter().filter_map(|form| {
        let first = form.chars().next()?;
        let rest = form.get(first.len_utf8()..)?;
        let upper: String = first.to_uppercase().collect();
        Some(format!("[{upper}{first}]{rest}"))
    });
    format!("(?:{})", cased.collect::<Vec<_>>().join("|"))
}

/// A pattern for months: in English with a capital letter, and in all languages.
pub(in crate::compare::explain) fn month_pattern() -> String {
    alternatives(|language| &language.months, LANGUAGES)
}

/// A pattern of weekdays.
pub(in crate::compare::explain) fn weekday_pattern() -> String {
    alternatives(|language| &language.weekdays, LANGUAGES)
}

/// Whether a text may contain the name of a month.
pub(in crate::compare::explain) fn names_a_month(text: &str) -> bool {
    static FORMS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
        let forms = LANGUAGES.iter().flat_map(|language| language.months);
        forms.flat_map(|forms| forms.split('|')).collect()
    });
    text.split(|c: char| !c.is_alphabetic())
        .filter(|word| word.len() >= 3)
        .any(|word| FORMS.contains(word.to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_they_say() {
        let number = |word: &str| months(word).first().map(|known| known.number);
        assert_eq!(number("Dezember"), Some(12));
        assert_eq!(number("août"), Some(8));
        assert_eq!(number("Nov"), Some(11));
        assert_eq!(number("Remember"), None);
        // Tuesday in French and Spanish; no language has it as another day.
        assert_eq!(
            weekdays("mar")
                .iter()
                .map(|known| known.number)
                .collect::<Vec<_>>(),
            [2]
        );
    }
}
