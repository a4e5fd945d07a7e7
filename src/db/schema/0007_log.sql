-- Ways into the log beside the number of an operation. The marks are explained at the head of 0001_init.sql.
-- In each the operation comes last: records of one session, agent or user are read in their order, oldest or newest first.

CREATE INDEX log_by_session ON log (tenant, session, op) WHERE session IS NOT NULL;
CREATE INDEX log_by_agent ON log (tenant, agent, op) WHERE agent IS NOT NULL;
CREATE INDEX log_by_user ON log (tenant, user_name, op) WHERE user_name IS NOT NULL;

-- What lies below a directory is one range of either: `/a/` to `/a0`, the byte behind `/`.
CREATE INDEX log_by_path ON log (tenant, path, op);
CREATE INDEX log_by_path2 ON log (tenant, path2, op) WHERE path2 IS NOT NULL;
