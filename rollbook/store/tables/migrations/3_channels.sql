-- The channels of an earlier run are known to the next.

-- Until when each channel lives that live capture has made (rollbook/store/tables/channels.py).
CREATE TABLE channels (expires_at TEXT NOT NULL);
