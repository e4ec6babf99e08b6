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
CREATE TABLE spots_closed (
    spot TEXT NOT NULL,
    area TEXT NOT NULL,
    level INTEGER NOT NULL,
    spot_type TEXT NOT NULL,
    closed_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    closed_ms INTEGER NOT NULL,
    PRIMARY KEY (spot)
) WITHOUT ROWID;
CREATE TABLE recounts (
    area TEXT NOT NULL,
    spot_type TEXT NOT NULL,
    counted INTEGER NOT NULL,
    expected INTEGER NOT NULL,
    unseen INTEGER NOT NULL,
    counted_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    counted_ms INTEGER NOT NULL,
    PRIMARY KEY (area, spot_type)
) WITHOUT ROWID;
CREATE TABLE area_spots (
    area TEXT NOT NULL,
    spots INTEGER NOT NULL,
    layout TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (area)
) WITHOUT ROWID;
CREATE TABLE spots_held (
    spot TEXT NOT NULL,
    ticket TEXT NOT NULL,
    change TEXT NOT NULL,
    area TEXT NOT NULL,
    level INTEGER,
    spot_type TEXT NOT NULL,
    PRIMARY KEY (spot)
) WITHOUT ROWID;
CREATE TABLE count_doubts (
    area TEXT NOT NULL,
    why TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (area)
) WITHOUT ROWID;
CREATE TABLE place_states (
    scope TEXT NOT NULL,
    place TEXT NOT NULL,
    parker TEXT NOT NULL,
    state TEXT NOT NULL,
    set_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (scope, place, parker)
) WITHOUT ROWID;
CREATE TABLE areas_full (
    area TEXT NOT NULL,
    vehicle_type TEXT NOT NULL,
    free INTEGER NOT NULL,
    filled_ms INTEGER NOT NULL,
    PRIMARY KEY (area, vehicle_type)
) WITHOUT ROWID;
CREATE TABLE place_hours (
    scope TEXT NOT NULL,
    place TEXT NOT NULL,
    parker TEXT NOT NULL,
    open INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (scope, place, parker)
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
CREATE TABLE coupons (
    coupon TEXT NOT NULL,
    gives TEXT NOT NULL,
    value INTEGER NOT NULL,
    from_ms INTEGER,
    until_ms INTEGER,
    hours TEXT NOT NULL,
    uses_max INTEGER,
    day_max INTEGER,
    exclusive INTEGER NOT NULL,
    tariffs TEXT NOT NULL,
    vehicle_types TEXT NOT NULL,
    merchant TEXT,
    source TEXT NOT NULL,
    removed INTEGER NOT NULL,
    PRIMARY KEY (coupon)
) WITHOUT ROWID;
CREATE TABLE coupon_series (
    series TEXT NOT NULL,
    signed INTEGER NOT NULL,
    PRIMARY KEY (series)
) WITHOUT ROWID;
CREATE TABLE coupon_uses (
    coupon TEXT NOT NULL,
    used INTEGER NOT NULL,
    day TEXT NOT NULL,
    day_used INTEGER NOT NULL,
    until_day TEXT NOT NULL,
    expired INTEGER NOT NULL,
    PRIMARY KEY (coupon)
) WITHOUT ROWID;
CREATE TABLE merchants (
    merchant TEXT NOT NULL,
    name TEXT NOT NULL,
    minutes_max INTEGER NOT NULL,
    amount_minor_max INTEGER NOT NULL,
    whole INTEGER NOT NULL,
    day_max INTEGER,
    month_max INTEGER,
    reasons TEXT NOT NULL,
    source TEXT NOT NULL,
    removed INTEGER NOT NULL,
    PRIMARY KEY (merchant)
) WITHOUT ROWID;
CREATE TABLE merchant_uses (
    merchant TEXT NOT NULL,
    day TEXT NOT NULL,
    day_used INTEGER NOT NULL,
    month TEXT NOT NULL,
    month_used INTEGER NOT NULL,
    PRIMARY KEY (merchant)
) WITHOUT ROWID;
CREATE TABLE validations (
    validation TEXT NOT NULL,
    ticket TEXT NOT NULL,
    label TEXT NOT NULL,
    gives TEXT NOT NULL,
    value INTEGER NOT NULL,
    exclusive INTEGER NOT NULL,
    coupon TEXT,
    merchant TEXT,
    reason TEXT NOT NULL,
    given_by TEXT NOT NULL,
    place TEXT NOT NULL,
    given_key TEXT NOT NULL,
    applied_ms INTEGER NOT NULL,
    until_day TEXT NOT NULL,
    state TEXT NOT NULL,
    open INTEGER NOT NULL,
    released_by TEXT NOT NULL,
    released_why TEXT NOT NULL,
    released_ms INTEGER,
    PRIMARY KEY (validation)
) WITHOUT ROWID;
CREATE TABLE chargers (
    charger TEXT NOT NULL,
    status TEXT NOT NULL,
    sessions INTEGER NOT NULL,
    blocked INTEGER NOT NULL,
    fault TEXT,
    ticket TEXT,
    taken_ms INTEGER,
    status_ms INTEGER,
    protocol TEXT,
    vendor TEXT,
    model TEXT,
    firmware TEXT,
    PRIMARY KEY (charger)
) WITHOUT ROWID;
CREATE TABLE charging_sessions (
    session TEXT NOT NULL,
    charger TEXT NOT NULL,
    number INTEGER NOT NULL,
    transaction_id TEXT NOT NULL,
    state TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    energy_wh INTEGER NOT NULL,
    unbilled_wh INTEGER NOT NULL,
    kwh_minor INTEGER NOT NULL,
    connection_minor INTEGER NOT NULL,
    idle_minor INTEGER NOT NULL,
    idle_grace_minutes INTEGER NOT NULL,
    ticket TEXT,
    claimed_by TEXT,
    told_ms INTEGER,
    from_wh INTEGER,
    meter_wh INTEGER,
    paused_ms INTEGER,
    ended_ms INTEGER,
    reason TEXT,
    doubt TEXT,
    freed_ms INTEGER,
    PRIMARY KEY (session)
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
CREATE TABLE exceptions (
    act TEXT NOT NULL,
    ticket TEXT NOT NULL,
    noted_ms INTEGER NOT NULL,
    other TEXT NOT NULL,
    noted_by TEXT NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (act, ticket, noted_ms)
) WITHOUT ROWID;
CREATE TABLE hand_prices (
    ticket TEXT NOT NULL,
    price_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    set_by TEXT NOT NULL,
    why TEXT NOT NULL,
    set_ms INTEGER NOT NULL,
    ended INTEGER NOT NULL,
    PRIMARY KEY (ticket)
) WITHOUT ROWID;
CREATE TABLE soft_closes (
    close_id TEXT NOT NULL,
    area TEXT NOT NULL,
    before_ms INTEGER NOT NULL,
    tickets INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    inside INTEGER NOT NULL,
    closed_by TEXT NOT NULL,
    closed_ms INTEGER NOT NULL,
    why TEXT NOT NULL,
    PRIMARY KEY (close_id, area)
) WITHOUT ROWID;
CREATE TABLE shift_entries (
    shift TEXT NOT NULL,
    key TEXT NOT NULL,
    what TEXT NOT NULL,
    method TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    entered_ms INTEGER NOT NULL,
    PRIMARY KEY (shift, key)
) WITHOUT ROWID;
CREATE TABLE refunds (
    refund TEXT NOT NULL,
    payment TEXT NOT NULL,
    ticket TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    method TEXT NOT NULL,
    till TEXT NOT NULL,
    refunded_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    series TEXT NOT NULL,
    receipt INTEGER NOT NULL,
    refunded_ms INTEGER NOT NULL,
    terminal_ref TEXT NOT NULL,
    PRIMARY KEY (refund)
) WITHOUT ROWID;
CREATE TABLE debts (
    debt TEXT NOT NULL,
    ticket TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    debtor TEXT NOT NULL,
    made_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    made_ms INTEGER NOT NULL,
    lane TEXT NOT NULL,
    paid_minor INTEGER NOT NULL,
    forgiven_minor INTEGER NOT NULL,
    closed_by TEXT,
    closed_ms INTEGER,
    closed_reason TEXT,
    PRIMARY KEY (debt)
) WITHOUT ROWID;
CREATE TABLE overpayments (
    payment TEXT NOT NULL,
    ticket TEXT NOT NULL,
    kept_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    till TEXT NOT NULL,
    kept_ms INTEGER NOT NULL,
    returned_till TEXT,
    returned_by TEXT,
    returned_ms INTEGER,
    returned_reason TEXT,
    PRIMARY KEY (payment)
) WITHOUT ROWID;
CREATE TABLE offline_days (
    day TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    PRIMARY KEY (day)
) WITHOUT ROWID;
CREATE TABLE reversals (
    payment TEXT NOT NULL,
    ticket TEXT NOT NULL,
    lane TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    asked_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    counted INTEGER NOT NULL,
    started_ms INTEGER NOT NULL,
    PRIMARY KEY (payment)
) WITHOUT ROWID;
CREATE TABLE fiscal_series (
    series TEXT NOT NULL,
    regime TEXT NOT NULL,
    name TEXT NOT NULL,
    opened_ms INTEGER NOT NULL,
    number INTEGER NOT NULL,
    turnover_minor INTEGER NOT NULL,
    entered_ms INTEGER NOT NULL,
    signed INTEGER NOT NULL,
    last_code TEXT NOT NULL,
    failing INTEGER NOT NULL,
    PRIMARY KEY (series)
) WITHOUT ROWID;
CREATE TABLE fiscal_entries (
    series TEXT NOT NULL,
    number INTEGER NOT NULL,
    what TEXT NOT NULL,
    amount_minor INTEGER NOT NULL,
    currency TEXT NOT NULL,
    turnover_minor INTEGER NOT NULL,
    receipt_series TEXT NOT NULL,
    receipt INTEGER NOT NULL,
    entered_ms INTEGER NOT NULL,
    code TEXT,
    failed TEXT,
    signed_ms INTEGER,
    PRIMARY KEY (series, number)
) WITHOUT ROWID;
CREATE TABLE valet (
    visit TEXT NOT NULL,
    ticket TEXT NOT NULL,
    claim TEXT NOT NULL,
    issue INTEGER NOT NULL,
    tag TEXT NOT NULL,
    vehicle TEXT NOT NULL,
    stand TEXT NOT NULL,
    state TEXT NOT NULL,
    currency TEXT NOT NULL,
    fee_minor INTEGER NOT NULL,
    claim_fee_minor INTEGER NOT NULL,
    notes INTEGER NOT NULL,
    received_by TEXT NOT NULL,
    received_ms INTEGER NOT NULL,
    spot TEXT,
    parked_by TEXT,
    parked_ms INTEGER,
    requested_by TEXT,
    requested_ms INTEGER,
    wanted_ms INTEGER,
    fetched_by TEXT,
    fetched_ms INTEGER,
    ready_by TEXT,
    ready_ms INTEGER,
    returned_by TEXT,
    returned_ms INTEGER,
    returned_how TEXT,
    open INTEGER NOT NULL,
    PRIMARY KEY (visit)
) WITHOUT ROWID;
CREATE TABLE valet_notes (
    visit TEXT NOT NULL,
    number INTEGER NOT NULL,
    moment TEXT NOT NULL,
    note TEXT NOT NULL,
    photos TEXT NOT NULL,
    noted_by TEXT NOT NULL,
    noted_ms INTEGER NOT NULL,
    PRIMARY KEY (visit, number)
) WITHOUT ROWID;
CREATE TABLE valet_claims (
    visit TEXT NOT NULL,
    issue INTEGER NOT NULL,
    claim TEXT NOT NULL,
    proof TEXT NOT NULL,
    issued_by TEXT NOT NULL,
    issued_ms INTEGER NOT NULL,
    PRIMARY KEY (visit, issue)
) WITHOUT ROWID;
CREATE TABLE segments (
    ticket TEXT NOT NULL,
    segment INTEGER NOT NULL,
    area TEXT NOT NULL,
    spot TEXT,
    began_ms INTEGER NOT NULL,
    ended_ms INTEGER NOT NULL,
    PRIMARY KEY (ticket, segment)
) WITHOUT ROWID;
