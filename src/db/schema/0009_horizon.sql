-- How far back the past is kept. The marks are explained at the head of 0001_init.sql.

ALTER TABLE tenants ADD COLUMN horizon BIGINT NOT NULL DEFAULT 0;  -- the oldest operation whose tree is kept; 0: all are
ALTER TABLE tenants ADD COLUMN forgot  BIGINT NOT NULL DEFAULT 0;  -- the operation that moved it there
ALTER TABLE tenants ADD COLUMN thinned BIGINT NOT NULL DEFAULT 0;  -- the horizon behind which no row is left to delete
