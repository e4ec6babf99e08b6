-- What demand made of a ticket's price, fixed at entry: prices times demand_percent / 100, because demand_taken of demand_spots
-- spots were taken.
ALTER TABLE tickets ADD COLUMN demand_percent INTEGER NOT NULL DEFAULT 100;
ALTER TABLE tickets ADD COLUMN demand_taken INTEGER;
ALTER TABLE tickets ADD COLUMN demand_spots INTEGER;
