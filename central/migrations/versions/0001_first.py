"""The first schema: identity, journal, projections, feed and commands.

Revision ID: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JOURNAL_PARTITIONS = 16

TABLES = """
CREATE TABLE sites (
    site_id TEXT NOT NULL,
    name TEXT NOT NULL,
    installation TEXT,
    generation BIGINT NOT NULL,
    rotate BOOLEAN DEFAULT false NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_sites PRIMARY KEY (site_id)
);

CREATE TABLE alarms (
    site_id TEXT NOT NULL,
    source TEXT NOT NULL,
    subject TEXT NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL,
    open BOOLEAN NOT NULL,
    times BIGINT NOT NULL,
    since_ms BIGINT NOT NULL,
    CONSTRAINT pk_alarms PRIMARY KEY (site_id, source, subject, code)
);

CREATE TABLE commands (
    site_id TEXT NOT NULL,
    command TEXT NOT NULL,
    verb TEXT NOT NULL,
    args JSONB NOT NULL,
    person TEXT NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL,
    answer TEXT NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    deadline_at timestamptz NOT NULL,
    sent_at timestamptz,
    closed_at timestamptz,
    CONSTRAINT pk_commands PRIMARY KEY (site_id, command)
);
CREATE INDEX ix_commands_waiting ON commands (site_id) WHERE state IN ('requested', 'sent');

CREATE TABLE duplicates (
    site_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    fact_id TEXT NOT NULL,
    wall_ms BIGINT NOT NULL,
    quality TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    mono_ms BIGINT NOT NULL,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    body BYTEA NOT NULL,
    head BYTEA NOT NULL,
    received_at timestamptz DEFAULT now() NOT NULL,
    same BOOLEAN NOT NULL,
    CONSTRAINT pk_duplicates PRIMARY KEY (site_id, generation, seq)
);

CREATE TABLE feed (
    site_id TEXT NOT NULL,
    seq BIGINT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    body JSONB,
    created_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_feed PRIMARY KEY (site_id, seq)
);

CREATE TABLE journal (
    site_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    fact_id TEXT NOT NULL,
    wall_ms BIGINT NOT NULL,
    quality TEXT NOT NULL,
    boot_id TEXT NOT NULL,
    mono_ms BIGINT NOT NULL,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    body BYTEA NOT NULL,
    head BYTEA NOT NULL,
    received_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_journal PRIMARY KEY (site_id, generation, seq),
    CONSTRAINT uq_journal_site_id_fact_id UNIQUE (site_id, fact_id)
) PARTITION BY HASH (site_id);

CREATE TABLE lanes (
    site_id TEXT NOT NULL,
    lane TEXT NOT NULL,
    mode TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    CONSTRAINT pk_lanes PRIMARY KEY (site_id, lane)
);

CREATE TABLE occupancy (
    site_id TEXT NOT NULL,
    area TEXT NOT NULL,
    entered BIGINT NOT NULL,
    exited BIGINT NOT NULL,
    adjusted BIGINT NOT NULL,
    CONSTRAINT pk_occupancy PRIMARY KEY (site_id, area)
);

CREATE TABLE parked (
    site_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    fact_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    version BIGINT NOT NULL,
    ticket TEXT NOT NULL,
    why TEXT NOT NULL,
    detail TEXT NOT NULL,
    raised_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_parked PRIMARY KEY (site_id, generation, seq, ticket)
);
CREATE INDEX ix_parked_site_id_ticket ON parked (site_id, ticket);

CREATE TABLE payments (
    site_id TEXT NOT NULL,
    payment TEXT NOT NULL,
    ticket TEXT NOT NULL,
    state TEXT NOT NULL,
    method TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    refunded_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    tendered_minor BIGINT NOT NULL,
    change_minor BIGINT NOT NULL,
    due_minor BIGINT NOT NULL,
    tariff TEXT NOT NULL,
    lines JSONB NOT NULL,
    till TEXT NOT NULL,
    paid_by TEXT NOT NULL,
    series TEXT,
    receipt BIGINT,
    paid_ms BIGINT,
    auth_code TEXT NOT NULL,
    masked TEXT NOT NULL,
    terminal_ref TEXT NOT NULL,
    outcome TEXT NOT NULL,
    CONSTRAINT pk_payments PRIMARY KEY (site_id, payment)
);
CREATE INDEX ix_payments_site_id_ticket ON payments (site_id, ticket);

CREATE TABLE tickets (
    site_id TEXT NOT NULL,
    ticket TEXT NOT NULL,
    counter BIGINT NOT NULL,
    state TEXT NOT NULL,
    lane TEXT NOT NULL,
    area TEXT NOT NULL,
    spot TEXT,
    vehicle_type TEXT NOT NULL,
    spot_type TEXT,
    tariff TEXT NOT NULL,
    issued_ms BIGINT NOT NULL,
    entered_ms BIGINT,
    verified BOOLEAN NOT NULL,
    exception BOOLEAN NOT NULL,
    exit_lane TEXT,
    exited_ms BIGINT,
    void_reason TEXT,
    paid_minor BIGINT NOT NULL,
    currency TEXT,
    CONSTRAINT pk_tickets PRIMARY KEY (site_id, ticket)
);
CREATE INDEX ix_tickets_site_id_state ON tickets (site_id, state);

CREATE TABLE vends (
    site_id TEXT NOT NULL,
    vend TEXT NOT NULL,
    lane TEXT NOT NULL,
    cause TEXT NOT NULL,
    ticket TEXT,
    state TEXT NOT NULL,
    at_ms BIGINT NOT NULL,
    CONSTRAINT pk_vends PRIMARY KEY (site_id, vend)
);

CREATE TABLE enrolment_codes (
    site_id TEXT NOT NULL,
    hash BYTEA NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at timestamptz,
    CONSTRAINT pk_enrolment_codes PRIMARY KEY (site_id, hash),
    CONSTRAINT fk_enrolment_codes_site_id FOREIGN KEY(site_id) REFERENCES sites (site_id)
);

CREATE TABLE feed_counters (
    site_id TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    CONSTRAINT pk_feed_counters PRIMARY KEY (site_id),
    CONSTRAINT fk_feed_counters_site_id FOREIGN KEY(site_id) REFERENCES sites (site_id)
);

CREATE TABLE positions (
    site_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    head BYTEA NOT NULL,
    reason TEXT NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    updated_at timestamptz DEFAULT now() NOT NULL,
    CONSTRAINT pk_positions PRIMARY KEY (site_id, generation),
    CONSTRAINT fk_positions_site_id FOREIGN KEY(site_id) REFERENCES sites (site_id)
);

CREATE TABLE site_credentials (
    site_id TEXT NOT NULL,
    hash BYTEA NOT NULL,
    created_at timestamptz DEFAULT now() NOT NULL,
    revoked_at timestamptz,
    CONSTRAINT pk_site_credentials PRIMARY KEY (site_id, hash),
    CONSTRAINT fk_site_credentials_site_id FOREIGN KEY(site_id) REFERENCES sites (site_id)
);

CREATE TABLE vitals (
    site_id TEXT NOT NULL,
    contact_at timestamptz DEFAULT now() NOT NULL,
    software TEXT NOT NULL,
    body JSONB,
    received_at timestamptz,
    CONSTRAINT pk_vitals PRIMARY KEY (site_id),
    CONSTRAINT fk_vitals_site_id FOREIGN KEY(site_id) REFERENCES sites (site_id)
);
"""


def upgrade() -> None:
    for statement in TABLES.split(";"):
        if statement.strip():
            op.execute(statement)
    for part in range(JOURNAL_PARTITIONS):
        op.execute(
            f"CREATE TABLE journal_p{part:02} PARTITION OF journal "
            f"FOR VALUES WITH (MODULUS {JOURNAL_PARTITIONS}, REMAINDER {part})"
        )


def downgrade() -> None:
    raise RuntimeError("the office's records are never taken down: restore a backup instead")
