//! What normalisations may never hide, for archives made at random.

use proptest::prelude::*;
use rebuilder::compare::{Chosen, Options, Outcome};

use super::{Files, Made, gzip, tar, zip};

type Pack = fn(&[Made], u32) -> Vec<u8>;

/// Packages whose installers set owners and modes by themselves.
const PACKS: [(&str, Pack); 4] = [
    ("x.tar", |made, _| tar(&with("package/package.json", made))),
    ("x.zip", |made, _| zip(&with("META-INF/MANIFEST.MF", made))),
    ("x.tgz", |made, level| {
        gzip(&tar(&with("package/package.json", made)), level)
    }),
    ("x.whl", |made, _| zip(&with("x-1.dist-info/WHEEL", made))),
];

/// The members behind the one that tells what kind of package it is.
fn with(mark: &str, made: &[Made]) -> Vec<Made> {
    let mut all = vec![Made::new(mark, b"{}")];
    all.extend_from_slice(made);
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever normalisations set aside around it, a changed, added or lost file stays visible; without one, noise
    /// in times, owners, modes, order and compression is equivalent, and named.
    #[apply(test)]
    fn normalisations_never_hide_content(
        made in members(),
        noise in (0_u64..20, 0_u64..3, any::<bool>(), any::<bool>(), 1_u32..9),
        change in (0_usize..6, 0_usize..200, 0_u8..4),
    ) {
        let (shift, owner, reverse, group_write, level) = noise;
        let mut other: Vec<Made> = made.iter().cloned().map(|made| Made {
            time: made.time + shift,
            owner: made.owner + owner,
            mode: if group_write { 0o664 } else { 0o644 },
            ..made
        }).collect();
        if reverse {
            other.reverse();
        }
        let (which, at, how) = change;
        let which = which % other.len();
        match how {
            1 => { let at = at % other[which].bytes.len(); other[which].bytes[at] ^= 0x40; }
            2 => { other.remove(which); }
            3 => other.push(Made::new("dir/extra", b"evil")),
            _ => {}
        }
        let files = Files::new();
        let all = Options { normalise: Chosen::parse("all").unwrap(), ..Options::default() };
        for (name, pack) in PACKS {
            let found = files.compare(name, &pack(&made, 6), &pack(&other, level), &all);
            if how == 0 {
                prop_assert_ne!(found.outcome, Outcome::Different, "{}: {:?}", name, found.causes);
            } else {
                prop_assert_eq!(found.outcome, Outcome::Different, "{}", name);
            }
        }
    }
}

fn members() -> impl Strategy<Value = Vec<Made>> {
    let bytes = proptest::collection::vec(any::<u8>(), 1..200);
    proptest::collection::vec((bytes, 0_u64..27, 0_u64..3), 2..6).prop_map(|made| {
        made.into_iter()
            .enumerate()
            .map(|(index, (bytes, time, owner))| Made {
                name: format!("dir/file{index}"),
                bytes,
                mode: 0o644,
                time: 1_700_000_000 + time,
                owner,
            })
            .collect()
    })
}
