-- The former names of a node: what undo asks first.
CREATE INDEX entries_past_by_ino ON entries_past (ino, ended);
