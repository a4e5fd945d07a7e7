-- Relationship tuples. The marks are explained at the head of 0001_init.sql. Objects of type `file` are nodes, by number;
-- users, agents and groups are principals, by number, so that what comes later under the same name starts with nothing.
-- Lists (ACLs) and boundaries of nodes are extended attributes named `nexus.*`, which no system call reaches.

CREATE TABLE tuples (
    id               BIGINT PRIMARY KEY,
    tenant           BIGINT NOT NULL,
    object_type      TEXT   NOT NULL,
    object_id        TEXT   NOT NULL,
    relation         TEXT   NOT NULL,
    subject_type     TEXT   NOT NULL,
    subject_id       TEXT   NOT NULL,   -- '*': everybody of the type
    subject_relation TEXT   NOT NULL,   -- '' for the subject itself
    created          BIGINT NOT NULL,
    expires          BIGINT,
    UNIQUE (tenant, object_type, object_id, relation, subject_type, subject_id, subject_relation)
);

CREATE INDEX xattrs_by_name ON xattrs (name);

-- The shape that the architecture document gives to SQL users, and the tenant.
CREATE VIEW rebac_tuples AS
    SELECT id AS tuple_id, tenant AS tenant_id, subject_type, subject_id, subject_relation, relation,
           object_type, object_id, created AS created_at, expires AS expires_at
    FROM tuples;
