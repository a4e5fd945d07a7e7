-- One text for SQLite and PostgreSQL. Two marks are read by db/migrate.rs: on SQLite `BIGINT PRIMARY KEY` becomes a rowid
-- (`INTEGER PRIMARY KEY`) and `/* WITHOUT ROWID */` loses its comment signs. Times are nanoseconds since 1970 (UTC).
-- `began` and `ended` are operation numbers of the row's tenant. `sum` guards a row: the first 8 bytes of a SHA-256 over it.

CREATE TABLE tenants (
    id        BIGINT PRIMARY KEY,
    name      TEXT   NOT NULL UNIQUE,
    gid       BIGINT NOT NULL UNIQUE,
    root      BIGINT NOT NULL,
    op        BIGINT NOT NULL,          -- the newest operation
    hash      BYTEA  NOT NULL,          -- its hash: the end of the chain
    state     BIGINT NOT NULL,          -- sum of the `sum`s of all present rows, modulo 2^64
    created   BIGINT NOT NULL
);

CREATE TABLE users (
    tenant    BIGINT NOT NULL,
    name      TEXT   NOT NULL,
    uid       BIGINT NOT NULL,
    gid       BIGINT NOT NULL,
    full_name TEXT,
    email     TEXT,
    created   BIGINT NOT NULL,
    PRIMARY KEY (tenant, name),
    UNIQUE (tenant, uid)
) /* WITHOUT ROWID */;

CREATE TABLE namespaces (
    tenant    BIGINT NOT NULL,
    name      TEXT   NOT NULL,
    mask      BIGINT NOT NULL,
    group_of  TEXT   NOT NULL,          -- 'keep' or 'tenant'
    PRIMARY KEY (tenant, name)
) /* WITHOUT ROWID */;

CREATE TABLE counters (
    name      TEXT   NOT NULL PRIMARY KEY,
    value     BIGINT NOT NULL           -- every number below has been given out or reserved
) /* WITHOUT ROWID */;

-- The present: one row a node, one row a name.
CREATE TABLE nodes (
    ino       BIGINT PRIMARY KEY,
    tenant    BIGINT NOT NULL,
    kind      BIGINT NOT NULL,
    mode      BIGINT NOT NULL,
    uid       BIGINT NOT NULL,
    gid       BIGINT NOT NULL,
    nlink     BIGINT NOT NULL,
    size      BIGINT NOT NULL,
    rdev      BIGINT NOT NULL,
    atime     BIGINT NOT NULL,
    mtime     BIGINT NOT NULL,
    ctime     BIGINT NOT NULL,
    btime     BIGINT NOT NULL,
    content   BYTEA  NOT NULL,
    version   BIGINT NOT NULL,
    parent    BIGINT NOT NULL,          -- of a directory; 0 otherwise
    began     BIGINT NOT NULL,
    sum       BIGINT NOT NULL
);

CREATE TABLE entries (
    parent    BIGINT NOT NULL,
    name      BYTEA  NOT NULL,
    ino       BIGINT NOT NULL,
    cookie    BIGINT NOT NULL,          -- its place in readdir: never reused, never moved
    began     BIGINT NOT NULL,
    sum       BIGINT NOT NULL,
    PRIMARY KEY (parent, name)
) /* WITHOUT ROWID */;
CREATE UNIQUE INDEX entries_by_cookie ON entries (parent, cookie);
CREATE INDEX entries_by_ino ON entries (ino);

CREATE TABLE xattrs (
    ino       BIGINT NOT NULL,
    name      BYTEA  NOT NULL,
    value     BYTEA  NOT NULL,
    began     BIGINT NOT NULL,
    sum       BIGINT NOT NULL,
    PRIMARY KEY (ino, name)
) /* WITHOUT ROWID */;

-- The past: the same rows with the operation that ended them. The tree as of operation N is every present row with
-- began <= N and every past row with began <= N < ended.
CREATE TABLE nodes_past (
    ino       BIGINT NOT NULL,
    ended     BIGINT NOT NULL,
    tenant    BIGINT NOT NULL,
    kind      BIGINT NOT NULL,
    mode      BIGINT NOT NULL,
    uid       BIGINT NOT NULL,
    gid       BIGINT NOT NULL,
    nlink     BIGINT NOT NULL,
    size      BIGINT NOT NULL,
    rdev      BIGINT NOT NULL,
    atime     BIGINT NOT NULL,
    mtime     BIGINT NOT NULL,
    ctime     BIGINT NOT NULL,
    btime     BIGINT NOT NULL,
    content   BYTEA  NOT NULL,
    version   BIGINT NOT NULL,
    parent    BIGINT NOT NULL,
    began     BIGINT NOT NULL,
    sum       BIGINT NOT NULL,
    PRIMARY KEY (ino, ended)
) /* WITHOUT ROWID */;

CREATE TABLE entries_past (
    parent    BIGINT NOT NULL,
    name      BYTEA  NOT NULL,
    ended     BIGINT NOT NULL,
    ino       BIGINT NOT NULL,
    cookie    BIGINT NOT NULL,
    began     BIGINT NOT NULL,
    sum       BIGINT NOT NULL,
    PRIMARY KEY (parent, name, ended)
) /* WITHOUT ROWID */;

CREATE TABLE xattrs_past (
    ino       BIGINT NOT NULL,
    name      BYTEA  NOT NULL,
    ended     BIGINT NOT NULL,
    value     BYTEA  NOT NULL,
    began     BIGINT NOT NULL,
    sum       BIGINT NOT NULL,
    PRIMARY KEY (ino, name, ended)
) /* WITHOUT ROWID */;

-- The log: one record an operation, each hash over the record and the hash before it.
CREATE TABLE log (
    tenant    BIGINT NOT NULL,
    op        BIGINT NOT NULL,
    time      BIGINT NOT NULL,
    kind      TEXT   NOT NULL,
    ino       BIGINT NOT NULL,
    path      BYTEA  NOT NULL,
    path2     BYTEA,                    -- where a rename or link went
    user_name TEXT,
    agent     TEXT,
    session   TEXT,
    uid       BIGINT NOT NULL,
    pid       BIGINT NOT NULL,
    comm      TEXT   NOT NULL,
    undo      TEXT   NOT NULL,          -- JSON: what reverses it, beside the past rows it ended
    state     BIGINT NOT NULL,          -- tenants.state after it
    hash      BYTEA  NOT NULL,
    PRIMARY KEY (tenant, op)
) /* WITHOUT ROWID */;

-- Bytes by their SHA-256. `data` is null when they are a file under cas/.
CREATE TABLE blobs (
    hash      BYTEA  NOT NULL PRIMARY KEY,
    size      BIGINT NOT NULL,
    data      BYTEA
);

-- SHA-256 of the whole content of chunked files, computed when first asked for.
CREATE TABLE whole_hashes (
    root      BYTEA  NOT NULL PRIMARY KEY,
    hash      BYTEA  NOT NULL
) /* WITHOUT ROWID */;

-- Bytes that were synced before they became a version: after a crash they are written again, in the order of `id`.
CREATE TABLE drafts (
    id        BIGINT PRIMARY KEY,
    ino       BIGINT NOT NULL,
    body      BYTEA  NOT NULL,
    sum       BIGINT NOT NULL
);
CREATE INDEX drafts_by_ino ON drafts (ino);

-- What a restarted daemon mounts again.
CREATE TABLE mounts (
    dir       BYTEA  NOT NULL PRIMARY KEY,
    options   TEXT   NOT NULL
) /* WITHOUT ROWID */;

-- The shapes that the architecture document gives to SQL users.
CREATE VIEW operations AS
    SELECT tenant AS tenant_id, op AS id, kind AS operation_type, path AS file_path, time AS timestamp,
           user_name AS user_id, agent AS agent_id, undo AS undo_state
    FROM log;
