-- The business: rows that gatectl.domain.records declares. A projection of the journal, like the tables of 0001.
CREATE TABLE shifts (
    shift TEXT NOT NULL,
    till TEXT NOT NULL,
    opened_by TEXT NOT NULL,
    currency TEXT NOT NULL,
    float_minor INTEGER NOT NULL,
    opened_ms INTEGER NOT NULL,
    cash_minor INTEGER NOT NULL,
    payments INTEGER NOT NULL,
    closed_by TEXT,
    closed_ms INTEGER,
    counted_minor INTEGER,
    expected_minor INTEGER,
    PRIMARY KEY (shift)
) WITHOUT ROWID;
