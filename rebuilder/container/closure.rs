//! The first packages of a new root: the essential ones, apt, and their dependencies.
//!
//! Only a root with apt can ask apt, so this small closure comes first: each package in its newest version, each
//! dependency by the first alternative that exists. apt resolves everything else that a container needs.

use std::collections::{BTreeMap, BTreeSet};

use deb822_fast::Paragraph;
use debversion::Version;

use crate::apt::{self, AptError, Indexes};
use crate::store::Fetcher;

struct NewestPackage {
    version: Version,
    needs: String,
    wanted: bool,
}

/// Names and versions of the first packages, in order of name.
pub(super) async fn bootstrap(
    indexes: &Indexes,
    fetcher: &Fetcher,
) -> Result<BTreeMap<String, Version>, AptError> {
    let mut candidates: BTreeMap<String, NewestPackage> = BTreeMap::new();
    let mut providers: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let plain = indexes.plain(fetcher).await?;
    for (index, text) in indexes.package_files().iter().zip(plain) {
        apt::for_each_paragraph(text, &index.path, |paragraph| {
            read(paragraph, &mut candidates, &mut providers);
            Ok(())
        })?;
    }

    let mut chosen = BTreeMap::new();
    let mut open: Vec<String> = candidates
        .iter()
        .filter(|(name, it)| it.wanted || *name == "apt")
        .map(|(name, _)| name.clone())
        .collect();
    while let Some(name) = open.pop() {
        let Some(candidate) = candidates.get(&name) else {
            continue;
        };
        if chosen.insert(name, candidate.version.clone()).is_some() {
            continue;
        }
        for group in candidate
            .needs
            .split(',')
            .filter(|group| !group.trim().is_empty())
        {
            let names = || group.split('|').map(package_name);
            let satisfied = names().any(|name| {
                chosen.contains_key(name)
                    || providers
                        .get(name)
                        .is_some_and(|by| by.iter().any(|by| chosen.contains_key(by)))
            });
            if satisfied {
                continue;
            }
            let real = names()
                .find(|name| candidates.contains_key(*name))
                .map(str::to_owned);
            let provided = || names().find_map(|name| providers.get(name)?.first().cloned());
            open.extend(real.or_else(provided));
        }
    }
    Ok(chosen)
}

fn read(
    paragraph: &Paragraph,
    candidates: &mut BTreeMap<String, NewestPackage>,
    providers: &mut BTreeMap<String, BTreeSet<String>>,
) {
    let field = |name| paragraph.get(name).unwrap_or_default();
    let name = field("Package").to_owned();
    let Ok(version) = field("Version").parse::<Version>() else {
        return;
    };
    for provided in field("Provides")
        .split(',')
        .map(package_name)
        .filter(|name| !name.is_empty())
    {
        providers
            .entry(provided.to_owned())
            .or_default()
            .insert(name.clone());
    }
    if candidates
        .get(&name)
        .is_some_and(|other| other.version >= version)
    {
        return;
    }
    let needs = format!("{},{}", field("Pre-Depends"), field("Depends"));
    let wanted = field("Essential") == "yes" || field("Priority") == "required";
    candidates.insert(
        name,
        NewestPackage {
            version,
            needs,
            wanted,
        },
    );
}

/// The name in `NAME[:ARCH] [(RELATION VERSION)]`.
fn package_name(text: &str) -> &str {
    let text = text.trim();
    text.split([' ', '(', ':']).next().unwrap_or(text)
}
