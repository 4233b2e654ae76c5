-- Notes of the store about itself, and how large it was at each hour.

-- needs: the version of rollbook that has made the newest of these tables.
CREATE TABLE store_notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;

-- bytes: the file without its log; unused: those of its pages that nothing uses. log_bytes: the write-ahead log.
-- disk_free: what was left on the disk. parts: bytes by table and index, JSON; null where they were not counted.
CREATE TABLE store_sizes (
    measured_at TEXT PRIMARY KEY, bytes INTEGER NOT NULL, unused INTEGER NOT NULL, log_bytes INTEGER NOT NULL,
    disk_free INTEGER NOT NULL, parts TEXT
) WITHOUT ROWID;
