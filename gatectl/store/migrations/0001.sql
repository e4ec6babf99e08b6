-- The journal: what happened, in order. Append-only; bodies and heads are never rewritten.
CREATE TABLE journal (
    position   INTEGER PRIMARY KEY,               -- the event number people quote
    generation INTEGER NOT NULL,
    seq        INTEGER NOT NULL,                  -- gapless from 1 within a generation
    fact_id    TEXT NOT NULL,
    wall_ms    INTEGER NOT NULL,
    quality    TEXT NOT NULL,
    boot_id    TEXT NOT NULL,
    mono_ms    INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    version    INTEGER NOT NULL,
    body       BLOB NOT NULL,
    head       BLOB NOT NULL,
    UNIQUE (generation, seq)
);

-- Small named values: generation, acked_generation, acked_seq, acked_head, db_uuid, feed_epoch, feed_seq.
CREATE TABLE marks (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- Reference data from the office, as its feed has it. What the site made of it is a fact.
CREATE TABLE feed (kind TEXT NOT NULL, key TEXT NOT NULL, seq INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;

-- From here on: a projection of the journal. `gatectl mirror rebuild` makes it again.
CREATE TABLE tickets (
    ticket       TEXT PRIMARY KEY,
    counter      INTEGER NOT NULL,
    state        TEXT NOT NULL CHECK (state IN ('issued','inside','spent','exited','void','lost','written-off')),
    lane         TEXT NOT NULL,
    area         TEXT NOT NULL,
    spot         TEXT,
    vehicle_type TEXT NOT NULL,
    spot_type    TEXT,
    tariff       TEXT NOT NULL,
    issued_ms    INTEGER NOT NULL,
    time_quality TEXT NOT NULL,
    taken        INTEGER NOT NULL DEFAULT 0,
    entered_ms   INTEGER,
    verified     INTEGER NOT NULL DEFAULT 1,
    exception    INTEGER NOT NULL DEFAULT 0,
    learned      INTEGER NOT NULL DEFAULT 0,   -- authentic, but issued by a database that is lost
    lost         INTEGER NOT NULL DEFAULT 0,   -- replaces a lost ticket whose stay was not found
    exit_lane    TEXT,
    exited_ms    INTEGER,
    void_reason  TEXT,
    paid_minor   INTEGER NOT NULL DEFAULT 0,
    last_paid_ms INTEGER,
    vend         TEXT
) WITHOUT ROWID;
CREATE UNIQUE INDEX one_open_ticket_per_spot ON tickets (spot) WHERE spot IS NOT NULL AND state IN ('issued','inside','spent');
CREATE INDEX tickets_open ON tickets (state) WHERE state IN ('issued','inside','spent');
CREATE INDEX tickets_issued ON tickets (issued_ms);

CREATE TABLE payments (
    payment        TEXT PRIMARY KEY,
    ticket         TEXT NOT NULL,
    state          TEXT NOT NULL CHECK (state IN ('PENDING','COMPLETED','FAILED','REFUNDED')),
    method         TEXT NOT NULL,
    amount_minor   INTEGER NOT NULL,
    currency       TEXT NOT NULL,
    tendered_minor INTEGER NOT NULL DEFAULT 0,
    change_minor   INTEGER NOT NULL DEFAULT 0,
    due_minor      INTEGER NOT NULL DEFAULT 0,
    tariff         TEXT NOT NULL DEFAULT '',
    lines          TEXT NOT NULL DEFAULT '[]',     -- [[text, amount_minor], ...]
    till           TEXT NOT NULL,
    paid_by        TEXT NOT NULL DEFAULT '',
    series         TEXT,
    receipt        INTEGER,
    paid_ms        INTEGER,
    auth_code      TEXT NOT NULL DEFAULT '',
    masked         TEXT NOT NULL DEFAULT '',
    terminal_ref   TEXT NOT NULL DEFAULT '',
    outcome        TEXT NOT NULL DEFAULT ''        -- why it failed
) WITHOUT ROWID;
CREATE INDEX payments_ticket ON payments (ticket);
-- A receipt number is used once in its series, by a payment or by a refund.
CREATE TABLE receipts (
    series  TEXT NOT NULL,
    receipt INTEGER NOT NULL,
    payment TEXT NOT NULL UNIQUE,
    PRIMARY KEY (series, receipt)
) WITHOUT ROWID;

CREATE TABLE vends (
    vend   TEXT PRIMARY KEY,
    lane   TEXT NOT NULL,
    cause  TEXT NOT NULL,
    ticket TEXT,
    state  TEXT NOT NULL CHECK (state IN ('intended','confirmed','unknown','failed','closed')),
    at_ms  INTEGER NOT NULL
);
CREATE INDEX vends_open ON vends (lane) WHERE state IN ('intended','confirmed','unknown');

CREATE TABLE lanes (
    lane TEXT PRIMARY KEY,
    mode TEXT NOT NULL DEFAULT 'normal',
    who  TEXT NOT NULL DEFAULT '',
    why  TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE lane_faults (
    lane     TEXT NOT NULL,
    fault    TEXT NOT NULL,
    detail   TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (lane, fault)
) WITHOUT ROWID;
CREATE TABLE devices (
    device   TEXT PRIMARY KEY,
    up       INTEGER NOT NULL,
    why      TEXT NOT NULL,
    since_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE counts (
    area     TEXT PRIMARY KEY,
    entered  INTEGER NOT NULL DEFAULT 0,
    exited   INTEGER NOT NULL DEFAULT 0,
    adjusted INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE tariffs (
    tariff            TEXT PRIMARY KEY,
    effective_from_ms INTEGER NOT NULL,
    body              TEXT NOT NULL,
    source            TEXT NOT NULL
) WITHOUT ROWID;
-- When the site was dark, and how each start found it.
CREATE TABLE starts (
    boot_id      TEXT PRIMARY KEY,
    started_ms   INTEGER NOT NULL,
    dark_from_ms INTEGER,
    clean        INTEGER NOT NULL,
    software     TEXT NOT NULL
) WITHOUT ROWID;
