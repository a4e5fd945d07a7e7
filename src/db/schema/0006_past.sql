-- Reading the past: a directory as of an operation is listed in the order of its cookies, as the present is.
-- The marks are explained at the head of 0001_init.sql.

CREATE INDEX entries_past_by_cookie ON entries_past (parent, cookie);
