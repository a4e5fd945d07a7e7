-- The way to operations of the kinds that are few: grants, principals, undo. The marks are explained at the head of 0001_init.sql.
-- What is done all the time is left out: it is met soon on the way through the log, and costs nothing more to write.
-- `meta::log_query` says the condition again, word by word: by that the database knows that the index will do.

CREATE INDEX log_by_kind ON log (tenant, kind, op) WHERE kind NOT IN ('create', 'write', 'truncate', 'mkdir', 'mknod', 'symlink', 'link', 'unlink', 'rmdir', 'rename', 'exchange', 'chmod', 'chown', 'times', 'setxattr', 'removexattr');
