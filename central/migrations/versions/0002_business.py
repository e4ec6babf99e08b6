"""The business: rows that gatectl.domain.records declares, a projection of each site's journal.

Revision ID: 0002
"""

import re

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE shifts (
    site_id TEXT NOT NULL,
    shift TEXT NOT NULL,
    till TEXT NOT NULL,
    opened_by TEXT NOT NULL,
    currency TEXT NOT NULL,
    float_minor BIGINT NOT NULL,
    opened_ms BIGINT NOT NULL,
    cash_minor BIGINT NOT NULL,
    payments BIGINT NOT NULL,
    closed_by TEXT,
    closed_ms BIGINT,
    counted_minor BIGINT,
    expected_minor BIGINT,
    CONSTRAINT pk_shifts PRIMARY KEY (site_id, shift)
);
CREATE TABLE spots_closed (
    site_id TEXT NOT NULL,
    spot TEXT NOT NULL,
    area TEXT NOT NULL,
    level BIGINT NOT NULL,
    spot_type TEXT NOT NULL,
    closed_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    closed_ms BIGINT NOT NULL,
    CONSTRAINT pk_spots_closed PRIMARY KEY (site_id, spot)
);
CREATE TABLE recounts (
    site_id TEXT NOT NULL,
    area TEXT NOT NULL,
    spot_type TEXT NOT NULL,
    counted BIGINT NOT NULL,
    expected BIGINT NOT NULL,
    unseen BIGINT NOT NULL,
    counted_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    counted_ms BIGINT NOT NULL,
    CONSTRAINT pk_recounts PRIMARY KEY (site_id, area, spot_type)
);
CREATE TABLE area_spots (
    site_id TEXT NOT NULL,
    area TEXT NOT NULL,
    spots BIGINT NOT NULL,
    layout TEXT NOT NULL,
    digest TEXT NOT NULL,
    CONSTRAINT pk_area_spots PRIMARY KEY (site_id, area)
);
CREATE TABLE spots_held (
    site_id TEXT NOT NULL,
    spot TEXT NOT NULL,
    ticket TEXT NOT NULL,
    change TEXT NOT NULL,
    area TEXT NOT NULL,
    level BIGINT,
    spot_type TEXT NOT NULL,
    CONSTRAINT pk_spots_held PRIMARY KEY (site_id, spot)
);
CREATE TABLE count_doubts (
    site_id TEXT NOT NULL,
    area TEXT NOT NULL,
    why TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    CONSTRAINT pk_count_doubts PRIMARY KEY (site_id, area)
);
CREATE TABLE place_states (
    site_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    place TEXT NOT NULL,
    parker TEXT NOT NULL,
    state TEXT NOT NULL,
    set_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    since_ms BIGINT NOT NULL,
    CONSTRAINT pk_place_states PRIMARY KEY (site_id, scope, place, parker)
);
CREATE TABLE areas_full (
    site_id TEXT NOT NULL,
    area TEXT NOT NULL,
    vehicle_type TEXT NOT NULL,
    free BIGINT NOT NULL,
    filled_ms BIGINT NOT NULL,
    CONSTRAINT pk_areas_full PRIMARY KEY (site_id, area, vehicle_type)
);
CREATE TABLE place_hours (
    site_id TEXT NOT NULL,
    scope TEXT NOT NULL,
    place TEXT NOT NULL,
    parker TEXT NOT NULL,
    open BOOLEAN NOT NULL,
    since_ms BIGINT NOT NULL,
    CONSTRAINT pk_place_hours PRIMARY KEY (site_id, scope, place, parker)
);
CREATE TABLE passes (
    site_id TEXT NOT NULL,
    pass_id TEXT NOT NULL,
    holder TEXT NOT NULL,
    contract TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    areas TEXT NOT NULL,
    hours TEXT NOT NULL,
    cars BIGINT NOT NULL,
    grace_days BIGINT NOT NULL,
    grace TEXT NOT NULL,
    antipassback TEXT NOT NULL,
    reentry_minutes BIGINT NOT NULL,
    credentials TEXT NOT NULL,
    source TEXT NOT NULL,
    withdrawn BOOLEAN NOT NULL,
    until_ms BIGINT,
    suspended_by TEXT,
    suspended_why TEXT,
    used_ms BIGINT,
    CONSTRAINT pk_passes PRIMARY KEY (site_id, pass_id)
);
CREATE TABLE pass_credentials (
    site_id TEXT NOT NULL,
    credential TEXT NOT NULL,
    pass_id TEXT NOT NULL,
    CONSTRAINT pk_pass_credentials PRIMARY KEY (site_id, credential)
);
CREATE TABLE pass_stays (
    site_id TEXT NOT NULL,
    ticket TEXT NOT NULL,
    pass_id TEXT NOT NULL,
    contract TEXT NOT NULL,
    credential TEXT NOT NULL,
    used_ms BIGINT NOT NULL,
    excess BOOLEAN NOT NULL,
    counted BOOLEAN NOT NULL,
    ended TEXT,
    CONSTRAINT pk_pass_stays PRIMARY KEY (site_id, ticket)
);
CREATE TABLE contracts (
    site_id TEXT NOT NULL,
    contract TEXT NOT NULL,
    name TEXT NOT NULL,
    cars BIGINT NOT NULL,
    excess TEXT NOT NULL,
    source TEXT NOT NULL,
    CONSTRAINT pk_contracts PRIMARY KEY (site_id, contract)
);
CREATE TABLE reservations (
    site_id TEXT NOT NULL,
    reservation TEXT NOT NULL,
    holder TEXT NOT NULL,
    area TEXT NOT NULL,
    spot_type TEXT NOT NULL,
    from_ms BIGINT NOT NULL,
    until_ms BIGINT NOT NULL,
    early_minutes BIGINT NOT NULL,
    late_minutes BIGINT NOT NULL,
    credentials TEXT NOT NULL,
    source TEXT NOT NULL,
    state TEXT NOT NULL,
    kept TEXT NOT NULL,
    sold TEXT NOT NULL,
    prepaid_minor BIGINT,
    ticket TEXT,
    used_ms BIGINT,
    closed_ms BIGINT,
    CONSTRAINT pk_reservations PRIMARY KEY (site_id, reservation)
);
CREATE TABLE reservation_credentials (
    site_id TEXT NOT NULL,
    credential TEXT NOT NULL,
    reservation TEXT NOT NULL,
    CONSTRAINT pk_reservation_credentials PRIMARY KEY (site_id, credential)
);
CREATE TABLE quotas (
    site_id TEXT NOT NULL,
    area TEXT NOT NULL,
    spot_type TEXT NOT NULL,
    spots BIGINT NOT NULL,
    source TEXT NOT NULL,
    CONSTRAINT pk_quotas PRIMARY KEY (site_id, area, spot_type)
);
CREATE TABLE coupons (
    site_id TEXT NOT NULL,
    coupon TEXT NOT NULL,
    gives TEXT NOT NULL,
    value BIGINT NOT NULL,
    from_ms BIGINT,
    until_ms BIGINT,
    hours TEXT NOT NULL,
    uses_max BIGINT,
    day_max BIGINT,
    exclusive BOOLEAN NOT NULL,
    tariffs TEXT NOT NULL,
    vehicle_types TEXT NOT NULL,
    merchant TEXT,
    source TEXT NOT NULL,
    removed BOOLEAN NOT NULL,
    CONSTRAINT pk_coupons PRIMARY KEY (site_id, coupon)
);
CREATE TABLE coupon_series (
    site_id TEXT NOT NULL,
    series TEXT NOT NULL,
    signed BIGINT NOT NULL,
    CONSTRAINT pk_coupon_series PRIMARY KEY (site_id, series)
);
CREATE TABLE coupon_uses (
    site_id TEXT NOT NULL,
    coupon TEXT NOT NULL,
    used BIGINT NOT NULL,
    day TEXT NOT NULL,
    day_used BIGINT NOT NULL,
    until_day TEXT NOT NULL,
    expired BOOLEAN NOT NULL,
    CONSTRAINT pk_coupon_uses PRIMARY KEY (site_id, coupon)
);
CREATE TABLE merchants (
    site_id TEXT NOT NULL,
    merchant TEXT NOT NULL,
    name TEXT NOT NULL,
    minutes_max BIGINT NOT NULL,
    amount_minor_max BIGINT NOT NULL,
    whole BOOLEAN NOT NULL,
    day_max BIGINT,
    month_max BIGINT,
    reasons TEXT NOT NULL,
    source TEXT NOT NULL,
    removed BOOLEAN NOT NULL,
    CONSTRAINT pk_merchants PRIMARY KEY (site_id, merchant)
);
CREATE TABLE merchant_uses (
    site_id TEXT NOT NULL,
    merchant TEXT NOT NULL,
    day TEXT NOT NULL,
    day_used BIGINT NOT NULL,
    month TEXT NOT NULL,
    month_used BIGINT NOT NULL,
    CONSTRAINT pk_merchant_uses PRIMARY KEY (site_id, merchant)
);
CREATE TABLE validations (
    site_id TEXT NOT NULL,
    validation TEXT NOT NULL,
    ticket TEXT NOT NULL,
    label TEXT NOT NULL,
    gives TEXT NOT NULL,
    value BIGINT NOT NULL,
    exclusive BOOLEAN NOT NULL,
    coupon TEXT,
    merchant TEXT,
    reason TEXT NOT NULL,
    given_by TEXT NOT NULL,
    place TEXT NOT NULL,
    given_key TEXT NOT NULL,
    applied_ms BIGINT NOT NULL,
    until_day TEXT NOT NULL,
    state TEXT NOT NULL,
    open BOOLEAN NOT NULL,
    released_by TEXT NOT NULL,
    released_why TEXT NOT NULL,
    released_ms BIGINT,
    CONSTRAINT pk_validations PRIMARY KEY (site_id, validation)
);
CREATE TABLE chargers (
    site_id TEXT NOT NULL,
    charger TEXT NOT NULL,
    status TEXT NOT NULL,
    sessions BIGINT NOT NULL,
    blocked BOOLEAN NOT NULL,
    fault TEXT,
    ticket TEXT,
    taken_ms BIGINT,
    status_ms BIGINT,
    protocol TEXT,
    vendor TEXT,
    model TEXT,
    firmware TEXT,
    CONSTRAINT pk_chargers PRIMARY KEY (site_id, charger)
);
CREATE TABLE charging_sessions (
    site_id TEXT NOT NULL,
    session TEXT NOT NULL,
    charger TEXT NOT NULL,
    number BIGINT NOT NULL,
    transaction_id TEXT NOT NULL,
    state TEXT NOT NULL,
    started_ms BIGINT NOT NULL,
    energy_wh BIGINT NOT NULL,
    unbilled_wh BIGINT NOT NULL,
    kwh_minor BIGINT NOT NULL,
    connection_minor BIGINT NOT NULL,
    idle_minor BIGINT NOT NULL,
    idle_grace_minutes BIGINT NOT NULL,
    ticket TEXT,
    claimed_by TEXT,
    told_ms BIGINT,
    from_wh BIGINT,
    meter_wh BIGINT,
    paused_ms BIGINT,
    ended_ms BIGINT,
    reason TEXT,
    doubt TEXT,
    freed_ms BIGINT,
    CONSTRAINT pk_charging_sessions PRIMARY KEY (site_id, session)
);
CREATE TABLE exceptions (
    site_id TEXT NOT NULL,
    act TEXT NOT NULL,
    ticket TEXT NOT NULL,
    noted_ms BIGINT NOT NULL,
    other TEXT NOT NULL,
    noted_by TEXT NOT NULL,
    why TEXT NOT NULL,
    CONSTRAINT pk_exceptions PRIMARY KEY (site_id, act, ticket, noted_ms)
);
CREATE TABLE hand_prices (
    site_id TEXT NOT NULL,
    ticket TEXT NOT NULL,
    price_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    set_by TEXT NOT NULL,
    why TEXT NOT NULL,
    set_ms BIGINT NOT NULL,
    ended BOOLEAN NOT NULL,
    CONSTRAINT pk_hand_prices PRIMARY KEY (site_id, ticket)
);
CREATE TABLE soft_closes (
    site_id TEXT NOT NULL,
    close_id TEXT NOT NULL,
    area TEXT NOT NULL,
    before_ms BIGINT NOT NULL,
    tickets BIGINT NOT NULL,
    counted BOOLEAN NOT NULL,
    inside BIGINT NOT NULL,
    closed_by TEXT NOT NULL,
    closed_ms BIGINT NOT NULL,
    why TEXT NOT NULL,
    CONSTRAINT pk_soft_closes PRIMARY KEY (site_id, close_id, area)
);
CREATE TABLE generations (
    site_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    reason TEXT NOT NULL,
    noted_ms BIGINT NOT NULL,
    CONSTRAINT pk_generations PRIMARY KEY (site_id, generation)
);
CREATE TABLE histories_gone (
    site_id TEXT NOT NULL,
    generation BIGINT NOT NULL,
    noted_ms BIGINT NOT NULL,
    CONSTRAINT pk_histories_gone PRIMARY KEY (site_id, generation)
);
CREATE TABLE shift_entries (
    site_id TEXT NOT NULL,
    shift TEXT NOT NULL,
    key TEXT NOT NULL,
    what TEXT NOT NULL,
    method TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    entered_ms BIGINT NOT NULL,
    CONSTRAINT pk_shift_entries PRIMARY KEY (site_id, shift, key)
);
CREATE TABLE refunds (
    site_id TEXT NOT NULL,
    refund TEXT NOT NULL,
    payment TEXT NOT NULL,
    ticket TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    method TEXT NOT NULL,
    till TEXT NOT NULL,
    refunded_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    series TEXT NOT NULL,
    receipt BIGINT NOT NULL,
    refunded_ms BIGINT NOT NULL,
    terminal_ref TEXT NOT NULL,
    CONSTRAINT pk_refunds PRIMARY KEY (site_id, refund)
);
CREATE TABLE debts (
    site_id TEXT NOT NULL,
    debt TEXT NOT NULL,
    ticket TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    debtor TEXT NOT NULL,
    made_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    made_ms BIGINT NOT NULL,
    lane TEXT NOT NULL,
    paid_minor BIGINT NOT NULL,
    forgiven_minor BIGINT NOT NULL,
    closed_by TEXT,
    closed_ms BIGINT,
    closed_reason TEXT,
    CONSTRAINT pk_debts PRIMARY KEY (site_id, debt)
);
CREATE TABLE overpayments (
    site_id TEXT NOT NULL,
    payment TEXT NOT NULL,
    ticket TEXT NOT NULL,
    kept_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    till TEXT NOT NULL,
    kept_ms BIGINT NOT NULL,
    returned_till TEXT,
    returned_by TEXT,
    returned_ms BIGINT,
    returned_reason TEXT,
    CONSTRAINT pk_overpayments PRIMARY KEY (site_id, payment)
);
CREATE TABLE offline_days (
    site_id TEXT NOT NULL,
    day TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    CONSTRAINT pk_offline_days PRIMARY KEY (site_id, day)
);
CREATE TABLE reversals (
    site_id TEXT NOT NULL,
    payment TEXT NOT NULL,
    ticket TEXT NOT NULL,
    lane TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    counted BOOLEAN NOT NULL,
    started_ms BIGINT NOT NULL,
    CONSTRAINT pk_reversals PRIMARY KEY (site_id, payment)
);
CREATE TABLE fiscal_series (
    site_id TEXT NOT NULL,
    series TEXT NOT NULL,
    regime TEXT NOT NULL,
    name TEXT NOT NULL,
    opened_ms BIGINT NOT NULL,
    number BIGINT NOT NULL,
    turnover_minor BIGINT NOT NULL,
    entered_ms BIGINT NOT NULL,
    signed BIGINT NOT NULL,
    last_code TEXT NOT NULL,
    failing BOOLEAN NOT NULL,
    CONSTRAINT pk_fiscal_series PRIMARY KEY (site_id, series)
);
CREATE TABLE fiscal_entries (
    site_id TEXT NOT NULL,
    series TEXT NOT NULL,
    number BIGINT NOT NULL,
    what TEXT NOT NULL,
    amount_minor BIGINT NOT NULL,
    currency TEXT NOT NULL,
    turnover_minor BIGINT NOT NULL,
    receipt_series TEXT NOT NULL,
    receipt BIGINT NOT NULL,
    entered_ms BIGINT NOT NULL,
    code TEXT,
    failed TEXT,
    signed_ms BIGINT,
    CONSTRAINT pk_fiscal_entries PRIMARY KEY (site_id, series, number)
);
CREATE TABLE valet (
    site_id TEXT NOT NULL,
    visit TEXT NOT NULL,
    ticket TEXT NOT NULL,
    claim TEXT NOT NULL,
    issue BIGINT NOT NULL,
    tag TEXT NOT NULL,
    vehicle TEXT NOT NULL,
    stand TEXT NOT NULL,
    state TEXT NOT NULL,
    currency TEXT NOT NULL,
    fee_minor BIGINT NOT NULL,
    claim_fee_minor BIGINT NOT NULL,
    notes BIGINT NOT NULL,
    received_by TEXT NOT NULL,
    received_ms BIGINT NOT NULL,
    spot TEXT,
    parked_by TEXT,
    parked_ms BIGINT,
    requested_by TEXT,
    requested_ms BIGINT,
    wanted_ms BIGINT,
    fetched_by TEXT,
    fetched_ms BIGINT,
    ready_by TEXT,
    ready_ms BIGINT,
    returned_by TEXT,
    returned_ms BIGINT,
    returned_how TEXT,
    open BOOLEAN NOT NULL,
    CONSTRAINT pk_valet PRIMARY KEY (site_id, visit)
);
CREATE TABLE valet_notes (
    site_id TEXT NOT NULL,
    visit TEXT NOT NULL,
    number BIGINT NOT NULL,
    moment TEXT NOT NULL,
    note TEXT NOT NULL,
    photos TEXT NOT NULL,
    noted_by TEXT NOT NULL,
    noted_ms BIGINT NOT NULL,
    CONSTRAINT pk_valet_notes PRIMARY KEY (site_id, visit, number)
);
CREATE TABLE valet_claims (
    site_id TEXT NOT NULL,
    visit TEXT NOT NULL,
    issue BIGINT NOT NULL,
    claim TEXT NOT NULL,
    proof TEXT NOT NULL,
    issued_by TEXT NOT NULL,
    issued_ms BIGINT NOT NULL,
    CONSTRAINT pk_valet_claims PRIMARY KEY (site_id, visit, issue)
);
CREATE TABLE segments (
    site_id TEXT NOT NULL,
    ticket TEXT NOT NULL,
    segment BIGINT NOT NULL,
    area TEXT NOT NULL,
    spot TEXT,
    began_ms BIGINT NOT NULL,
    ended_ms BIGINT NOT NULL,
    CONSTRAINT pk_segments PRIMARY KEY (site_id, ticket, segment)
);
"""


def upgrade() -> None:
    for statement in filter(str.strip, TABLES.split(";")):
        op.execute(statement)


def downgrade() -> None:
    for name in reversed(re.findall(r"CREATE TABLE (\w+)", TABLES)):
        op.execute(f"DROP TABLE {name}")
