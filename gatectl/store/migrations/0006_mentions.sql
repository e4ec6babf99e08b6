-- Which records name a ticket or a lane ("ticket 000123-K7QF", "lane IN-1"), so that a question about one reads only those.
-- Made from the journal's bodies alone; `gatectl mirror rebuild` makes it again.
CREATE TABLE mentions (
    what     TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (what, position)
) WITHOUT ROWID;
INSERT OR IGNORE INTO mentions (what, position)
    SELECT 'ticket ' || member.value, journal.position
    FROM journal, json_each(CASE WHEN json_valid(CAST(body AS TEXT)) THEN CAST(body AS TEXT) ELSE '{}' END) AS member
    WHERE member.key IN ('ticket', 'replacement', 'other') AND member.type = 'text' AND member.value GLOB '[0-9][0-9][0-9][0-9][0-9][0-9]*-????';
INSERT OR IGNORE INTO mentions (what, position)
    SELECT 'lane ' || member.value, journal.position
    FROM journal, json_each(CASE WHEN json_valid(CAST(body AS TEXT)) THEN CAST(body AS TEXT) ELSE '{}' END) AS member
    WHERE member.key = 'lane' AND member.type = 'text' AND member.value <> '';
