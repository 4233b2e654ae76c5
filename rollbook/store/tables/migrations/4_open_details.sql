-- Details that lack an end, what the client sees, and what was asked for by its id.

-- The details of the newest read have no end, whatever capture has received since.
ALTER TABLE conversations ADD COLUMN details_open INTEGER NOT NULL DEFAULT 0;

-- How old the read is that the participant attributes come from.
ALTER TABLE conversations ADD COLUMN attributes_at TEXT;
UPDATE conversations SET details_open = 1 WHERE details IS NOT NULL AND (conversation_end IS NULL OR
    (conversation_end = heard_end AND json_valid(details) AND json_extract(details, '$.conversationEnd') IS NULL));
UPDATE conversations SET attributes_at = read_at WHERE conversation_id IN (SELECT DISTINCT conversation_id FROM
    participant_attributes);
CREATE INDEX conversations_details_open ON conversations (conversation_start) WHERE details_open = 1;
CREATE INDEX conversations_followed ON conversations (conversation_id) WHERE followed IS NOT NULL;

-- What the client saw that proved the window.
ALTER TABLE windows ADD COLUMN divisions_json TEXT;
UPDATE windows SET divisions_json = (SELECT divisions_json FROM window_runs AS run WHERE run.start = windows.start
    AND run."end" = windows."end" AND run.filter = windows.filter AND run.verdict IN ('open', 'complete', 'settled')
    ORDER BY run_id DESC LIMIT 1);

-- When a conversation was last asked for by its id; since when the answers lack it; why it is refused.
CREATE TABLE asked_by_id (
    conversation_id TEXT PRIMARY KEY, asked_at TEXT NOT NULL, absent_since TEXT, refused TEXT
) WITHOUT ROWID;
