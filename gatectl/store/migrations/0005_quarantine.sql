-- Records that were damaged and that nobody else holds: taken out of the journal by a repair, kept as they lay.
CREATE TABLE quarantine (
    id           INTEGER PRIMARY KEY,
    position     INTEGER NOT NULL,                -- where it lay
    generation   INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    what         TEXT NOT NULL,                   -- content, or missing: then there was nothing to keep
    row          BLOB NOT NULL,                   -- its values as Python shows them, UTF-8
    repaired_ms  INTEGER NOT NULL
);
