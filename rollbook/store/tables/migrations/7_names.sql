-- Names for ids.
--
-- names: what an id was called when. The rows of an id follow each other without a hole: the first is valid from 1970,
-- because what it was called before it was first listed nobody can say; the last has no valid_to. A name that changed
-- and a state that changed begin a row. seen_at: the last listing that showed it so; between the seen_at and the
-- valid_to of a row it may have had the next row's name already. missing_since: the first whole listing that lacked it,
-- until one shows it again or another lacks it too. division_id, site_id: as they were listed last.
CREATE TABLE names (
    kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, valid_from TEXT NOT NULL, valid_to TEXT,
    state TEXT NOT NULL, seen_at TEXT NOT NULL, division_id TEXT, site_id TEXT, missing_since TEXT,
    PRIMARY KEY (kind, id, valid_from)
) WITHOUT ROWID;

-- Every id that details name, once. asked_at: when its name was last asked for by itself.
CREATE TABLE ids_met (
    kind TEXT NOT NULL, id TEXT NOT NULL, asked_at TEXT,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;

-- The last listing of each kind. listed_at: of the last that came; whole: whether it was all there is; trouble: why the
-- last try brought none; permission: the one that it lacked.
CREATE TABLE name_listings (
    kind TEXT PRIMARY KEY, tried_at TEXT NOT NULL, listed_at TEXT, whole INTEGER, entities INTEGER, trouble TEXT,
    permission TEXT
) WITHOUT ROWID;

CREATE VIEW names_now AS SELECT kind, id, name, state, seen_at, division_id, site_id FROM names WHERE valid_to IS NULL;
-- Each change: after the last listing that showed the old name, and before the time from which the new one counts.
CREATE VIEW name_changes AS SELECT o.kind, o.id, o.name AS old_name, n.name AS new_name, n.state, o.seen_at AS changed_after,
    o.valid_to AS changed_before
FROM names o JOIN names n ON n.kind = o.kind AND n.id = o.id AND n.valid_from = o.valid_to;
CREATE VIEW unnamed_ids AS SELECT kind, id, asked_at FROM ids_met m
WHERE NOT EXISTS (SELECT 1 FROM names n WHERE n.kind = m.kind AND n.id = m.id);

-- What a store has already.
INSERT OR IGNORE INTO ids_met (kind, id)
WITH found (kind, id) AS (
    SELECT 'user', user_id FROM participant_rows UNION SELECT 'team', team_id FROM participant_rows
    UNION SELECT 'edge', edge_id FROM session_rows
    UNION SELECT 'user', selected_agent_id FROM session_rows UNION SELECT 'user', assigner_id FROM session_rows
    UNION SELECT 'skill', e.value FROM session_rows s,
    json_each(CASE WHEN json_valid(s.active_skill_ids) THEN s.active_skill_ids ELSE '[]' END) e
    UNION SELECT 'skill', e.value FROM session_rows s,
    json_each(CASE WHEN json_valid(s.removed_skill_ids) THEN s.removed_skill_ids ELSE '[]' END) e
    UNION SELECT 'queue', text FROM texts WHERE text_id IN (SELECT queue FROM segment_rows WHERE queue IS NOT NULL)
    UNION SELECT 'wrapupcode', wrap_up_code FROM segment_rows
    UNION SELECT 'language', requested_language_id FROM segment_rows
    UNION SELECT 'skill', e.value FROM segment_rows s,
    json_each(CASE WHEN json_valid(s.requested_routing_skill_ids) THEN s.requested_routing_skill_ids ELSE '[]' END) e
    UNION SELECT 'user', e.value FROM segment_rows s,
    json_each(CASE WHEN json_valid(s.requested_routing_user_ids) THEN s.requested_routing_user_ids ELSE '[]' END) e
    UNION SELECT 'flow', flow_id FROM flow_rows
    UNION SELECT 'user', evaluator_id FROM evaluation_rows UNION SELECT 'user', user_id FROM evaluation_rows
    UNION SELECT 'user', assignee_id FROM evaluation_rows UNION SELECT 'queue', queue_id FROM evaluation_rows
    UNION SELECT 'user', user_id FROM survey_rows UNION SELECT 'queue', queue_id FROM survey_rows
    UNION SELECT 'user', user_id FROM resolution_rows UNION SELECT 'queue', queue_id FROM resolution_rows
    UNION SELECT 'division', e.value FROM conversation_rows c,
    json_each(CASE WHEN json_valid(c.division_ids) THEN c.division_ids ELSE '[]' END) e
    WHERE EXISTS (SELECT 1 FROM detail_rows d WHERE d.number = c.number)
)
SELECT kind, id FROM found WHERE typeof(id) = 'text' AND id <> '';
-- Codes that are words are their own names, whether or not a listing ever shows them.
INSERT OR IGNORE INTO names (kind, id, name, valid_from, state, seen_at)
SELECT kind, id, id, '1970-01-01T00:00:00.000Z', 'active', '1970-01-01T00:00:00.000Z' FROM ids_met
WHERE kind = 'wrapupcode' AND id NOT GLOB '????????-????-????-????-????????????';
