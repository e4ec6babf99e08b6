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
CREATE TABLE passes (
    pass_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    contract TEXT NOT NULL,
    from_ms INTEGER NOT NULL,
    areas TEXT NOT NULL,
    hours TEXT NOT NULL,
    cars INTEGER NOT NULL,
    grace_days INTEGER NOT NULL,
    grace TEXT NOT NULL,
    antipassback TEXT NOT NULL,
    reentry_minutes INTEGER NOT NULL,
    credentials TEXT NOT NULL,
    source TEXT NOT NULL,
    withdrawn INTEGER NOT NULL,
    until_ms INTEGER,
    suspended_by TEXT,
    suspended_why TEXT,
    used_ms INTEGER,
    PRIMARY KEY (pass_id)
) WITHOUT ROWID;
CREATE TABLE pass_credentials (
    credential TEXT NOT NULL,
    pass_id TEXT NOT NULL,
    PRIMARY KEY (credential)
) WITHOUT ROWID;
CREATE TABLE pass_stays (
    ticket TEXT NOT NULL,
    pass_id TEXT NOT NULL,
    contract TEXT NOT NULL,
    credential TEXT NOT NULL,
    used_ms INTEGER NOT NULL,
    excess INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    ended TEXT,
    PRIMARY KEY (ticket)
) WITHOUT ROWID;
CREATE TABLE contracts (
    contract TEXT NOT NULL,
    name TEXT NOT NULL,
    cars INTEGER NOT NULL,
    excess TEXT NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (contract)
) WITHOUT ROWID;
CREATE TABLE reservations (
    reservation TEXT NOT NULL,
    holder TEXT NOT NULL,
    area TEXT NOT NULL,
    spot_type TEXT NOT NULL,
    from_ms INTEGER NOT NULL,
    until_ms INTEGER NOT NULL,
    early_minutes INTEGER NOT NULL,
    late_minutes INTEGER NOT NULL,
    credentials TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    kept TEXT NOT NULL,
    sold TEXT NOT NULL,
    prepaid_minor INTEGER,
    ticket TEXT,
    used_ms INTEGER,
    closed_ms INTEGER,
    PRIMARY KEY (reservation)
) WITHOUT ROWID;
CREATE TABLE reservation_credentials (
    credential TEXT NOT NULL,
    reservation TEXT NOT NULL,
    PRIMARY KEY (credential)
) WITHOUT ROWID;
CREATE TABLE quotas (
    area TEXT NOT NULL,
    spot_type TEXT NOT NULL,
    spots INTEGER NOT NULL,
    source TEXT NOT NULL,
    PRIMARY KEY (area, spot_type)
) WITHOUT ROWID;
CREATE TABLE generations (
    generation INTEGER NOT NULL,
    reason TEXT NOT NULL,
    noted_ms INTEGER NOT NULL,
    PRIMARY KEY (generation)
) WITHOUT ROWID;
CREATE TABLE histories_gone (
    generation INTEGER NOT NULL,
    noted_ms INTEGER NOT NULL,
    PRIMARY KEY (generation)
) WITHOUT ROWID;
