//! Other sources, and other views of the same source.

use super::super::flags;
use super::MARKER;
use crate::ecosystem::hints::{Alternative, Hints, Settings};
use crate::plan::Origin;

/// Whether the source is from git only because it was tried.
pub(super) fn tries_git(hints: &Hints) -> bool {
    let source = hints.source.as_ref();
    source.is_some_and(|it| it.git.is_none() && matches!(it.origin, Origin::Tried(_)))
}

/// The source distribution, with what it lacks of the commit: the folder of a publisher has both.
pub(super) fn completed(hints: &Hints, because: &str) -> Option<Alternative> {
    let open = hints.settings.completed.is_none() && (hints.source.is_none() || tries_git(hints));
    open.then(|| {
        let mut hints = Hints {
            source: None,
            ..hints.clone()
        };
        hints.settings.completed = Some(Origin::Tried(because.to_owned()));
        Alternative {
            hints,
            because: format!("the source distribution, with what it lacks of the commit: {because}"),
        }
    })
}

/// The source distribution with the markers that it lacks; the setup decides whether they become part of the wheel.
pub(super) fn with_markers(hints: &Hints, markers: &[String]) -> Option<Alternative> {
    let lacking = hints.source.is_none() && hints.settings.markers.is_none() && !markers.is_empty();
    let because = format!("the source distribution lacks {}", markers.join(", "));
    lacking.then(|| {
        let mut hints = hints.clone();
        hints.settings.markers = Some(Origin::Tried(because.clone()));
        Alternative {
            hints,
            because: format!("an empty {MARKER}, if the setup names it: {because}"),
        }
    })
}

/// The source distribution, with an empty folder for each package that it only names.
pub(super) fn with_empty_packages(hints: &Hints, because: &str) -> Option<Alternative> {
    let what = "an empty folder for each package that the source distribution only names";
    with_sdist(hints, |settings| &mut settings.empty, what, because)
}

/// The order of requirements and extras in the source distribution's own list: a setup may have them in another one
/// each time.
pub(super) fn with_order(hints: &Hints, because: &str) -> Option<Alternative> {
    let what = "requirements in the order of the source distribution";
    with_sdist(hints, |settings| &mut settings.order, what, because)
}

/// The description that the source distribution's own metadata has: its setup may read files that it lacks.
pub(super) fn with_description(hints: &Hints, because: &str) -> Option<Alternative> {
    let what = "the description in PKG-INFO of the source distribution";
    with_sdist(hints, |settings| &mut settings.description, what, because)
}

/// The source distribution alone, with one more setting, unless that was tried.
pub(super) fn with_sdist(
    hints: &Hints,
    setting: impl Fn(&mut Settings) -> &mut Option<Origin>,
    what: &str,
    because: &str,
) -> Option<Alternative> {
    let alone = hints.source.is_none() && hints.settings.completed.is_none();
    let mut hints = hints.clone();
    let setting = setting(&mut hints.settings);
    if !alone || setting.is_some() {
        return None;
    }
    *setting = Some(Origin::Tried(because.to_owned()));
    Some(Alternative {
        hints,
        because: format!("{what}: {because}"),
    })
}

/// The words that a setup script may look for on its command line, each alone; a plan says which it is.
pub(super) fn with_flags(hints: &Hints, because: &str) -> Vec<Alternative> {
    let numbers = (0..flags::MOST).filter(|_| hints.settings.flag.is_none());
    let with = numbers.map(|number| {
        let mut hints = hints.clone();
        hints.settings.flag = Some((number, Origin::Tried(because.to_owned())));
        Alternative {
            hints,
            because: format!("a word on the command line that the setup looks for: {because}"),
        }
    });
    with.collect()
}

pub(super) fn from_git(hints: &Hints, because: &str) -> Option<Alternative> {
    hints.source.is_none().then(|| Alternative {
        hints: hints.with_git(Origin::Tried(because.to_owned())),
        because: format!("the source from git: {because}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried() -> Origin {
        Origin::Tried("x".into())
    }

    #[test]
    fn a_marker_is_put_into_a_source_distribution_once_and_into_no_commit() {
        let lacking = ["/a/py.typed".to_owned()];
        let fresh = Hints::default();
        let with = with_markers(&fresh, &lacking).unwrap();
        assert!(with.because.contains("lacks /a/py.typed"), "{}", with.because);
        assert_eq!(with_markers(&with.hints, &lacking), None);
        assert_eq!(with_markers(&fresh.with_git(tried()), &lacking), None);
        assert_eq!(with_markers(&fresh, &[]), None);
    }

    #[test]
    fn what_both_sources_lack_together_is_tried_once_and_only_for_sources_that_nobody_named() {
        let fresh = Hints::default();
        let both = completed(&fresh, "x").unwrap().hints;
        assert!(both.settings.completed.is_some() && both.source.is_none());
        assert_eq!(completed(&both, "x"), None);
        let from_git = completed(&fresh.with_git(tried()), "x").unwrap();
        assert_eq!(from_git.hints.source, None);
        assert_eq!(
            completed(&fresh.with_git(Origin::Declared("the user".into())), "x"),
            None
        );
    }

    #[test]
    fn packages_without_files_are_folders_of_a_source_distribution_alone() {
        let fresh = Hints::default();
        let with = with_empty_packages(&fresh, "x").unwrap().hints;
        assert!(with.settings.empty.is_some());
        assert_eq!(with_empty_packages(&with, "x"), None);
        assert_eq!(with_empty_packages(&fresh.with_git(tried()), "x"), None);
    }

    #[test]
    fn the_description_of_a_source_distribution_is_tried_once() {
        let fresh = Hints::default();
        let with = with_description(&fresh, "x").unwrap().hints;
        assert!(with.settings.description.is_some());
        assert_eq!(with_description(&with, "x"), None);
        assert_eq!(with_description(&fresh.with_git(tried()), "x"), None);
    }

    #[test]
    fn the_order_of_a_source_distribution_is_tried_once() {
        let fresh = Hints::default();
        let with = with_order(&fresh, "x").unwrap().hints;
        assert!(with.settings.order.is_some());
        assert_eq!(with_order(&with, "x"), None);
        assert_eq!(with_order(&fresh.with_git(tried()), "x"), None);
    }

    #[test]
    fn each_word_of_a_setup_is_tried_alone() {
        let numbers = |hints: &Hints| {
            let number = |it: Alternative| it.hints.settings.flag.unwrap().0;
            with_flags(hints, "x").into_iter().map(number).collect::<Vec<_>>()
        };
        let fresh = Hints::default();
        assert_eq!(numbers(&fresh), [0, 1, 2]);
        assert!(numbers(&with_flags(&fresh, "x").pop().unwrap().hints).is_empty());
    }
}
