-- The way to operations of any kind and of any command: each is found in order, however seldom it is. The marks are explained at
-- the head of 0001_init.sql. The index of 0010 left out kinds that are done all the time, of which one may be rare all the same.

DROP INDEX log_by_kind;
CREATE INDEX log_by_kind ON log (tenant, kind, op);
CREATE INDEX log_by_command ON log (tenant, comm, op);
