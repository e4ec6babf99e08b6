-- One row while the office does not answer: a start during the outage must still record its end.
CREATE TABLE office_lost (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    why      TEXT NOT NULL,
    since_ms INTEGER NOT NULL
);
