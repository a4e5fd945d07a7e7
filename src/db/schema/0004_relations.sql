-- Types of objects that tenants define, guards on what 0002 and 0003 brought, and the tables of the architecture document as
-- views. Beside the marks of 0001_init.sql db/migrate.rs reads four in the views: on SQLite `AS JSON)` becomes `AS TEXT)` and
-- `AS BYTEA)` becomes `AS BLOB)`, `convert_from(x, 'UTF8')` becomes `CAST(x AS TEXT)`, `json_array_elements(` becomes `json_each(`.

-- A tuple whose object_type is not 'file' is about an object of one of these; such objects are known by name.
CREATE TABLE object_types (
    id          BIGINT PRIMARY KEY,
    tenant      BIGINT NOT NULL,
    name        TEXT   NOT NULL,
    definition  TEXT   NOT NULL,        -- JSON: its relations
    created     BIGINT NOT NULL,
    updated     BIGINT NOT NULL,
    sum         BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

-- The first 8 bytes of a SHA-256 over the row, as rows of the tree have them. Those of rows that were here before are written
-- when the store is opened next; the counter `guarded` says that they have been.
ALTER TABLE users    ADD COLUMN sum BIGINT NOT NULL DEFAULT 0;
ALTER TABLE agents   ADD COLUMN sum BIGINT NOT NULL DEFAULT 0;
ALTER TABLE groups   ADD COLUMN sum BIGINT NOT NULL DEFAULT 0;
ALTER TABLE members  ADD COLUMN sum BIGINT NOT NULL DEFAULT 0;
ALTER TABLE api_keys ADD COLUMN sum BIGINT NOT NULL DEFAULT 0;
ALTER TABLE tuples   ADD COLUMN sum BIGINT NOT NULL DEFAULT 0;

-- What tenants have defined; `file`, `user`, `agent` and `group` are built in and are no rows.
CREATE VIEW rebac_namespaces AS
    SELECT tenant AS tenant_id, id AS namespace_id, name AS object_type, definition AS config,
           created AS created_at, updated AS updated_at
    FROM object_types;

-- Every tuple that came ('grant') or went ('revoke'), as the log has it: `change_id` is the operation, which may have several.
-- A tuple goes by a revoke, by being granted anew with another end, and with its file, its subject or its type; by an undo
-- it goes or comes back.
CREATE VIEW rebac_changelog AS
    SELECT c.tenant AS tenant_id, c.op AS change_id, c.change AS change_type, CAST(c.tuple ->> 'id' AS BIGINT) AS tuple_id,
           c.tuple ->> 'subject_type' AS subject_type, c.tuple ->> 'subject_id' AS subject_id,
           c.tuple ->> 'subject_relation' AS subject_relation, c.tuple ->> 'relation' AS relation,
           c.tuple ->> 'object_type' AS object_type, c.tuple ->> 'object_id' AS object_id, c.time AS created_at
    FROM (SELECT l.tenant, l.op, l.time, l.kind AS change, CAST(l.undo AS JSON) -> 'tuple' AS tuple
          FROM log l WHERE l.kind IN ('grant', 'revoke')
          UNION ALL
          SELECT l.tenant, l.op, l.time, 'revoke', e.value
          FROM log l CROSS JOIN json_array_elements(CAST(l.undo AS JSON) -> 'replaced') AS e WHERE l.kind = 'grant'
          UNION ALL
          SELECT l.tenant, l.op, l.time, 'revoke', e.value
          FROM log l CROSS JOIN json_array_elements(CAST(l.undo AS JSON) -> 'grants') AS e
          WHERE l.undo LIKE '%"grants":[{%'
          UNION ALL
          SELECT l.tenant, l.op, l.time, 'grant', e.value
          FROM log l CROSS JOIN json_array_elements(CAST(l.undo AS JSON) -> 'granted') AS e
          WHERE l.undo LIKE '%"granted":[{%') AS c;

-- The entries of lists about named users and groups, by uid and gid; what a list says of the owner, the owning group and
-- everybody else is the mode's. `is_default`: what a directory hands on.
CREATE VIEW acl_entries AS
    SELECT a.tenant AS tenant_id, a.ino AS path_id,
           CASE WHEN (e.value -> 'who' ->> 'user') IS NULL THEN 'group' ELSE 'user' END AS entry_type,
           CAST(COALESCE(e.value -> 'who' ->> 'user', e.value -> 'who' ->> 'group') AS BIGINT) AS identifier,
           CASE WHEN (CAST(e.value ->> 'rights' AS BIGINT) & 4) <> 0 THEN 'r' ELSE '-' END
           || CASE WHEN (CAST(e.value ->> 'rights' AS BIGINT) & 2) <> 0 THEN 'w' ELSE '-' END
           || CASE WHEN (CAST(e.value ->> 'rights' AS BIGINT) & 1) <> 0 THEN 'x' ELSE '-' END AS permissions,
           CASE WHEN CAST(e.value ->> 'deny' AS TEXT) IN ('1', 'true') THEN 1 ELSE 0 END AS deny,
           a.is_default, a.time AS created_at
    FROM (SELECT n.tenant, x.ino, l.time, 0 AS is_default,
                 CAST(convert_from(x.value, 'UTF8') AS JSON) -> 'access' -> 'entries' AS list
          FROM xattrs x JOIN nodes n ON n.ino = x.ino LEFT JOIN log l ON l.tenant = n.tenant AND l.op = x.began
          WHERE x.name = CAST('nexus.acl' AS BYTEA)
          UNION ALL
          SELECT n.tenant, x.ino, l.time, 1,
                 CAST(convert_from(x.value, 'UTF8') AS JSON) -> 'default' -> 'entries'
          FROM xattrs x JOIN nodes n ON n.ino = x.ino LEFT JOIN log l ON l.tenant = n.tenant AND l.op = x.began
          WHERE x.name = CAST('nexus.acl' AS BYTEA)) AS a
         CROSS JOIN json_array_elements(a.list) AS e;
