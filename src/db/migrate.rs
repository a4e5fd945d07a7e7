//! Brings a schema up to date: one list of migrations, one text for both databases.
//!
//! A migration that has been released is never edited: its checksum is in every database, and another text for the same
//! number is refused.

use refinery::{Migration, Runner, error::Kind as Refusal};
use rusqlite::Connection;
use tokio_postgres::Client;

use super::{postgres, sqlite};
use crate::core::error::fail;
use crate::core::{Error, Kind, Result};

/// Every migration, oldest first: `V<number>__<name>` and the text of `schema/NNNN_<name>.sql`.
const MIGRATIONS: &[(&str, &str)] = &[
    ("V1__init", include_str!("schema/0001_init.sql")),
    ("V2__principals", include_str!("schema/0002_principals.sql")),
    (
        "V3__permissions",
        include_str!("schema/0003_permissions.sql"),
    ),
    ("V4__relations", include_str!("schema/0004_relations.sql")),
    ("V5__history", include_str!("schema/0005_history.sql")),
    ("V6__past", include_str!("schema/0006_past.sql")),
    ("V7__log", include_str!("schema/0007_log.sql")),
    ("V8__snapshots", include_str!("schema/0008_snapshots.sql")),
    ("V9__horizon", include_str!("schema/0009_horizon.sql")),
    (
        "V10__log_by_kind",
        include_str!("schema/0010_log_by_kind.sql"),
    ),
    (
        "V11__log_by_command",
        include_str!("schema/0011_log_by_command.sql"),
    ),
];

/// The marks in the texts, and what SQLite reads in their place. The heads of `schema/0001_init.sql` and
/// `schema/0004_relations.sql` explain them.
const SQLITE_WORDS: [(&str, &str); 7] = [
    ("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY"),
    ("/* WITHOUT ROWID */", "WITHOUT ROWID"),
    ("AS JSON)", "AS TEXT)"),
    ("AS BYTEA)", "AS BLOB)"),
    ("convert_from(", "CAST("),
    (", 'UTF8')", " AS TEXT)"),
    ("json_array_elements(", "json_each("),
];

/// Where refinery writes down what was done.
const HISTORY: &str = "refinery_schema_history";

/// Held while migrating on PostgreSQL, where several daemons may start at once.
const ADVISORY_LOCK: &str = "SELECT pg_advisory_lock(7593021)";

pub(super) fn migrate_sqlite(conn: &mut Connection) -> Result<()> {
    is_legible(conn)?;
    runner(sqlite_text)?.run(conn).map_err(refused)?;
    Ok(())
}

/// Migrates on a connection that is closed afterwards, which also frees the lock.
pub(super) async fn migrate_postgres(client: &mut Client) -> Result<()> {
    client
        .batch_execute(ADVISORY_LOCK)
        .await
        .map_err(|e| postgres::failure("migrate", e))?;
    runner(str::to_owned)?
        .run_async(client)
        .await
        .map_err(refused)?;
    Ok(())
}

fn runner(dialect: fn(&str) -> String) -> Result<Runner> {
    let migrations: std::result::Result<Vec<_>, _> = MIGRATIONS
        .iter()
        .map(|(name, text)| Migration::unapplied(name, &dialect(text)))
        .collect();
    Ok(Runner::new(&migrations.map_err(refused)?)
        .set_grouped(true)
        .set_abort_missing(true)
        .set_abort_divergent(true))
}

fn sqlite_text(text: &str) -> String {
    let replaced = |text: String, (mark, word): &(&str, &str)| text.replace(mark, word);
    SQLITE_WORDS.iter().fold(text.to_owned(), replaced)
}

/// Fails with `Corrupt` on a list of migrations that refinery would panic over: it trusts what it once wrote.
fn is_legible(conn: &Connection) -> Result<()> {
    let failed = |e| sqlite::failure("migrate", e).context(format!("table {HISTORY}"));
    let known = "SELECT COUNT(*) FROM sqlite_master WHERE name = $1";
    let known: u32 = conn
        .query_row(known, [HISTORY], |row| row.get(0))
        .map_err(failed)?;
    if known == 0 {
        return Ok(());
    }
    let sql = format!("SELECT applied_on, checksum, name FROM {HISTORY}");
    let mut statement = conn.prepare(&sql).map_err(failed)?;
    let mut rows = statement.query(()).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let text = |column: usize| row.get::<_, String>(column).map_err(failed);
        let (time, sum, _name) = (text(0)?, text(1)?, text(2)?);
        let is_plain = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b':' | b'.' | b'T' | b'Z');
        let is_time =
            time.as_bytes().iter().all(is_plain) && time.parse::<jiff::Timestamp>().is_ok();
        if !is_time || sum.parse::<u64>().is_err() {
            return fail(
                Kind::Corrupt,
                format!(
                    "the list of migrations, table {HISTORY}, is damaged: restore the database"
                ),
            );
        }
    }
    Ok(())
}

fn refused(e: refinery::Error) -> Error {
    let (kind, message) = match e.kind() {
        Refusal::MissingVersion(found) if usize::try_from(found.version()).is_ok_and(is_newer) => (
            Kind::Version,
            format!(
                "the database has schema {}, this nexus knows up to {}: upgrade nexus",
                found.version(),
                MIGRATIONS.len()
            ),
        ),
        Refusal::MissingVersion(found) | Refusal::DivergentVersion(found, _) => (
            Kind::Version,
            format!(
                "schema {} of the database, in table {HISTORY}, is not the one this nexus knows: use the nexus that made it",
                found.version()
            ),
        ),
        Refusal::Connection(_, cause) => {
            let kind = cause.downcast_ref().map(sqlite::kind_of);
            let kind = kind.or_else(|| cause.downcast_ref().map(postgres::kind_of));
            (
                kind.unwrap_or(Kind::Io),
                "cannot migrate the database".to_owned(),
            )
        }
        // Broken migrations of our own, or features of refinery that are not used here.
        _ => (Kind::Io, "cannot migrate the database".to_owned()),
    };
    Error::new(kind, message).caused_by(e)
}

fn is_newer(version: usize) -> bool {
    version > MIGRATIONS.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_from_one_without_a_gap() {
        let runner = runner(str::to_owned).unwrap();
        let numbers: Vec<i32> = runner
            .get_migrations()
            .iter()
            .map(Migration::version)
            .collect();
        let wanted: Vec<i32> = (1..).take(MIGRATIONS.len()).collect();
        assert_eq!(numbers, wanted);
    }

    #[test]
    fn sqlite_gets_rowids_for_numbers_and_none_for_names() {
        let text = sqlite_text("a (id BIGINT PRIMARY KEY) /* WITHOUT ROWID */;");
        assert_eq!(text, "a (id INTEGER PRIMARY KEY) WITHOUT ROWID;");
    }

    #[test]
    fn sqlite_reads_json_from_text() {
        let text = sqlite_text("json_array_elements(CAST(convert_from(x.value, 'UTF8') AS JSON))");
        assert_eq!(text, "json_each(CAST(CAST(x.value AS TEXT) AS TEXT))");
    }

    #[test]
    fn a_damaged_list_of_migrations_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = Connection::open(dir.path().join("db")).unwrap();
        migrate_sqlite(&mut conn).unwrap();
        for damage in [
            "checksum = 'x' || checksum",
            "applied_on = replace(applied_on, 'T', 't')",
        ] {
            let savepoint = conn.transaction().unwrap();
            let sql = format!("UPDATE refinery_schema_history SET {damage} WHERE version = 2");
            savepoint.execute(&sql, ()).unwrap();
            let refused = is_legible(&savepoint).unwrap_err();
            assert_eq!(refused.kind(), Kind::Corrupt, "{damage}");
        }
        is_legible(&conn).unwrap();
    }
}
