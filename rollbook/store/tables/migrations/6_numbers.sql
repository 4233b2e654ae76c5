-- Each conversation has a number, and what belongs to it is found by that: rows are appended, not spread.
--
-- For a store without rows. One that has rows is moved to a new file (rollbook/store/file/move.py).
-- A conversation's child rows have ids that begin with its number: number << 20 | place. The place is the position of
-- participants, evaluations, surveys and resolutions; of the others a running number over the conversation. The names
-- that people read are views, which say conversation_id as they always did.

DROP TABLE participants;
DROP TABLE sessions;
DROP TABLE segments;
DROP TABLE metrics;
DROP TABLE media_endpoint_stats;
DROP TABLE flows;
DROP TABLE flow_outcomes;
DROP TABLE evaluations;
DROP TABLE surveys;
DROP TABLE resolutions;
DROP TABLE gaps;
DROP TABLE events;
DROP TABLE participant_attributes;
DROP TABLE conversation_versions;
DROP TABLE conversations;

-- Every conversation id that anything in the store names, once. number: in the order in which they came.
CREATE TABLE conversation_ids (number INTEGER PRIMARY KEY, conversation_id TEXT NOT NULL UNIQUE);

-- The columns are explained where the first version has them. read_at: null until there are details.
CREATE TABLE conversation_rows (
    number INTEGER PRIMARY KEY, conversation_start TEXT, conversation_end TEXT, originating_direction TEXT,
    media_types TEXT, division_ids TEXT, mos REAL, r_factor REAL, provenance TEXT NOT NULL,
    first_seen_at TEXT NOT NULL, reconciled_at TEXT, read_at TEXT, heard_end TEXT, last_heard TEXT,
    look_again INTEGER NOT NULL DEFAULT 0, followed TEXT, details_open INTEGER NOT NULL DEFAULT 0, attributes_at TEXT
);
CREATE INDEX conversation_rows_start ON conversation_rows (conversation_start);
CREATE INDEX conversation_rows_unplaced ON conversation_rows (first_seen_at) WHERE conversation_start IS NULL;
CREATE INDEX conversation_rows_look_again ON conversation_rows (number) WHERE look_again = 1;
CREATE INDEX conversation_rows_live ON conversation_rows (conversation_start) WHERE provenance = 'live';
CREATE INDEX conversation_rows_details_open ON conversation_rows (conversation_start) WHERE details_open = 1;
CREATE INDEX conversation_rows_followed ON conversation_rows (number) WHERE followed IS NOT NULL;
CREATE INDEX conversation_rows_provenance ON conversation_rows (provenance);

-- What packed bodies are packed with. dictionary_id: the number that each frame has in its header.
CREATE TABLE dictionaries (
    dictionary_id INTEGER PRIMARY KEY, kind TEXT NOT NULL, made_at TEXT NOT NULL, body BLOB NOT NULL
);

-- Apart from the conversation, so that an event rewrites 230 bytes and not 16 KB. details: TEXT is the API's JSON, a
-- BLOB is that as a zstd frame.
CREATE TABLE detail_rows (number INTEGER PRIMARY KEY, details NOT NULL);
CREATE TABLE version_rows (
    number INTEGER NOT NULL, read_at TEXT NOT NULL, replaced_at TEXT NOT NULL, details NOT NULL,
    PRIMARY KEY (number, read_at)
);
CREATE TABLE attribute_rows (
    number INTEGER NOT NULL, participant_id TEXT NOT NULL, name TEXT NOT NULL, value TEXT,
    PRIMARY KEY (number, participant_id, name)
) WITHOUT ROWID;
CREATE TABLE gap_rows (
    number INTEGER NOT NULL, kind TEXT NOT NULL, window_start TEXT NOT NULL, cause TEXT NOT NULL,
    detected_at TEXT NOT NULL, filled_at TEXT,
    PRIMARY KEY (number, kind)
) WITHOUT ROWID;
CREATE INDEX gap_rows_window ON gap_rows (window_start);

-- Texts that come again and again, once: topics, sources, queues' ids.
CREATE TABLE texts (text_id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);

-- topic: a text_id; below zero, that of a text in which {id} stands for the conversation's. body: as details are.
CREATE TABLE event_rows (
    event_id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, number INTEGER, event_time TEXT, received_at TEXT NOT NULL,
    source INTEGER NOT NULL, body NOT NULL, identity BLOB NOT NULL
);
CREATE UNIQUE INDEX event_rows_identity ON event_rows (identity);
CREATE INDEX event_rows_number ON event_rows (number) WHERE number IS NOT NULL;
CREATE INDEX event_rows_received ON event_rows (received_at);

-- participant, session: the place of the row that it belongs to. queue: a text_id.
CREATE TABLE participant_rows (
    id INTEGER PRIMARY KEY, participant_id TEXT, participant_name TEXT, purpose TEXT, user_id TEXT, team_id TEXT,
    external_contact_id TEXT, external_organization_id TEXT, flagged_reason TEXT, screen_recording INTEGER
);
CREATE TABLE session_rows (
    id INTEGER PRIMARY KEY, participant INTEGER NOT NULL, position INTEGER NOT NULL, session_id TEXT, media_type TEXT,
    direction TEXT, provider TEXT, peer_id TEXT, active_skill_ids TEXT, acw_skipped INTEGER, address_from TEXT,
    address_other TEXT, address_self TEXT, address_to TEXT, agent_assistant_id TEXT, agent_bullseye_ring INTEGER,
    agent_groups TEXT, agent_owned INTEGER, ani TEXT, assigner_id TEXT, authenticated INTEGER,
    barged_participant_id TEXT, bcc TEXT, callback_numbers TEXT, callback_scheduled_time TEXT, callback_user_name TEXT,
    cc TEXT, cleared INTEGER, coached_participant_id TEXT, cobrowse_role TEXT, cobrowse_room_id TEXT,
    delivery_pushed INTEGER, delivery_status TEXT, delivery_status_change_date TEXT, destination_addresses TEXT,
    detected_speech_end TEXT, detected_speech_start TEXT, disposition_analyzer TEXT, disposition_name TEXT, dnis TEXT,
    edge_id TEXT, eligible_agent_counts TEXT, engagement_source TEXT, error_code_description TEXT,
    extended_delivery_status TEXT, flow_in_type TEXT, flow_out_type TEXT, journey_action_id TEXT,
    journey_action_map_id TEXT, journey_action_map_version INTEGER, journey_customer_id TEXT,
    journey_customer_id_type TEXT, journey_customer_session_id TEXT, journey_customer_session_id_type TEXT,
    media_bridge_id TEXT, media_count INTEGER, message_type TEXT, monitored_participant_id TEXT,
    outbound_campaign_id TEXT, outbound_contact_id TEXT, outbound_contact_list_id TEXT, proposed_agents TEXT,
    protocol_call_id TEXT, recording INTEGER, remote TEXT, remote_name_displayable TEXT, removed_skill_ids TEXT,
    requested_routings TEXT, room_id TEXT, routing_ring INTEGER, routing_rule TEXT, routing_rule_type TEXT,
    screen_monitored_user_id TEXT, screen_share_address_self TEXT, screen_share_room_id TEXT, script_id TEXT,
    selected_agent_id TEXT, selected_agent_rank INTEGER, session_dnis TEXT, sharing_screen INTEGER,
    skill_expression_id TEXT, skip_enabled INTEGER, snippet_recording INTEGER, timeout_seconds INTEGER,
    used_routing TEXT, video_address_self TEXT, video_room_id TEXT, waiting_interaction_counts TEXT
);
CREATE TABLE segment_rows (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, position INTEGER NOT NULL, segment_start TEXT, segment_end TEXT,
    segment_type TEXT, queue INTEGER, disconnect_type TEXT, wrap_up_code TEXT, wrap_up_note TEXT, wrap_up_tags TEXT,
    conference INTEGER, audio_muted INTEGER, video_muted INTEGER, destination_conversation_id TEXT,
    destination_session_id TEXT, error_code TEXT, group_id TEXT, properties TEXT, q850_response_codes TEXT,
    requested_language_id TEXT, requested_routing_skill_ids TEXT, requested_routing_user_ids TEXT, scored_agents TEXT,
    sip_response_codes TEXT, source_conversation_id TEXT, source_session_id TEXT, subject TEXT
);
CREATE TABLE metric_rows (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, position INTEGER NOT NULL, name TEXT, value INTEGER,
    emit_date TEXT
);
CREATE TABLE media_endpoint_stat_rows (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, position INTEGER NOT NULL, event_time TEXT, min_mos REAL,
    min_r_factor REAL, max_latency_ms INTEGER, codecs TEXT, discarded_packets INTEGER, duplicate_packets INTEGER,
    invalid_packets INTEGER, overrun_packets INTEGER, received_packets INTEGER, underrun_packets INTEGER
);
CREATE TABLE flow_rows (
    id INTEGER PRIMARY KEY, flow_id TEXT, flow_name TEXT, flow_type TEXT, flow_version TEXT, entry_type TEXT,
    entry_reason TEXT, exit_reason TEXT, starting_language TEXT, ending_language TEXT, issued_callback INTEGER,
    recognition_failure_reason TEXT, transfer_type TEXT, transfer_target_address TEXT, transfer_target_name TEXT
);
CREATE TABLE flow_outcome_rows (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, position INTEGER NOT NULL, flow_outcome_id TEXT,
    flow_outcome TEXT, flow_outcome_value TEXT, flow_outcome_start_timestamp TEXT, flow_outcome_end_timestamp TEXT
);
CREATE TABLE evaluation_rows (
    id INTEGER PRIMARY KEY, evaluation_id TEXT, evaluation_status TEXT, evaluator_id TEXT, user_id TEXT, queue_id TEXT,
    form_id TEXT, form_name TEXT, context_id TEXT, calibration_id TEXT, assignee_id TEXT, assignee_applicable INTEGER,
    event_time TEXT, released INTEGER, rescored INTEGER, deleted INTEGER, system_submitted INTEGER, o_total_score REAL,
    o_total_critical_score REAL
);
CREATE TABLE survey_rows (
    id INTEGER PRIMARY KEY, survey_id TEXT, survey_status TEXT, survey_type TEXT, survey_form_id TEXT,
    survey_form_name TEXT, survey_form_context_id TEXT, survey_completed_date TEXT, survey_partial_response INTEGER,
    survey_promoter_score INTEGER, o_survey_total_score REAL, event_time TEXT, queue_id TEXT, user_id TEXT
);
CREATE TABLE resolution_rows (
    id INTEGER PRIMARY KEY, event_time TEXT, queue_id TEXT, user_id TEXT, n_next_contact_avoided INTEGER
);
CREATE INDEX segment_rows_queue ON segment_rows (queue) WHERE queue IS NOT NULL;
CREATE INDEX segment_rows_start ON segment_rows (segment_start);

-- The names that people read. Without the likelihoods SQLite takes a conversation's rows for a 64th of the table, and
-- scans all of it for a stretch of time; with smaller ones it loses a bound, or the index that a LEFT JOIN needs.
-- Parents' ids and positions are subqueries: who does not ask for them does not pay. What is computed is cast: a column
-- compares as it did.
-- rowid: where a view has BLOBs, Datasette links each by the row's number, and fails where there is none.
CREATE VIEW conversations AS SELECT
    i.conversation_id, c.conversation_start, c.conversation_end, c.originating_direction, c.media_types,
    c.division_ids, c.mos, c.r_factor, c.provenance, c.first_seen_at, c.reconciled_at, c.read_at,
    c.heard_end, c.last_heard, c.look_again, c.followed, d.details, c.details_open, c.attributes_at,
    c.number AS rowid
FROM conversation_rows c JOIN conversation_ids i ON i.number = c.number LEFT JOIN detail_rows d ON d.number = c.number;
CREATE VIEW conversation_versions AS SELECT i.conversation_id, v.read_at, v.replaced_at, v.details, v.rowid AS rowid
FROM version_rows v JOIN conversation_ids i ON i.number = v.number;
CREATE VIEW participant_attributes AS SELECT i.conversation_id, a.participant_id, a.name, a.value
FROM attribute_rows a JOIN conversation_ids i ON i.number = a.number;
CREATE VIEW events AS SELECT
    e.event_id, CAST((SELECT CASE WHEN e.topic < 0 THEN replace(text, '{id}', i.conversation_id) ELSE text END
    FROM texts WHERE text_id = abs(e.topic)) AS TEXT) AS topic, i.conversation_id, e.event_time, e.received_at,
    (SELECT text FROM texts WHERE text_id = e.source) AS source, e.body, e.identity,
    e.event_id AS rowid
FROM event_rows e LEFT JOIN conversation_ids i ON i.number = e.number;
CREATE VIEW gaps AS SELECT i.conversation_id, g.window_start, g.kind, g.cause, g.detected_at, g.filled_at
FROM gap_rows g JOIN conversation_ids i ON i.number = g.number;
CREATE VIEW participants AS SELECT
    i.conversation_id, CAST(t.id & 1048575 AS INTEGER) AS position, t.participant_id, t.participant_name, t.purpose,
    t.user_id, t.team_id, t.external_contact_id, t.external_organization_id, t.flagged_reason, t.screen_recording
FROM participant_rows t JOIN conversation_ids i ON i.number = t.id >> 20
    AND likelihood(t.id >= i.number << 20, 0.01) AND likelihood(t.id <= (i.number << 20) + 1048575, 0.01);
CREATE VIEW sessions AS SELECT
    i.conversation_id, t.participant AS participant_position, t.position,
    (SELECT participant_id FROM participant_rows WHERE id = (t.id & ~1048575) | t.participant) AS participant_id,
    t.session_id, t.media_type, t.direction, t.provider, t.peer_id, t.active_skill_ids, t.acw_skipped, t.address_from,
    t.address_other, t.address_self, t.address_to, t.agent_assistant_id, t.agent_bullseye_ring, t.agent_groups,
    t.agent_owned, t.ani, t.assigner_id, t.authenticated, t.barged_participant_id, t.bcc, t.callback_numbers,
    t.callback_scheduled_time, t.callback_user_name, t.cc, t.cleared, t.coached_participant_id, t.cobrowse_role,
    t.cobrowse_room_id, t.delivery_pushed, t.delivery_status, t.delivery_status_change_date, t.destination_addresses,
    t.detected_speech_end, t.detected_speech_start, t.disposition_analyzer, t.disposition_name, t.dnis, t.edge_id,
    t.eligible_agent_counts, t.engagement_source, t.error_code_description, t.extended_delivery_status, t.flow_in_type,
    t.flow_out_type, t.journey_action_id, t.journey_action_map_id, t.journey_action_map_version, t.journey_customer_id,
    t.journey_customer_id_type, t.journey_customer_session_id, t.journey_customer_session_id_type, t.media_bridge_id,
    t.media_count, t.message_type, t.monitored_participant_id, t.outbound_campaign_id, t.outbound_contact_id,
    t.outbound_contact_list_id, t.proposed_agents, t.protocol_call_id, t.recording, t.remote,
    t.remote_name_displayable, t.removed_skill_ids, t.requested_routings, t.room_id, t.routing_ring, t.routing_rule,
    t.routing_rule_type, t.screen_monitored_user_id, t.screen_share_address_self, t.screen_share_room_id, t.script_id,
    t.selected_agent_id, t.selected_agent_rank, t.session_dnis, t.sharing_screen, t.skill_expression_id,
    t.skip_enabled, t.snippet_recording, t.timeout_seconds, t.used_routing, t.video_address_self, t.video_room_id,
    t.waiting_interaction_counts
FROM session_rows t JOIN conversation_ids i ON i.number = t.id >> 20
    AND likelihood(t.id >= i.number << 20, 0.01) AND likelihood(t.id <= (i.number << 20) + 1048575, 0.01);
CREATE VIEW segments AS SELECT
    i.conversation_id,
    (SELECT participant FROM session_rows WHERE id = (t.id & ~1048575) | t.session) AS participant_position,
    (SELECT position FROM session_rows WHERE id = (t.id & ~1048575) | t.session) AS session_position, t.position,
    (SELECT p.participant_id FROM session_rows s JOIN participant_rows p
    ON p.id = (t.id & ~1048575) | s.participant WHERE s.id = (t.id & ~1048575) | t.session) AS participant_id,
    (SELECT session_id FROM session_rows WHERE id = (t.id & ~1048575) | t.session) AS session_id, t.segment_start,
    t.segment_end, t.segment_type, q.text AS queue_id, t.disconnect_type, t.wrap_up_code, t.wrap_up_note,
    t.wrap_up_tags, t.conference, t.audio_muted, t.video_muted, t.destination_conversation_id,
    t.destination_session_id, t.error_code, t.group_id, t.properties, t.q850_response_codes, t.requested_language_id,
    t.requested_routing_skill_ids, t.requested_routing_user_ids, t.scored_agents, t.sip_response_codes,
    t.source_conversation_id, t.source_session_id, t.subject
FROM segment_rows t JOIN conversation_ids i ON i.number = t.id >> 20
    AND likelihood(t.id >= i.number << 20, 0.01) AND likelihood(t.id <= (i.number << 20) + 1048575, 0.01)
    LEFT JOIN texts q ON q.text_id = t.queue;
CREATE VIEW metrics AS SELECT
    i.conversation_id,
    (SELECT participant FROM session_rows WHERE id = (t.id & ~1048575) | t.session) AS participant_position,
    (SELECT position FROM session_rows WHERE id = (t.id & ~1048575) | t.session) AS session_position, t.position,
    (SELECT p.participant_id FROM session_rows s JOIN participant_rows p
    ON p.id = (t.id & ~1048575) | s.participant WHERE s.id = (t.id & ~1048575) | t.session) AS participant_id,
    (SELECT session_id FROM session_rows WHERE id = (t.id & ~1048575) | t.session) AS session_id, t.name, t.value,
    t.emit_date
FROM metric_rows t JOIN conversation_ids i ON i.number = t.id >> 20
    AND likelihood(t.id >= i.number << 20, 0.01) AND likelihood(t.id <= (i.number << 20) + 1048575, 0.01);
CREATE VIEW media_endpoint_stats AS SELECT
    i.conversation_id,
    (SELECT participant FROM session_rows WHERE id = (t.id & ~1048575) | t.session) AS participant_position,
    (SELECT position FROM session_rows WHERE id = (t.id & ~1048575) | t.session) AS session_position, t.position,
    (SELECT p.participant_id FROM session_rows s JOIN participant_rows p
    ON p.id = (t.id & ~1048575) | s.participant WHERE s.id = (t.id & ~1048575) | t.session) AS participant_id,
    (SELECT session_id FROM session_rows WHERE id = (t.id & ~1048575) | t.session) AS session_id, t.event_time,
    t.min_mos, t.min_r_factor, t.max_latency_ms, t.codecs, t.discarded_packets, t.duplicate_packets, t.invalid_packets,
    t.overrun_packets, t.received_packets, t.underrun_packets
FROM media_endpoint_stat_rows t JOIN conversation_ids i ON i.number = t.id >> 20
    AND likelihood(t.id >= i.number << 20, 0.01) AND likelihood(t.id <= (i.number << 20) + 1048575, 0.01);
CREATE VIEW flows AS SELECT
    i.conversation_id,
    (SELECT participant FROM session_rows WHERE id = (t.id & ~1048575) | (t.id & 1048575)) AS participant_position,
    (SELECT position FROM session_rows WHERE id = (t.id & ~1048575) | (t.id & 1048575)) AS session_position,
    (SELECT p.participant_id FROM session_rows s JOIN participant_rows p
    ON p.id = (t.id & ~1048575) | s.participant WHERE s.id = (t.id & ~1048575) | (t.id & 1048575)) AS participant_id,
    (SELECT session_id FROM session_rows WHERE id = (t.id & ~1048575) | (t.id & 1048575)) AS session_id, t.flow_id,
    t.flow_name, t.flow_type, t.flow_version, t.entry_type, t.entry_reason, t.exit_reason, t.starting_language,
    t.ending_language, t.issued_callback, t.recognition_failure_reason, t.transfer_type, t.transfer_target_address,
    t.transfer_target_name
FROM flow_rows t JOIN conversation_ids i ON i.number = t.id >> 20
    AND likelihood(t.id >= i.number << 20, 0.01) AND likelihood(t.id <= (i.number << 20) + 1048575, 0.01);
CREATE VIEW flow_outcomes AS SELECT
    i.conversation_id,
    (SELECT participant FROM session_rows WHERE id = (t.id & ~1048575) | t.session) AS participant_position,
    (SELECT position FROM session_rows WHERE id = (t.id & ~1048575) | t.session) AS session_position, t.position,
    (SELECT p.participant_id FROM session_rows s JOIN participant_rows p
    ON p.id = (t.id & ~1048575) | s.participant WHERE s.id = (t.id & ~1048575) | t.session) AS participant_id,
    (SELECT session_id FROM session_rows WHERE id = (t.id & ~1048575) | t.session) AS session_id, t.flow_outcome_id,
    t.flow_outcome, t.flow_outcome_value, t.flow_outcome_start_timestamp, t.flow_outcome_end_timestamp
FROM flow_outcome_rows t JOIN conversation_ids i ON i.number = t.id >> 20
    AND likelihood(t.id >= i.number << 20, 0.01) AND likelihood(t.id <= (i.number << 20) + 1048575, 0.01);
CREATE VIEW evaluations AS SELECT
    i.conversation_id, CAST(t.id & 1048575 AS INTEGER) AS position, t.evaluation_id, t.evaluation_status,
    t.evaluator_id, t.user_id, t.queue_id, t.form_id, t.form_name, t.context_id, t.calibration_id, t.assignee_id,
    t.assignee_applicable, t.event_time, t.released, t.rescored, t.deleted, t.system_submitted, t.o_total_score,
    t.o_total_critical_score
FROM evaluation_rows t JOIN conversation_ids i ON i.number = t.id >> 20
    AND likelihood(t.id >= i.number << 20, 0.01) AND likelihood(t.id <= (i.number << 20) + 1048575, 0.01);
CREATE VIEW surveys AS SELECT
    i.conversation_id, CAST(t.id & 1048575 AS INTEGER) AS position, t.survey_id, t.survey_status, t.survey_type,
    t.survey_form_id, t.survey_form_name, t.survey_form_context_id, t.survey_completed_date, t.survey_partial_response,
    t.survey_promoter_score, t.o_survey_total_score, t.event_time, t.queue_id, t.user_id
FROM survey_rows t JOIN conversation_ids i ON i.number = t.id >> 20
    AND likelihood(t.id >= i.number << 20, 0.01) AND likelihood(t.id <= (i.number << 20) + 1048575, 0.01);
CREATE VIEW resolutions AS SELECT
    i.conversation_id, CAST(t.id & 1048575 AS INTEGER) AS position, t.event_time, t.queue_id, t.user_id,
    t.n_next_contact_avoided
FROM resolution_rows t JOIN conversation_ids i ON i.number = t.id >> 20
    AND likelihood(t.id >= i.number << 20, 0.01) AND likelihood(t.id <= (i.number << 20) + 1048575, 0.01);
