-- Numbers for users; agents, groups and who is in them; API keys. The marks are explained at the head of 0001_init.sql.
-- Every principal has a number of its own that is never reused: membership and keys name it by that.

ALTER TABLE users ADD COLUMN id BIGINT NOT NULL DEFAULT 0;  -- 0: of the first version, numbered when the store is opened
CREATE UNIQUE INDEX users_by_id ON users (id) WHERE id > 0;

CREATE TABLE agents (
    id          BIGINT PRIMARY KEY,
    tenant      BIGINT NOT NULL,
    name        TEXT   NOT NULL,
    owner       BIGINT NOT NULL,        -- the user it belongs to
    isolated    BIGINT NOT NULL,        -- 1: has its own grants only
    created     BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

CREATE TABLE groups (
    id          BIGINT PRIMARY KEY,
    tenant      BIGINT NOT NULL,
    name        TEXT   NOT NULL,
    description TEXT,
    created     BIGINT NOT NULL,
    UNIQUE (tenant, name)
);

CREATE TABLE members (
    tenant      BIGINT NOT NULL,
    group_id    BIGINT NOT NULL,
    member      BIGINT NOT NULL,        -- a user, an agent or another group
    PRIMARY KEY (tenant, group_id, member)
) /* WITHOUT ROWID */;

CREATE TABLE api_keys (
    id          BIGINT PRIMARY KEY,
    tenant      BIGINT NOT NULL,
    principal   BIGINT NOT NULL,        -- the user or agent whom it proves
    hash        BYTEA  NOT NULL UNIQUE, -- SHA-256 of the key, which is nowhere
    description TEXT,
    created     BIGINT NOT NULL,
    expires     BIGINT
);

-- The shape that the architecture document gives to SQL users, and the tenant, in which names are unique.
CREATE VIEW entity_registry AS
    SELECT id AS tenant_id, 'tenant' AS entity_type, name AS entity_id,
           CAST(NULL AS TEXT) AS parent_type, CAST(NULL AS TEXT) AS parent_id, created AS created_at
    FROM tenants
    UNION ALL
    SELECT u.tenant, 'user', u.name, 'tenant', t.name, u.created
    FROM users u JOIN tenants t ON t.id = u.tenant
    UNION ALL
    SELECT a.tenant, 'agent', a.name, 'user', u.name, a.created
    FROM agents a JOIN users u ON u.id = a.owner AND u.tenant = a.tenant;
