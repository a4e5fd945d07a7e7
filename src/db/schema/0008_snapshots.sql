-- Snapshots: names for moments of directories. The marks are explained at the head of 0001_init.sql.

CREATE TABLE snapshots (
    tenant      BIGINT NOT NULL,
    name        TEXT   NOT NULL,
    op          BIGINT NOT NULL,        -- the tree as this operation left it: the one that made the snapshot
    ino         BIGINT NOT NULL,        -- the directory that is meant
    uid         BIGINT NOT NULL,        -- who made it
    user_name   TEXT,
    agent       TEXT,
    created     BIGINT NOT NULL,
    description TEXT,
    sum         BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
) /* WITHOUT ROWID */;
