-- A payment can be refunded in part; a machine can keep what it cannot give back; a terminal can approve without its issuer.
ALTER TABLE payments ADD COLUMN refunded_minor INTEGER NOT NULL DEFAULT 0;
ALTER TABLE payments ADD COLUMN kept_minor INTEGER NOT NULL DEFAULT 0;
ALTER TABLE payments ADD COLUMN offline INTEGER NOT NULL DEFAULT 0;
UPDATE payments SET refunded_minor = amount_minor WHERE state = 'REFUNDED';
