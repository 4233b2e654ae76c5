-- A reading that was cut short is gone on with.

-- How far a reading has come that was cut short (rollbook/store/tables/unfinished_readings.py); empty when nothing is
-- being read.
CREATE TABLE unfinished_readings (
    start TEXT NOT NULL, "end" TEXT NOT NULL, filter TEXT NOT NULL, via TEXT NOT NULL, number INTEGER NOT NULL,
    at TEXT NOT NULL, entry BLOB NOT NULL,
    PRIMARY KEY (start, "end", filter, via, number)
) WITHOUT ROWID;
