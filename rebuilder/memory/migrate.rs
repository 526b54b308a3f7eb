//! The schema, step by step: `migrations/DATABASE/NNNN_NAME.up.sql` goes forward, and `.down.sql` back.
//!
//! Both databases have the same steps. Each step is one transaction.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::{AnyConnection, Row as _};

use super::{Dialect, Memory, MemoryError};

static SQLITE: Migrator = sqlx::migrate!("rebuilder/memory/migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("rebuilder/memory/migrations/postgres");

fn steps(dialect: Dialect) -> &'static Migrator {
    match dialect {
        Dialect::Sqlite => &SQLITE,
        Dialect::Postgres => &POSTGRES,
    }
}

/// Applies every migration that the database lacks.
pub(super) async fn forward(memory: &Memory) -> Result<(), MemoryError> {
    let ran = steps(memory.dialect).run(&memory.write).await;
    ran.map_err(|error| failed(memory, error))
}

/// Undoes the last migration.
pub(super) async fn back(memory: &Memory) -> Result<i64, MemoryError> {
    let mut connection = memory
        .write
        .acquire()
        .await
        .map_err(MemoryError::query("connect"))?;
    let taken = taken(&mut connection).await?;
    drop(connection);
    let mut taken = taken.into_iter();
    let Some(last) = taken.next() else {
        return Err(MemoryError::Empty {
            place: memory.place.clone(),
        });
    };
    let before = taken.next().unwrap_or(0);
    let undone = steps(memory.dialect).undo(&memory.write, before).await;
    undone.map_err(|error| failed(memory, error))?;
    Ok(last)
}

/// The applied migrations, the last first.
async fn taken(connection: &mut AnyConnection) -> Result<Vec<i64>, MemoryError> {
    let rows =
        sqlx::query("SELECT version FROM _sqlx_migrations ORDER BY version DESC").fetch_all(connection);
    // A database without steps has no table of them.
    let rows = rows.await.unwrap_or_default();
    let versions = rows.iter().map(|row| row.try_get(0));
    versions
        .collect::<Result<_, _>>()
        .map_err(MemoryError::query("read the steps of the schema"))
}

fn failed(memory: &Memory, error: MigrateError) -> MemoryError {
    let place = memory.place.clone();
    match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionNotPresent(version) => {
            MemoryError::Newer { place, version }
        }
        source => MemoryError::Migrate { place, source },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::store::Store;

    fn names(migrator: &Migrator) -> Vec<(i64, String, bool)> {
        let each = migrator.iter();
        each.map(|step| {
            (
                step.version,
                step.description.to_string(),
                step.migration_type.is_down_migration(),
            )
        })
        .collect()
    }

    #[test]
    fn both_databases_have_the_same_steps_in_both_directions() {
        assert_eq!(names(&SQLITE), names(&POSTGRES));
        let (down, up): (Vec<_>, Vec<_>) = names(&SQLITE).into_iter().partition(|(_, _, down)| *down);
        assert!(up.iter().map(|step| step.0).eq(down.iter().map(|step| step.0)));
    }

    #[tokio::test]
    async fn a_file_goes_forward_and_back_and_forward() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().to_owned())).unwrap();
        let steps = names(&SQLITE).iter().filter(|step| !step.2).count();
        let last = SQLITE.iter().map(|step| step.version).max().unwrap();
        for _ in 0..2 {
            Memory::open(None, &store).await.unwrap().close().await;
            assert_eq!(Memory::back(None, &store).await.unwrap(), last);
        }
        for _ in 1..steps {
            Memory::back(None, &store).await.unwrap();
        }
        assert!(matches!(
            Memory::back(None, &store).await,
            Err(MemoryError::Empty { .. })
        ));
        Memory::open(None, &store).await.unwrap();
        let mode = std::fs::metadata(store.memory()).unwrap();
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o77,
            0
        );
    }

    #[tokio::test]
    async fn what_a_newer_version_changed_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(Some(folder.path().to_owned())).unwrap();
        let memory = Memory::open(None, &store).await.unwrap();
        sqlx::query("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'x', TRUE, x'00', 0)")
            .execute(memory.write())
            .await
            .unwrap();
        memory.close().await;
        let error = Memory::open(None, &store).await.unwrap_err();
        assert!(
            matches!(error, MemoryError::Newer { version: 9999, .. }),
            "{error:?}"
        );
    }
}
