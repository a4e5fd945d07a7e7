//! PostgreSQL: the hosted database, shared by many daemons.
//!
//! The driver is asynchronous and the engine is not: calls block on a small runtime of this module's own. Call from
//! plain threads (or `spawn_blocking`), never from a tokio worker: blocking there panics, and so does dropping the
//! database there.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use deadpool_postgres::{
    Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime as PoolRuntime,
};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Config, NoTls, Statement};

use super::counters::Tally;
use super::{Counters, Db, Param, Row, Tx, Value, migrate};
use crate::core::error::fail;
use crate::core::{Error, Kind, Result};

const CONNECTIONS_MAX: usize = 16;
const CONNECTION_WAIT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A database on a server.
pub struct Postgres {
    runtime: Runtime,
    pool: Pool,
    tally: Tally,
}

impl Postgres {
    /// Connects to `postgres://user:password@host/name` or `host=… user=… dbname=…`, without TLS.
    pub fn connect(url: &str) -> Result<Self> {
        let mut config: Config = url.parse().map_err(|e: tokio_postgres::Error| {
            Error::new(Kind::Invalid, "not the address of a database").caused_by(e)
        })?;
        config
            .application_name("nexus")
            .connect_timeout(CONNECT_TIMEOUT);
        let recycling = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let pool = Pool::builder(Manager::from_config(config, NoTls, recycling))
            .max_size(CONNECTIONS_MAX)
            .wait_timeout(Some(CONNECTION_WAIT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .runtime(PoolRuntime::Tokio1)
            .build()
            .map_err(|e| Error::new(Kind::Invalid, "cannot make a connection pool").caused_by(e))?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("postgres")
            .enable_all()
            .build()?;
        let db = Self {
            runtime,
            pool,
            tally: Tally::default(),
        };
        db.refuse_early_commits()?;
        Ok(db)
    }

    /// [`Db::sync`] has nothing to do only if the server answers a commit after it is durable.
    fn refuse_early_commits(&self) -> Result<()> {
        let rows = self.read()?.query("SHOW synchronous_commit", &[])?;
        match rows.first().map(|row| row.text(0)).transpose()? {
            Some("off") => fail(
                Kind::Unsupported,
                "the server answers commits before they are durable: set synchronous_commit = on",
            ),
            _ => Ok(()),
        }
    }

    fn client(&self) -> Result<Object> {
        self.runtime.block_on(self.pool.get()).map_err(|e| match e {
            PoolError::Backend(e) => failure("connect", e),
            other => {
                Error::new(Kind::Unavailable, "no connection to the database").caused_by(other)
            }
        })
    }

    /// Connections that lay idle while the server restarted are only found out here; each is tried once.
    fn start(&self, begin: &str) -> Result<Box<dyn Tx + '_>> {
        let mut last = None;
        for _ in 0..=CONNECTIONS_MAX {
            let mut tx = PostgresTx {
                db: self,
                client: self.client()?,
                open: false,
                failed: None,
            };
            match tx.control("begin", begin) {
                Ok(()) => {
                    tx.open = true;
                    return Ok(Box::new(tx));
                }
                Err(e) if e.kind() == Kind::Unavailable => last = Some(e),
                Err(e) => return Err(e),
            }
        }
        Err(last.unwrap_or_else(|| Error::new(Kind::Unavailable, "no connection to the database")))
    }
}

impl Db for Postgres {
    fn read(&self) -> Result<Box<dyn Tx + '_>> {
        self.tally.read();
        self.start("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    }

    fn begin(&self) -> Result<Box<dyn Tx + '_>> {
        self.tally.change();
        self.start("BEGIN ISOLATION LEVEL SERIALIZABLE")
    }

    /// Does nothing: the server syncs its log before it answers a commit, and shares that sync among sessions.
    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn migrate(&self) -> Result<()> {
        // Taken out of the pool for good: closing the connection is what frees the lock, on every way out.
        let mut client = Object::take(self.client()?);
        self.runtime
            .block_on(migrate::migrate_postgres(&mut client))
    }

    fn counters(&self) -> Counters {
        self.tally.now()
    }
}

/// A transaction on a connection of its own.
struct PostgresTx<'a> {
    db: &'a Postgres,
    client: Object,
    open: bool,
    /// Why a statement failed. The server refuses every later one, but answers `COMMIT` with success and rolls back.
    failed: Option<Kind>,
}

impl PostgresTx<'_> {
    fn control(&self, what: &str, sql: &str) -> Result<()> {
        self.db
            .runtime
            .block_on(self.client.batch_execute(sql))
            .map_err(|e| failure(what, e))
    }

    fn statement<T>(&mut self, work: impl AsyncFnOnce(&Object) -> Result<T>) -> Result<T> {
        self.usable()?;
        self.db.tally.statement();
        self.db
            .runtime
            .block_on(work(&self.client))
            .inspect_err(|e| self.failed = Some(e.kind()))
    }

    fn usable(&self) -> Result<()> {
        self.failed.map_or(Ok(()), |kind| {
            fail(kind, "an earlier statement of this change failed")
        })
    }
}

impl Tx for PostgresTx<'_> {
    fn query(&mut self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        self.statement(async |client| {
            let statement = prepare(client, sql, params).await?;
            let rows = client.query(&statement, &bound(params)).await;
            rows.map_err(|e| failure("query", e))?
                .iter()
                .map(row)
                .collect()
        })
    }

    fn execute(&mut self, sql: &str, params: &[Param<'_>]) -> Result<u64> {
        self.statement(async |client| {
            let statement = prepare(client, sql, params).await?;
            let changed = client.execute(&statement, &bound(params)).await;
            changed.map_err(|e| failure("change", e))
        })
    }

    /// The server ends the transaction whether or not it can commit.
    fn commit(mut self: Box<Self>) -> Result<()> {
        self.usable()?;
        self.control("commit", "COMMIT")?;
        self.open = false;
        Ok(())
    }
}

impl Drop for PostgresTx<'_> {
    fn drop(&mut self) {
        // A connection that cannot roll back is closed, and the pool drops closed ones.
        if self.open
            && let Err(e) = self.control("roll back", "ROLLBACK")
        {
            tracing::warn!(error = %e.chain(), "cannot roll back");
        }
    }
}

async fn prepare(client: &Object, sql: &str, params: &[Param<'_>]) -> Result<Statement> {
    let statement = client
        .prepare_cached(sql)
        .await
        .map_err(|e| failure("prepare", e))?;
    let (count, given) = (statement.params().len(), params.len());
    if count != given {
        return fail(
            Kind::Invalid,
            format!("statement has {count} placeholders for {given} values"),
        );
    }
    Ok(statement)
}

fn bound<'p>(params: &'p [Param<'_>]) -> Vec<&'p (dyn ToSql + Sync)> {
    params.iter().map(|p| p as _).collect()
}

impl ToSql for Param<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match (*self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Int(n), &Type::INT8) => n.to_sql(ty, out),
            (Self::Int(n), &Type::INT4) => i32::try_from(n)?.to_sql(ty, out),
            (Self::Int(n), &Type::INT2) => i16::try_from(n)?.to_sql(ty, out),
            (Self::Text(s), &Type::TEXT | &Type::VARCHAR | &Type::NAME) => s.to_sql(ty, out),
            (Self::Bytes(b), &Type::BYTEA) => b.to_sql(ty, out),
            (value, ty) => Err(format!("no way to bind {value:?} as {ty}").into()),
        }
    }

    /// NULL goes anywhere; `to_sql` refuses what does not fit.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn row(row: &tokio_postgres::Row) -> Result<Row> {
    (0..row.len())
        .map(|i| value(row, i))
        .collect::<Result<_>>()
        .map(Row)
}

fn value(row: &tokio_postgres::Row, i: usize) -> Result<Value> {
    let found = match *row.columns()[i].type_() {
        Type::INT8 => row.try_get::<_, Option<i64>>(i).map(|v| v.map(Value::Int)),
        Type::INT4 => row
            .try_get::<_, Option<i32>>(i)
            .map(|v| v.map(|n| Value::Int(n.into()))),
        Type::INT2 => row
            .try_get::<_, Option<i16>>(i)
            .map(|v| v.map(|n| Value::Int(n.into()))),
        Type::BOOL => row
            .try_get::<_, Option<bool>>(i)
            .map(|v| v.map(|b| Value::Int(b.into()))),
        Type::TEXT | Type::VARCHAR | Type::NAME => row
            .try_get::<_, Option<String>>(i)
            .map(|v| v.map(Value::Text)),
        Type::BYTEA => row
            .try_get::<_, Option<Vec<u8>>>(i)
            .map(|v| v.map(Value::Bytes)),
        ref other => return fail(Kind::Invalid, format!("column {i} is {other}: cast it")),
    };
    Ok(found
        .map_err(|e| failure("read", e))?
        .unwrap_or(Value::Null))
}

pub(super) fn failure(what: &str, e: tokio_postgres::Error) -> Error {
    Error::new(kind_of(&e), format!("database cannot {what}")).caused_by(e)
}

/// What the caller can do about it, by SQLSTATE (postgresql.org/docs/current/errcodes-appendix.html).
pub(super) fn kind_of(e: &tokio_postgres::Error) -> Kind {
    let Some(state) = e.code() else {
        let unreachable = e.is_closed() || e.source().is_some_and(<dyn StdError>::is::<io::Error>);
        return if unreachable {
            Kind::Unavailable
        } else {
            Kind::Invalid
        };
    };
    match *state {
        SqlState::T_R_SERIALIZATION_FAILURE | SqlState::T_R_DEADLOCK_DETECTED => Kind::Conflict,
        SqlState::DISK_FULL => Kind::NoSpace,
        SqlState::READ_ONLY_SQL_TRANSACTION => Kind::ReadOnly,
        SqlState::DATA_CORRUPTED | SqlState::INDEX_CORRUPTED => Kind::Corrupt,
        SqlState::LOCK_NOT_AVAILABLE => Kind::Unavailable,
        _ => match state.code().get(..2) {
            Some("23") => Kind::Conflict,
            Some("22") => Kind::Invalid,
            Some("28") => Kind::Denied,
            // Connection lost, out of resources, told to stop.
            Some("08" | "53" | "57") => Kind::Unavailable,
            _ => Kind::Io,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::server::Server;
    use super::*;

    #[test]
    fn a_connection_that_died_is_replaced() {
        let server = Server::start();
        let db = Postgres::connect(&server.database("a")).unwrap();
        let mut tx = db.begin().unwrap();
        let mut others: Vec<_> = (0..3).map(|_| db.read().unwrap()).collect();
        let killed = tx.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'nexus' ORDER BY pid = pg_backend_pid()",
            &[],
        );
        assert_eq!(killed.unwrap_err().kind(), Kind::Unavailable);
        assert_eq!(tx.commit().unwrap_err().kind(), Kind::Unavailable);
        let refused = others[0].query("SELECT 1", &[]);
        assert_eq!(refused.unwrap_err().kind(), Kind::Unavailable);
        drop(others);
        assert_eq!(db.read().unwrap().query("SELECT 1", &[]).unwrap().len(), 1);
    }

    #[test]
    fn a_server_that_commits_before_the_disk_is_refused() {
        let server = Server::start();
        let url = server.database("a") + " options='-c synchronous_commit=off'";
        assert_eq!(
            Postgres::connect(&url).err().unwrap().kind(),
            Kind::Unsupported
        );
    }

    #[test]
    fn an_unreachable_server_is_unavailable() {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("host={} user=nobody dbname=none", dir.path().display());
        assert_eq!(
            Postgres::connect(&url).err().unwrap().kind(),
            Kind::Unavailable
        );
    }
}
