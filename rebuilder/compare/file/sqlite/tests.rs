//! Databases that SQLite wrote, and damaged ones.

use super::*;
use crate::compare::{Options, Outcome, compare_bytes};

/// Three pages of 512 bytes: a table, another one, and a free page.
fn database() -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    file.resize(3 * 512, 0);
    file[16..18].copy_from_slice(&512_u16.to_be_bytes());
    for (at, number) in [
        (24, 7_u32),
        (28, 3),
        (32, 3),
        (36, 1),
        (56, 1),
        (92, 7),
        (96, 3_040_001),
    ] {
        file[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
    file[100] = 13;
    file[512] = 13;
    file
}

fn first(old: &[u8], new: &[u8]) -> (Cause, String, String) {
    let comparison = compare_bytes("x.db", old, new, &Options::default());
    assert_eq!(comparison.outcome, Outcome::Different);
    let cause = &comparison.causes[0];
    (cause.cause, cause.key.clone(), cause.example.place.clone())
}

/// The database with numbers at some offsets.
fn with(numbers: &[(usize, u32)]) -> Vec<u8> {
    let mut file = database();
    for (at, number) in numbers {
        file[*at..*at + 4].copy_from_slice(&number.to_be_bytes());
    }
    file
}

#[test]
fn the_counter_and_the_version_are_no_content() {
    let found = first(&database(), &with(&[(24, 9), (92, 9)]));
    assert_eq!((found.0, found.2.as_str()), (Cause::Order, "change counter"));
    let found = first(&database(), &with(&[(96, 3_041_002)]));
    assert_eq!(
        (found.0, found.1.as_str()),
        (Cause::ToolVersion, "SQLite 3.40.1 → 3.41.2")
    );
}

#[test]
fn a_counter_that_is_not_that_of_the_version_is_content() {
    for numbers in [&[(24, 9)], &[(92, 9)]] {
        assert_eq!(first(&database(), &with(numbers)).0, Cause::Content);
    }
}

#[test]
fn every_other_byte_is_content() {
    let old = database();
    for at in (16..old.len()).filter(|at| !(24..28).contains(at) && !(92..100).contains(at)) {
        let mut new = old.clone();
        new[at] ^= 0x10;
        let (cause, key, place) = first(&old, &new);
        assert_eq!(cause, Cause::Content, "byte {at}: {place} {key}");
        // With a different counter as well.
        new[27] = 9;
        new[95] = 9;
        assert_eq!(first(&old, &new).0, Cause::Content, "byte {at}");
    }
    assert_eq!(first(&old, &[old.clone(), vec![0; 512]].concat()).2, "length");
}

#[test]
fn pages_are_named_by_what_they_hold() {
    let old = database();
    for (at, key) in [
        (600, "pages of tables of SQLite databases"),
        (1200, "free pages of SQLite databases"),
    ] {
        let mut new = old.clone();
        new[at] ^= 1;
        assert_eq!(first(&old, &new).1, key);
    }
}

#[test]
fn a_list_of_free_pages_that_goes_round_ends() {
    let mut old = database();
    old[1024..1028].copy_from_slice(&3_u32.to_be_bytes());
    let mut new = old.clone();
    new[1100] = 1;
    assert_eq!(first(&old, &new).1, "free pages of SQLite databases");
}

/// The bytes of a database after some statements, which SQLite runs in one connection.
#[cfg(feature = "full")]
fn written(statements: &[&'static str]) -> Vec<u8> {
    use sqlx::Connection as _;
    use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.db");
    let options = SqliteConnectOptions::new()
        .filename(&path)
        .create_if_missing(true)
        .page_size(1024);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        for statement in statements {
            sqlx::raw_sql(*statement).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    });
    std::fs::read(&path).unwrap()
}

/// Tables with and without row numbers, an index, and a view.
#[cfg(feature = "full")]
const SCHEMA: &str = "PRAGMA secure_delete = ON;
    CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT);
    CREATE TABLE w (k TEXT PRIMARY KEY, v BLOB) WITHOUT ROWID;
    CREATE INDEX i ON t (a);
    CREATE VIEW s AS SELECT a FROM t;";
/// Some of these rows do not fit into one page.
#[cfg(feature = "full")]
const ROWS: &str = "
    INSERT INTO t VALUES (1, 'one'), (2, hex(zeroblob(2605))), (3, 'three'), (4, hex(zeroblob(60)));
    INSERT INTO w VALUES ('a', zeroblob(2000)), ('b', x'01');";
#[cfg(feature = "full")]
const ANOTHER_ORDER: &str = "
    INSERT INTO w VALUES ('b', x'01'), ('a', zeroblob(2000));
    INSERT INTO t VALUES (4, hex(zeroblob(60))), (3, 'three'), (1, 'one'), (2, hex(zeroblob(2605)));";
/// Enough rows for several levels of pages.
#[cfg(feature = "full")]
const MANY_ROWS: &str = "
    WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 4000)
        INSERT INTO t SELECT x, hex(x * 7919 % 1009) FROM c;
    INSERT INTO w SELECT hex(id), zeroblob(id) FROM t WHERE id < 900;";
#[cfg(feature = "full")]
const ROWS_MOVE: &str = "
    CREATE TABLE gone AS SELECT id, a FROM t WHERE id % 3 = 0;
    DELETE FROM t WHERE id % 3 = 0;
    INSERT INTO t SELECT id, a FROM gone;
    DROP TABLE gone;";

#[cfg(feature = "full")]
fn in_order(old: &[u8], new: &[u8]) -> Vec<(Cause, crate::compare::Confidence, String)> {
    let comparison = compare_bytes("x.db", old, new, &Options::default());
    assert_eq!(comparison.outcome, Outcome::Different);
    let causes = comparison.causes.iter();
    causes
        .map(|cause| (cause.cause, cause.confidence, cause.example.place.clone()))
        .collect()
}

#[cfg(feature = "full")]
const PROVEN: crate::compare::Confidence = crate::compare::Confidence::Proven;

#[cfg(feature = "full")]
#[test]
fn the_same_rows_in_another_physical_order_are_no_content() {
    let old = written(&[SCHEMA, ROWS]);
    let vacuumed = written(&[SCHEMA, ROWS, "VACUUM"]);
    let other = written(&[SCHEMA, ANOTHER_ORDER]);
    let other_vacuumed = written(&[SCHEMA, ANOTHER_ORDER, "VACUUM"]);
    for (old, new) in [(&old, &other), (&vacuumed, &other), (&old, &other_vacuumed)] {
        assert_ne!(old.get(HEADER..), new.get(HEADER..));
        let found = in_order(old, new);
        assert!(
            found
                .iter()
                .all(|found| (found.0, found.1) == (Cause::Order, PROVEN)),
            "{found:?}"
        );
        assert!(found.iter().any(|found| found.2 == "physical order"), "{found:?}");
    }
}

#[cfg(feature = "full")]
#[test]
fn another_row_entry_or_schema_is_content() {
    let old = written(&[SCHEMA, ROWS]);
    for change in [
        "UPDATE t SET a = 'won' WHERE id = 1",
        "UPDATE t SET id = 1000 WHERE id = 4",
        "UPDATE t SET a = CAST(a AS BLOB) WHERE id = 1",
        "DELETE FROM w WHERE k = 'a'",
        "UPDATE w SET v = zeroblob(2001) WHERE k = 'a'",
        "INSERT INTO t VALUES (5, 'more')",
        "CREATE TABLE more (x)",
        "DROP VIEW s",
        "DROP INDEX i; CREATE INDEX i ON t (a DESC)",
        "PRAGMA user_version = 7",
    ] {
        let new = written(&[SCHEMA, ANOTHER_ORDER, change, "VACUUM"]);
        assert_eq!(in_order(&old, &new)[0].0, Cause::Content, "{change}");
    }
}

#[cfg(feature = "full")]
#[test]
fn bytes_that_no_row_has_are_content() {
    let weaker = (
        Cause::Order,
        crate::compare::Confidence::Possible,
        "physical order".to_owned(),
    );
    let hidden = (Cause::Content, PROVEN, "bytes that belong to no row".to_owned());
    let old = written(&[SCHEMA, MANY_ROWS]);
    for steps in [
        &[SCHEMA, MANY_ROWS, ROWS_MOVE][..],
        &[SCHEMA, MANY_ROWS, "PRAGMA secure_delete = OFF", ROWS_MOVE],
        &[SCHEMA, MANY_ROWS, ROWS_MOVE, "VACUUM"],
    ] {
        let found = in_order(&old, &written(steps));
        assert_eq!(found[0], hidden, "{steps:?}");
        assert!(found.contains(&weaker), "{steps:?} {found:?}");
        let rest = found
            .iter()
            .filter(|found| **found != hidden && **found != weaker);
        assert!(
            rest.clone()
                .all(|found| (found.0, found.1) == (Cause::Order, PROVEN)),
            "{steps:?} {found:?}"
        );
    }
}

/// No changed byte behind the header looks like another order of the same rows, except in the row numbers of the schema,
/// which VACUUM counts anew.
#[cfg(feature = "full")]
#[test]
fn every_byte_of_every_page_is_read() {
    let old = written(&[SCHEMA, ROWS]);
    let new = written(&[SCHEMA, ANOTHER_ORDER]);
    let mut numbers = Vec::new();
    for at in HEADER..new.len() {
        let mut changed = new.clone();
        changed[at] ^= 0x11;
        let found = in_order(&old, &changed);
        if found[0].0 != Cause::Content {
            numbers.push(new[at]);
        }
    }
    // Only the last one can get larger without being out of order.
    assert!(numbers.len() <= 1, "{numbers:?}");
    assert!(
        numbers.iter().all(|number| (1..9).contains(number)),
        "{numbers:?}"
    );
}
