PRAGMA application_id = 1919052593;
PRAGMA user_version = 13;
BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'rollbook','1 the tables','2026-11-28 09:32:15.391006+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'rollbook','2 unfinished readings','2026-11-28 09:32:15.407290+00:00');
INSERT INTO "_sqlite_migrations" VALUES(3,'rollbook','3 channels','2026-11-28 09:32:15.416913+00:00');
INSERT INTO "_sqlite_migrations" VALUES(4,'rollbook','4 open details, what the client sees, what is asked for by id','2026-11-28 09:32:15.423657+00:00');
INSERT INTO "_sqlite_migrations" VALUES(5,'rollbook','5 notes of the store, its sizes','2026-11-28 12:35:47.782981+00:00');
INSERT INTO "_sqlite_migrations" VALUES(6,'rollbook','6 numbers for conversations','2026-11-28 15:20:33.190+00:00');
INSERT INTO "_sqlite_migrations" VALUES(7,'rollbook','7 names for ids','2026-11-28 17:35:37.686413+00:00');
INSERT INTO "_sqlite_migrations" VALUES(8,'rollbook','8 the gate and alerts','2026-11-28 17:35:37.733150+00:00');
INSERT INTO "_sqlite_migrations" VALUES(9,'rollbook','9 views of queues, agents, half hours and days','2026-11-28 17:35:38.079157+00:00');
INSERT INTO "_sqlite_migrations" VALUES(10,'rollbook','10 call quality','2026-11-28 18:48:46.101998+00:00');
INSERT INTO "_sqlite_migrations" VALUES(11,'rollbook','11 what half hours count, by conversation','2026-11-28 19:53:43.001764+00:00');
INSERT INTO "_sqlite_migrations" VALUES(12,'rollbook','12 erasures and tombstones','2026-11-28 20:49:44.890257+00:00');
INSERT INTO "_sqlite_migrations" VALUES(13,'rollbook','13 days without an index of metrics','2026-11-28 22:17:54.358035+00:00');
CREATE TABLE alerts (
    alert_id INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, stream TEXT NOT NULL,
    subject TEXT NOT NULL, at TEXT NOT NULL, data TEXT NOT NULL
);
CREATE TABLE asked_by_id (
    conversation_id TEXT PRIMARY KEY, asked_at TEXT NOT NULL, absent_since TEXT, refused TEXT
) WITHOUT ROWID;
CREATE TABLE attribute_rows (
    number INTEGER NOT NULL, participant_id TEXT NOT NULL, name TEXT NOT NULL, value TEXT,
    PRIMARY KEY (number, participant_id, name)
) WITHOUT ROWID;
INSERT INTO "attribute_rows" VALUES(5,'p1','language','de');
CREATE TABLE channels (expires_at TEXT NOT NULL);
INSERT INTO "channels" VALUES('2026-03-03T10:00:00.000Z');
CREATE TABLE conversation_ids (number INTEGER PRIMARY KEY, conversation_id TEXT NOT NULL UNIQUE);
INSERT INTO "conversation_ids" VALUES(1,'c1');
INSERT INTO "conversation_ids" VALUES(2,'c2');
INSERT INTO "conversation_ids" VALUES(3,'c3');
INSERT INTO "conversation_ids" VALUES(4,'c4');
INSERT INTO "conversation_ids" VALUES(5,'c5');
INSERT INTO "conversation_ids" VALUES(6,'c6');
CREATE TABLE conversation_rows (
    number INTEGER PRIMARY KEY, conversation_start TEXT, conversation_end TEXT, originating_direction TEXT,
    media_types TEXT, division_ids TEXT, mos REAL, r_factor REAL, provenance TEXT NOT NULL,
    first_seen_at TEXT NOT NULL, reconciled_at TEXT, read_at TEXT, heard_end TEXT, last_heard TEXT,
    look_again INTEGER NOT NULL DEFAULT 0, followed TEXT, details_open INTEGER NOT NULL DEFAULT 0, attributes_at TEXT
);
INSERT INTO "conversation_rows" VALUES(1,'2026-03-02T10:05:00.000Z','2026-03-02T10:20:00.000Z','inbound','["voice"]','["d1"]',4.1,NULL,'both','2026-03-02T10:06:00.000Z','2026-03-02T10:46:00.000Z','2026-03-02T10:46:00.000Z',NULL,'2026-03-02T10:06:00.000Z',0,NULL,0,NULL);
INSERT INTO "conversation_rows" VALUES(2,'2026-03-02T10:06:00.000Z',NULL,'inbound','["voice"]','["d1"]',4.2,NULL,'both','2026-03-02T10:06:00.000Z','2026-03-02T10:46:00.000Z','2026-03-02T10:45:00.000Z','2026-03-02T10:06:00.000Z','2026-03-02T10:06:00.000Z',0,NULL,1,NULL);
INSERT INTO "conversation_rows" VALUES(3,'2026-03-02T10:06:00.000Z',NULL,'inbound','["voice"]','[]',NULL,NULL,'live','2026-03-02T10:06:00.000Z',NULL,NULL,NULL,'2026-03-02T10:06:00.000Z',0,NULL,0,NULL);
INSERT INTO "conversation_rows" VALUES(4,'2026-03-02T10:06:00.000Z',NULL,'inbound','["voice"]','[]',NULL,NULL,'live','2026-03-02T10:06:00.000Z',NULL,NULL,NULL,'2026-03-02T10:06:00.000Z',0,NULL,0,NULL);
INSERT INTO "conversation_rows" VALUES(5,'2026-03-02T10:09:00.000Z','2026-03-02T10:20:00.000Z','inbound','["voice"]','["d1"]',4.2,NULL,'reconciled','2026-03-02T10:46:00.000Z','2026-03-02T10:46:00.000Z','2026-03-02T10:45:00.000Z',NULL,NULL,0,NULL,0,'2026-03-02T10:45:00.000Z');
INSERT INTO "conversation_rows" VALUES(6,'2026-03-02T10:10:00.000Z',NULL,'inbound','["voice"]','["d1"]',4.2,NULL,'both','2026-03-02T10:46:00.000Z','2026-03-02T10:46:00.000Z','2026-03-02T10:45:00.000Z','2026-03-02T10:06:00.000Z','2026-03-02T10:06:00.000Z',0,NULL,1,NULL);
CREATE TABLE coverage (
    coverage_id INTEGER PRIMARY KEY, source TEXT NOT NULL, scope TEXT NOT NULL, started_at TEXT NOT NULL,
    ended_at TEXT, end_reason TEXT, alive_at TEXT NOT NULL, topic_set_id INTEGER REFERENCES topic_sets (topic_set_id)
);
INSERT INTO "coverage" VALUES(1,'websocket','queues','2026-03-02T10:00:00.000Z','2026-03-02T10:44:00.000Z','stopped','2026-03-02T10:44:00.000Z',1);
INSERT INTO "coverage" VALUES(2,'websocket','queues','2026-03-02T10:45:00.000Z',NULL,NULL,'2026-03-02T10:45:00.000Z',1);
CREATE TABLE dead_letters (
    dead_letter_id INTEGER PRIMARY KEY, source TEXT NOT NULL, payload TEXT NOT NULL, error TEXT NOT NULL,
    received_at TEXT NOT NULL
);
INSERT INTO "dead_letters" VALUES(1,'websocket','not json','no JSON','2026-03-02T10:07:00.000Z');
CREATE TABLE detail_rows (number INTEGER PRIMARY KEY, details NOT NULL);
INSERT INTO "detail_rows" VALUES(1,'{"conversationId": "c1", "conversationStart": "2026-03-02T10:05:00.000Z", "originatingDirection": "inbound", "divisionIds": ["d1"], "mediaStatsMinConversationMos": 4.1, "participants": [{"participantId": "p1", "purpose": "customer", "sessions": [{"sessionId": "s1", "mediaType": "voice", "segments": [{"segmentStart": "2026-03-02T10:05:00.000Z", "segmentEnd": "2026-03-02T10:20:00.000Z", "segmentType": "interact"}], "metrics": [{"name": "nConnected", "value": 1, "emitDate": "2026-03-02T10:05:00.000Z"}], "mediaEndpointStats": [{"minMos": 4.1, "codecs": ["audio/opus"]}]}]}], "conversationEnd": "2026-03-02T10:20:00.000Z"}');
INSERT INTO "detail_rows" VALUES(2,'{"conversationId": "c2", "conversationStart": "2026-03-02T10:06:00.000Z", "originatingDirection": "inbound", "divisionIds": ["d1"], "mediaStatsMinConversationMos": 4.2, "participants": [{"participantId": "p1", "purpose": "customer", "sessions": [{"sessionId": "s1", "mediaType": "voice", "segments": [{"segmentStart": "2026-03-02T10:06:00.000Z", "segmentEnd": null, "segmentType": "interact"}], "metrics": [{"name": "nConnected", "value": 1, "emitDate": "2026-03-02T10:06:00.000Z"}], "mediaEndpointStats": [{"minMos": 4.2, "codecs": ["audio/opus"]}]}]}]}');
INSERT INTO "detail_rows" VALUES(5,'{"conversationId": "c5", "conversationStart": "2026-03-02T10:09:00.000Z", "originatingDirection": "inbound", "divisionIds": ["d1"], "mediaStatsMinConversationMos": 4.2, "participants": [{"participantId": "p1", "purpose": "customer", "sessions": [{"sessionId": "s1", "mediaType": "voice", "segments": [{"segmentStart": "2026-03-02T10:09:00.000Z", "segmentEnd": "2026-03-02T10:20:00.000Z", "segmentType": "interact"}], "metrics": [{"name": "nConnected", "value": 1, "emitDate": "2026-03-02T10:09:00.000Z"}], "mediaEndpointStats": [{"minMos": 4.2, "codecs": ["audio/opus"]}]}], "attributes": {"language": "de"}}], "conversationEnd": "2026-03-02T10:20:00.000Z"}');
INSERT INTO "detail_rows" VALUES(6,'{"conversationId": "c6", "conversationStart": "2026-03-02T10:10:00.000Z", "originatingDirection": "inbound", "divisionIds": ["d1"], "mediaStatsMinConversationMos": 4.2, "participants": [{"participantId": "p1", "purpose": "customer", "sessions": [{"sessionId": "s1", "mediaType": "voice", "segments": [{"segmentStart": "2026-03-02T10:10:00.000Z", "segmentEnd": null, "segmentType": "interact"}], "metrics": [{"name": "nConnected", "value": 1, "emitDate": "2026-03-02T10:10:00.000Z"}], "mediaEndpointStats": [{"minMos": 4.2, "codecs": ["audio/opus"]}]}]}]}');
CREATE TABLE dictionaries (
    dictionary_id INTEGER PRIMARY KEY, kind TEXT NOT NULL, made_at TEXT NOT NULL, body BLOB NOT NULL
);
CREATE TABLE erasures (
    erasure_id INTEGER PRIMARY KEY, asked_at TEXT NOT NULL, asked_by TEXT NOT NULL, ticket TEXT,
    criteria TEXT NOT NULL, found TEXT, finished_at TEXT, overwritten_at TEXT
);
CREATE TABLE evaluation_rows (
    id INTEGER PRIMARY KEY, evaluation_id TEXT, evaluation_status TEXT, evaluator_id TEXT, user_id TEXT, queue_id TEXT,
    form_id TEXT, form_name TEXT, context_id TEXT, calibration_id TEXT, assignee_id TEXT, assignee_applicable INTEGER,
    event_time TEXT, released INTEGER, rescored INTEGER, deleted INTEGER, system_submitted INTEGER, o_total_score REAL,
    o_total_critical_score REAL
);
CREATE TABLE event_rows (
    event_id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, number INTEGER, event_time TEXT, received_at TEXT NOT NULL,
    source INTEGER NOT NULL, body NOT NULL, identity BLOB NOT NULL
);
INSERT INTO "event_rows" VALUES(1,1,1,'2026-03-02T10:06:00.000Z','2026-03-02T10:06:00.000Z',2,'{"a":1}',X'0000000089962B4745E8CFB05EADB2C0');
INSERT INTO "event_rows" VALUES(2,1,2,'2026-03-02T10:21:00.000Z','2026-03-02T10:06:00.000Z',2,'{"a":2}',X'000000000EA06A467F8C0BC4F041C5BB');
INSERT INTO "event_rows" VALUES(3,1,3,'2026-03-02T10:08:00.000Z','2026-03-02T10:06:00.000Z',2,'{"a":3}',X'00000000DE4353916CF57FAADF67000C');
INSERT INTO "event_rows" VALUES(4,1,4,'2026-03-02T10:09:00.000Z','2026-03-02T10:06:00.000Z',2,'{"a":4}',X'000000006D74757A0DC4EC124F4E1606');
INSERT INTO "event_rows" VALUES(5,1,6,'2026-03-02T10:40:00.000Z','2026-03-02T10:06:00.000Z',2,'{"a":6}',X'00000000B0FDC0541D0481332DE588ED');
CREATE TABLE flow_outcome_rows (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, position INTEGER NOT NULL, flow_outcome_id TEXT,
    flow_outcome TEXT, flow_outcome_value TEXT, flow_outcome_start_timestamp TEXT, flow_outcome_end_timestamp TEXT
);
CREATE TABLE flow_rows (
    id INTEGER PRIMARY KEY, flow_id TEXT, flow_name TEXT, flow_type TEXT, flow_version TEXT, entry_type TEXT,
    entry_reason TEXT, exit_reason TEXT, starting_language TEXT, ending_language TEXT, issued_callback INTEGER,
    recognition_failure_reason TEXT, transfer_type TEXT, transfer_target_address TEXT, transfer_target_name TEXT
);
CREATE TABLE gap_rows (
    number INTEGER NOT NULL, kind TEXT NOT NULL, window_start TEXT NOT NULL, cause TEXT NOT NULL,
    detected_at TEXT NOT NULL, filled_at TEXT,
    PRIMARY KEY (number, kind)
) WITHOUT ROWID;
INSERT INTO "gap_rows" VALUES(1,'changed','2026-03-02T10:00:00.000Z','disconnected','2026-03-02T10:46:00.000Z','2026-03-02T10:46:00.000Z');
INSERT INTO "gap_rows" VALUES(3,'live_only','2026-03-02T10:00:00.000Z','never_listed','2026-03-02T10:46:00.000Z',NULL);
INSERT INTO "gap_rows" VALUES(5,'missing','2026-03-02T10:00:00.000Z','disconnected','2026-03-02T10:46:00.000Z','2026-03-02T10:46:00.000Z');
INSERT INTO "gap_rows" VALUES(6,'missing','2026-03-02T10:00:00.000Z','disconnected','2026-03-02T10:46:00.000Z','2026-03-02T10:46:00.000Z');
CREATE TABLE half_hour_rows (
    id INTEGER PRIMARY KEY, interval_start TEXT, queue INTEGER, media_type TEXT,
    offered INTEGER, answered INTEGER, abandoned INTEGER, short_abandoned INTEGER, flow_outs INTEGER, over_sla INTEGER,
    transferred INTEGER, blind_transferred INTEGER, consult_transferred INTEGER, alerted INTEGER,
    not_responding INTEGER, handled INTEGER, answer_time INTEGER, wait INTEGER, talk INTEGER, hold INTEGER,
    acw INTEGER, handle INTEGER, answer_times INTEGER, abandon_times INTEGER
);
CREATE TABLE ids_met (
    kind TEXT NOT NULL, id TEXT NOT NULL, asked_at TEXT,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
INSERT INTO "ids_met" VALUES('division','d1',NULL);
CREATE TABLE media_endpoint_stat_rows (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, position INTEGER NOT NULL, event_time TEXT, min_mos REAL,
    min_r_factor REAL, max_latency_ms INTEGER, codecs TEXT, discarded_packets INTEGER, duplicate_packets INTEGER,
    invalid_packets INTEGER, overrun_packets INTEGER, received_packets INTEGER, underrun_packets INTEGER
);
INSERT INTO "media_endpoint_stat_rows" VALUES(1048576,0,0,NULL,4.1,NULL,NULL,'["audio/opus"]',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "media_endpoint_stat_rows" VALUES(2097152,0,0,NULL,4.2,NULL,NULL,'["audio/opus"]',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "media_endpoint_stat_rows" VALUES(5242880,0,0,NULL,4.2,NULL,NULL,'["audio/opus"]',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "media_endpoint_stat_rows" VALUES(6291456,0,0,NULL,4.2,NULL,NULL,'["audio/opus"]',NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE metric_rows (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, position INTEGER NOT NULL, name TEXT, value INTEGER,
    emit_date TEXT
);
INSERT INTO "metric_rows" VALUES(1048576,0,0,'nConnected',1,'2026-03-02T10:05:00.000Z');
INSERT INTO "metric_rows" VALUES(2097152,0,0,'nConnected',1,'2026-03-02T10:06:00.000Z');
INSERT INTO "metric_rows" VALUES(5242880,0,0,'nConnected',1,'2026-03-02T10:09:00.000Z');
INSERT INTO "metric_rows" VALUES(6291456,0,0,'nConnected',1,'2026-03-02T10:10:00.000Z');
CREATE TABLE name_listings (
    kind TEXT PRIMARY KEY, tried_at TEXT NOT NULL, listed_at TEXT, whole INTEGER, entities INTEGER, trouble TEXT,
    permission TEXT
) WITHOUT ROWID;
CREATE TABLE names (
    kind TEXT NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, valid_from TEXT NOT NULL, valid_to TEXT,
    state TEXT NOT NULL, seen_at TEXT NOT NULL, division_id TEXT, site_id TEXT, missing_since TEXT,
    PRIMARY KEY (kind, id, valid_from)
) WITHOUT ROWID;
CREATE TABLE organization (id TEXT PRIMARY KEY, name TEXT, first_seen_at TEXT);
INSERT INTO "organization" VALUES('o1','Example',NULL);
CREATE TABLE participant_rows (
    id INTEGER PRIMARY KEY, participant_id TEXT, participant_name TEXT, purpose TEXT, user_id TEXT, team_id TEXT,
    external_contact_id TEXT, external_organization_id TEXT, flagged_reason TEXT, screen_recording INTEGER
);
INSERT INTO "participant_rows" VALUES(1048576,'p1',NULL,'customer',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "participant_rows" VALUES(2097152,'p1',NULL,'customer',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "participant_rows" VALUES(5242880,'p1',NULL,'customer',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "participant_rows" VALUES(6291456,'p1',NULL,'customer',NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE rejected_topics (
    topic TEXT PRIMARY KEY, reason TEXT, missing_permissions TEXT, rejected_at TEXT NOT NULL
);
INSERT INTO "rejected_topics" VALUES('v2.users.u1.conversations','no','[]','2026-03-02T10:01:00.000Z');
CREATE TABLE resolution_rows (
    id INTEGER PRIMARY KEY, event_time TEXT, queue_id TEXT, user_id TEXT, n_next_contact_avoided INTEGER
);
CREATE TABLE segment_rows (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, position INTEGER NOT NULL, segment_start TEXT, segment_end TEXT,
    segment_type TEXT, queue INTEGER, disconnect_type TEXT, wrap_up_code TEXT, wrap_up_note TEXT, wrap_up_tags TEXT,
    conference INTEGER, audio_muted INTEGER, video_muted INTEGER, destination_conversation_id TEXT,
    destination_session_id TEXT, error_code TEXT, group_id TEXT, properties TEXT, q850_response_codes TEXT,
    requested_language_id TEXT, requested_routing_skill_ids TEXT, requested_routing_user_ids TEXT, scored_agents TEXT,
    sip_response_codes TEXT, source_conversation_id TEXT, source_session_id TEXT, subject TEXT
);
INSERT INTO "segment_rows" VALUES(1048576,0,0,'2026-03-02T10:05:00.000Z','2026-03-02T10:20:00.000Z','interact',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "segment_rows" VALUES(2097152,0,0,'2026-03-02T10:06:00.000Z',NULL,'interact',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "segment_rows" VALUES(5242880,0,0,'2026-03-02T10:09:00.000Z','2026-03-02T10:20:00.000Z','interact',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "segment_rows" VALUES(6291456,0,0,'2026-03-02T10:10:00.000Z',NULL,'interact',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "session_rows" VALUES(1048576,0,0,'s1','voice',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "session_rows" VALUES(2097152,0,0,'s1','voice',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "session_rows" VALUES(5242880,0,0,'s1','voice',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "session_rows" VALUES(6291456,0,0,'s1','voice',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE store_notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "store_notes" VALUES('in_log','0');
INSERT INTO "store_notes" VALUES('needs','0.1.0');
CREATE TABLE store_sizes (
    measured_at TEXT PRIMARY KEY, bytes INTEGER NOT NULL, unused INTEGER NOT NULL, log_bytes INTEGER NOT NULL,
    disk_free INTEGER NOT NULL, parts TEXT
) WITHOUT ROWID;
CREATE TABLE survey_rows (
    id INTEGER PRIMARY KEY, survey_id TEXT, survey_status TEXT, survey_type TEXT, survey_form_id TEXT,
    survey_form_name TEXT, survey_form_context_id TEXT, survey_completed_date TEXT, survey_partial_response INTEGER,
    survey_promoter_score INTEGER, o_survey_total_score REAL, event_time TEXT, queue_id TEXT, user_id TEXT
);
CREATE TABLE texts (text_id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
INSERT INTO "texts" VALUES(1,'v2.routing.queues.q1.conversations');
INSERT INTO "texts" VALUES(2,'websocket');
CREATE TABLE tombstones (
    kind TEXT NOT NULL, id TEXT NOT NULL, erasure_id INTEGER NOT NULL, paths TEXT, erased_at TEXT,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE topic_sets (topic_set_id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, topics TEXT NOT NULL);
INSERT INTO "topic_sets" VALUES(1,X'D92724FEF339629D21AF2A567B16C0EB','["v2.routing.queues.q1.conversations"]');
CREATE TABLE unfinished_readings (
    start TEXT NOT NULL, "end" TEXT NOT NULL, filter TEXT NOT NULL, via TEXT NOT NULL, number INTEGER NOT NULL,
    at TEXT NOT NULL, entry BLOB NOT NULL,
    PRIMARY KEY (start, "end", filter, via, number)
) WITHOUT ROWID;
INSERT INTO "unfinished_readings" VALUES('2026-03-02T10:00:00.000Z','2026-03-02T10:30:00.000Z','','query',0,'2026-03-02T10:46:00.000Z',X'7B2270616765223A317D');
CREATE TABLE version_rows (
    number INTEGER NOT NULL, read_at TEXT NOT NULL, replaced_at TEXT NOT NULL, details NOT NULL,
    PRIMARY KEY (number, read_at)
);
INSERT INTO "version_rows" VALUES(1,'2026-03-02T10:45:00.000Z','2026-03-02T10:46:00.000Z','{"conversationId": "c1", "conversationStart": "2026-03-02T10:05:00.000Z", "originatingDirection": "inbound", "divisionIds": ["d1"], "mediaStatsMinConversationMos": 4.2, "participants": [{"participantId": "p1", "purpose": "customer", "sessions": [{"sessionId": "s1", "mediaType": "voice", "segments": [{"segmentStart": "2026-03-02T10:05:00.000Z", "segmentEnd": "2026-03-02T10:20:00.000Z", "segmentType": "interact"}], "metrics": [{"name": "nConnected", "value": 1, "emitDate": "2026-03-02T10:05:00.000Z"}], "mediaEndpointStats": [{"minMos": 4.2, "codecs": ["audio/opus"]}]}]}], "conversationEnd": "2026-03-02T10:20:00.000Z"}');
CREATE TABLE view_settings (
    id INTEGER PRIMARY KEY CHECK (id = 1), time_zone TEXT NOT NULL, include_flow_outs INTEGER NOT NULL,
    include_short_abandons INTEGER NOT NULL, include_abandons INTEGER NOT NULL, short_abandon INTEGER,
    answered_within INTEGER, reach INTEGER NOT NULL
);
INSERT INTO "view_settings" VALUES(1,'UTC',0,1,1,NULL,NULL,86400);
CREATE TABLE window_runs (
    run_id INTEGER PRIMARY KEY, start TEXT NOT NULL, "end" TEXT NOT NULL, filter TEXT NOT NULL DEFAULT '',
    command TEXT NOT NULL, via TEXT NOT NULL, started_at TEXT NOT NULL, finished_at TEXT NOT NULL, as_of TEXT,
    verdict TEXT NOT NULL, reason TEXT, reading TEXT, "passes" INTEGER, "requests" INTEGER,
    "initial_total_hits" INTEGER, "final_total_hits" INTEGER, "unique" INTEGER, "duplicates" INTEGER, "owned" INTEGER,
    "missing" INTEGER, "changed" INTEGER, "unchanged" INTEGER, "ongoing" INTEGER, "live_only" INTEGER,
    "written" INTEGER, seconds REAL, passes_json TEXT, id_digest BLOB, query_json TEXT, divisions_json TEXT
);
INSERT INTO "window_runs" VALUES(1,'2026-03-02T10:00:00.000Z','2026-03-02T10:30:00.000Z','','manual','query','2026-03-02T10:45:00.000Z','2026-03-02T10:45:00.000Z','2026-03-02T10:45:00.000Z','failed','moved','interval',1,NULL,NULL,NULL,2,NULL,2,NULL,NULL,NULL,NULL,NULL,NULL,0.5,'[]',X'31','{}',NULL);
INSERT INTO "window_runs" VALUES(2,'2026-03-02T10:00:00.000Z','2026-03-02T10:30:00.000Z','','manual','query','2026-03-02T10:45:00.000Z','2026-03-02T10:45:00.000Z','2026-03-02T10:45:00.000Z','open',NULL,'interval',1,NULL,NULL,NULL,2,NULL,2,NULL,NULL,NULL,NULL,NULL,NULL,0.5,'[]',X'31','{}','["d1"]');
CREATE TABLE windows (
    start TEXT NOT NULL, "end" TEXT NOT NULL, filter TEXT NOT NULL DEFAULT '', verdict TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, "passes" INTEGER, "requests" INTEGER, "initial_total_hits" INTEGER,
    "final_total_hits" INTEGER, "unique" INTEGER, "duplicates" INTEGER, "owned" INTEGER, "missing" INTEGER,
    "changed" INTEGER, "unchanged" INTEGER, "ongoing" INTEGER, "live_only" INTEGER, "written" INTEGER, seconds REAL,
    reading TEXT, reason TEXT, drift INTEGER NOT NULL DEFAULT 0, first_read_at TEXT, last_read_at TEXT,
    settled_at TEXT, next_try_at TEXT, last_run_at TEXT, proven_by TEXT, divisions_json TEXT,
    PRIMARY KEY (start, "end", filter)
) WITHOUT ROWID;
INSERT INTO "windows" VALUES('2026-03-02T10:00:00.000Z','2026-03-02T10:30:00.000Z','','open',2,1,NULL,NULL,NULL,2,NULL,2,NULL,NULL,NULL,NULL,NULL,NULL,0.5,'interval',NULL,0,'2026-03-02T10:45:00.000Z','2026-03-02T10:45:00.000Z',NULL,NULL,'2026-03-02T10:45:00.000Z',NULL,'["d1"]');
INSERT INTO "windows" VALUES('2026-03-02T10:30:00.000Z','2026-03-02T11:00:00.000Z','','pending',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE zone_offsets (
    starts_at TEXT PRIMARY KEY, local_start TEXT NOT NULL, seconds INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "zone_offsets" VALUES('0000-01-01T00:00:00.000Z','0000-01-01T00:00:00.000Z',0);
CREATE INDEX window_runs_window ON window_runs (start, "end", filter);
CREATE INDEX coverage_started ON coverage (started_at);
CREATE INDEX coverage_unended ON coverage (coverage_id) WHERE ended_at IS NULL;
CREATE INDEX conversation_rows_start ON conversation_rows (conversation_start);
CREATE INDEX conversation_rows_unplaced ON conversation_rows (first_seen_at) WHERE conversation_start IS NULL;
CREATE INDEX conversation_rows_look_again ON conversation_rows (number) WHERE look_again = 1;
CREATE INDEX conversation_rows_live ON conversation_rows (conversation_start) WHERE provenance = 'live';
CREATE INDEX conversation_rows_details_open ON conversation_rows (conversation_start) WHERE details_open = 1;
CREATE INDEX conversation_rows_followed ON conversation_rows (number) WHERE followed IS NOT NULL;
CREATE INDEX conversation_rows_provenance ON conversation_rows (provenance);
CREATE INDEX gap_rows_window ON gap_rows (window_start);
CREATE UNIQUE INDEX event_rows_identity ON event_rows (identity);
CREATE INDEX event_rows_number ON event_rows (number) WHERE number IS NOT NULL;
CREATE INDEX event_rows_received ON event_rows (received_at);
CREATE INDEX segment_rows_queue ON segment_rows (queue) WHERE queue IS NOT NULL;
CREATE INDEX segment_rows_start ON segment_rows (segment_start);
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
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE VIEW names_now AS SELECT kind, id, name, state, seen_at, division_id, site_id FROM names WHERE valid_to IS NULL;
CREATE VIEW name_changes AS SELECT o.kind, o.id, o.name AS old_name, n.name AS new_name, n.state, o.seen_at AS changed_after,
    o.valid_to AS changed_before
FROM names o JOIN names n ON n.kind = o.kind AND n.id = o.id AND n.valid_from = o.valid_to;
CREATE VIEW unnamed_ids AS SELECT kind, id, asked_at FROM ids_met m
WHERE NOT EXISTS (SELECT 1 FROM names n WHERE n.kind = m.kind AND n.id = m.id);
CREATE INDEX windows_verdicts ON windows (filter, start, "end", verdict, last_read_at, last_run_at);
CREATE INDEX windows_failed ON windows (filter, start, "end", last_run_at) WHERE verdict = 'failed';
CREATE INDEX alerts_stream ON alerts (stream, alert_id);
CREATE INDEX zone_offsets_local ON zone_offsets (local_start);
CREATE VIEW leg_metrics AS
SELECT i.conversation_id, s.participant AS participant_position, s.position AS session_position, m.position, p.purpose,
    p.user_id, s.media_type, (
        SELECT text
        FROM texts
        WHERE text_id = coalesce((
                SELECT g.queue
                FROM segment_rows g
                WHERE g.id BETWEEN m.id & ~1048575 AND m.id | 1048575 AND g.session = m.session AND +g.queue IS NOT NULL
                    AND (g.segment_start < m.emit_date OR g.segment_start = m.emit_date AND m.name GLOB 'n*')
                ORDER BY g.id DESC LIMIT 1
            ), (
                SELECT g.queue
                FROM segment_rows g
                WHERE g.id BETWEEN m.id & ~1048575 AND m.id | 1048575 AND g.session = m.session AND +g.queue IS NOT NULL
                ORDER BY g.id LIMIT 1
            ))
    ) AS queue_id, m.name, m.value, m.emit_date, CASE WHEN length(m.emit_date) = 24 THEN substr(m.emit_date, 1, 14) ||
    CASE WHEN substr(m.emit_date, 15, 2) < '30' THEN '00' ELSE '30' END || ':00.000Z' END AS interval_start
FROM metric_rows m
    JOIN conversation_ids i ON i.number = m.id >> 20 AND likelihood(m.id >= i.number << 20, 0.01) AND
    likelihood(m.id <= (i.number << 20) + 1048575, 0.01)
    LEFT JOIN session_rows s ON s.id = (m.id & ~1048575) | m.session
    LEFT JOIN participant_rows p ON p.id = (m.id & ~1048575) | s.participant;
CREATE VIEW ranked_windows AS
SELECT start, "end", last_read_at, last_run_at, CASE WHEN verdict = 'failed' THEN 0 WHEN verdict = 'pending' OR
    last_read_at < "end" THEN 1 WHEN verdict = 'due' THEN 2 WHEN last_read_at IS NULL OR
    last_read_at > (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+5 minutes')) THEN 1 WHEN verdict = 'open' THEN 3 WHEN
    verdict = 'complete' THEN 4 ELSE 5 END AS rank
FROM windows
WHERE filter = '';
CREATE VIEW proven_spans AS
WITH steps AS MATERIALIZED (
        SELECT *
        FROM (
                SELECT start, "end", rank, max(CASE WHEN rank >= 0 THEN "end" END) OVER
                    (ORDER BY start, "end" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS until_0,
                    max(CASE WHEN rank >= 1 THEN "end" END) OVER
                    (ORDER BY start, "end" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS until_1,
                    max(CASE WHEN rank >= 2 THEN "end" END) OVER
                    (ORDER BY start, "end" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS until_2,
                    max(CASE WHEN rank >= 3 THEN "end" END) OVER
                    (ORDER BY start, "end" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS until_3,
                    max(CASE WHEN rank >= 4 THEN "end" END) OVER
                    (ORDER BY start, "end" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS until_4,
                    max(CASE WHEN rank >= 5 THEN "end" END) OVER
                    (ORDER BY start, "end" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS until_5
                FROM ranked_windows
            )
        WHERE rank >= 0 AND coalesce(start > until_0, 1) OR rank >= 1 AND coalesce(start > until_1, 1) OR rank >= 2 AND
            coalesce(start > until_2, 1) OR rank >= 3 AND coalesce(start > until_3, 1) OR rank >= 4 AND
            coalesce(start > until_4, 1) OR rank >= 5 AND coalesce(start > until_5, 1)
    ), latest AS MATERIALIZED (
        SELECT max(CASE WHEN rank >= 0 THEN "end" END) AS until_0, max(CASE WHEN rank >= 1 THEN "end" END) AS until_1,
            max(CASE WHEN rank >= 2 THEN "end" END) AS until_2, max(CASE WHEN rank >= 3 THEN "end" END) AS until_3,
            max(CASE WHEN rank >= 4 THEN "end" END) AS until_4, max(CASE WHEN rank >= 5 THEN "end" END) AS until_5
        FROM ranked_windows
    )
SELECT of AS rank, CASE of WHEN 5 THEN 'settled' WHEN 4 THEN 'complete' WHEN 3 THEN 'open' WHEN 2 THEN 'due' WHEN 1 THEN
    'pending' ELSE 'failed' END AS verdict, start, coalesce(lead(before) OVER (PARTITION BY of ORDER BY start), last) AS
    "end"
FROM (
        SELECT 0 AS of, start, until_0 AS before, (SELECT until_0 FROM latest) AS last
        FROM steps
        WHERE rank >= 0 AND coalesce(start > until_0, 1)
        UNION ALL
        SELECT 1 AS of, start, until_1 AS before, (SELECT until_1 FROM latest) AS last
        FROM steps
        WHERE rank >= 1 AND coalesce(start > until_1, 1)
        UNION ALL
        SELECT 2 AS of, start, until_2 AS before, (SELECT until_2 FROM latest) AS last
        FROM steps
        WHERE rank >= 2 AND coalesce(start > until_2, 1)
        UNION ALL
        SELECT 3 AS of, start, until_3 AS before, (SELECT until_3 FROM latest) AS last
        FROM steps
        WHERE rank >= 3 AND coalesce(start > until_3, 1)
        UNION ALL
        SELECT 4 AS of, start, until_4 AS before, (SELECT until_4 FROM latest) AS last
        FROM steps
        WHERE rank >= 4 AND coalesce(start > until_4, 1)
        UNION ALL
        SELECT 5 AS of, start, until_5 AS before, (SELECT until_5 FROM latest) AS last
        FROM steps
        WHERE rank >= 5 AND coalesce(start > until_5, 1)
    );
CREATE VIEW leg_parts AS
SELECT c.number, i.conversation_id, c.conversation_start, c.conversation_end, s.media_type, s.participant, s.position,
    s.session_id, s.direction, p.purpose, p.user_id, json_extract(l.value, '$[0]') AS session,
    json_extract(l.value, '$[1]') AS queue, json_extract(l.value, '$[2]') AS began, json_extract(l.value, '$[3]') AS
    ended, json_extract(l.value, '$[4]') AS goes_on, json_extract(l.value, '$[5]') AS wrap_up,
    json_extract(l.value, '$[6]') AS alerting, json_extract(l.value, '$[7]') AS connected, json_extract(l.value, '$[8]')
    AS offered_at, json_extract(l.value, '$[9]') AS answered_at, json_extract(l.value, '$[10]') AS offered,
    json_extract(l.value, '$[11]') AS answered, json_extract(l.value, '$[12]') AS abandoned,
    json_extract(l.value, '$[13]') AS flow_outs, json_extract(l.value, '$[14]') AS transferred,
    json_extract(l.value, '$[15]') AS blind_transferred, json_extract(l.value, '$[16]') AS consult_transferred,
    json_extract(l.value, '$[17]') AS alerted, json_extract(l.value, '$[18]') AS not_responding,
    json_extract(l.value, '$[19]') AS handled, json_extract(l.value, '$[20]') AS answer_time,
    json_extract(l.value, '$[21]') AS wait, json_extract(l.value, '$[22]') AS talk, json_extract(l.value, '$[23]') AS
    hold, json_extract(l.value, '$[24]') AS acw, json_extract(l.value, '$[25]') AS handle
FROM conversation_rows c
    JOIN conversation_ids i ON i.number = c.number
    CROSS JOIN json_each((
        SELECT json_group_array(json_array(session, queue, began, ended, goes_on, wrap_up, alerting, connected,
                offered_at, answered_at, offered, answered, abandoned, flow_outs, transferred, blind_transferred,
                consult_transferred, alerted, not_responding, handled, answer_time, wait, talk, hold, acw, handle))
        FROM (
                SELECT m.session, m.queue, min(m.began) AS began, max(m.ended) AS ended, max(m.goes_on) AS goes_on,
                    max(m.wrap_up) AS wrap_up, min(m.alerting) AS alerting, min(m.connected) AS connected,
                    min(CASE WHEN m.name = 'nOffered' THEN m.began END) AS offered_at,
                    min(CASE WHEN m.name = 'tAnswered' THEN m.began END) AS answered_at,
                    coalesce(sum(CASE WHEN m.name = 'nOffered' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END), 0)
                    AS offered, count(CASE WHEN m.name = 'tAnswered' THEN 1 END) AS answered,
                    count(CASE WHEN m.name = 'tAbandon' THEN 1 END) AS abandoned,
                    count(CASE WHEN m.name = 'tFlowOut' THEN 1 END) AS flow_outs, coalesce(
                        sum(CASE WHEN m.name = 'nTransferred' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END), 0)
                    AS transferred, coalesce(
                        sum(CASE WHEN m.name = 'nBlindTransferred' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END),
                        0) AS blind_transferred, coalesce(sum(CASE WHEN m.name = 'nConsultTransferred' AND m.value
                        BETWEEN -1e15 AND 1e15 THEN m.value END), 0) AS consult_transferred,
                    count(CASE WHEN m.name = 'tAlert' THEN 1 END) AS alerted,
                    count(CASE WHEN m.name = 'tNotResponding' THEN 1 END) AS not_responding,
                    count(CASE WHEN m.name = 'tHandle' THEN 1 END) AS handled,
                    sum(CASE WHEN m.name = 'tAnswered' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END) AS
                    answer_time, sum(CASE WHEN m.name = 'tAcd' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END) AS
                    wait, sum(CASE WHEN m.name = 'tTalkComplete' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END) AS
                    talk, sum(CASE WHEN m.name = 'tHeldComplete' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END) AS
                    hold, sum(CASE WHEN m.name = 'tAcw' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END) AS acw,
                    sum(CASE WHEN m.name = 'tHandle' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END) AS handle
                FROM (
                        SELECT g.session, coalesce(g.queue, (
                                SELECT o.queue
                                FROM segment_rows o
                                WHERE o.id BETWEEN g.id & ~1048575 AND g.id | 1048575 AND o.session = g.session AND
                                    +o.queue IS NOT NULL
                                ORDER BY o.id LIMIT 1
                            )) AS queue, g.segment_start AS began, g.segment_end AS ended, g.segment_end IS NULL AS
                            goes_on, CASE WHEN g.segment_type = 'wrapup' THEN coalesce(g.segment_start, '') || '|' ||
                            g.wrap_up_code END AS wrap_up, CASE WHEN g.segment_type = 'alert' THEN g.segment_start END
                            AS alerting, CASE WHEN g.segment_type = 'interact' THEN g.segment_start END AS connected,
                            NULL AS name, NULL AS value
                        FROM segment_rows g
                        WHERE g.id BETWEEN c.number << 20 AND (c.number << 20) + 1048575
                        UNION ALL
                        SELECT m.session, coalesce((
                                SELECT g.queue
                                FROM segment_rows g
                                WHERE g.id BETWEEN m.id & ~1048575 AND m.id | 1048575 AND g.session = m.session AND
                                    +g.queue IS NOT NULL AND (g.segment_start < m.emit_date OR g.segment_start =
                                        m.emit_date AND m.name GLOB 'n*')
                                ORDER BY g.id DESC
                                    LIMIT 1
                            ), (
                                SELECT g.queue
                                FROM segment_rows g
                                WHERE g.id BETWEEN m.id & ~1048575 AND m.id | 1048575 AND g.session = m.session AND
                                    +g.queue IS NOT NULL
                                ORDER BY g.id LIMIT 1
                            )), m.emit_date, NULL, 0, NULL, NULL, NULL, m.name, m.value
                        FROM metric_rows m
                        WHERE m.id BETWEEN c.number << 20 AND (c.number << 20) + 1048575
                    ) m
                GROUP BY m.session, m.queue
            )
    )) l
    LEFT JOIN session_rows s ON s.id = (c.number << 20) + json_extract(l.value, '$[0]')
    LEFT JOIN participant_rows p ON p.id = (c.number << 20) + s.participant;
CREATE VIEW queue_legs AS
SELECT v.conversation_id, v.queue_id, (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'queue' AND n.id = v.queue_id AND n.valid_from <= v.began
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS queue_name, v.media_type, v.offered_at, v.answered_at, v.user_id, (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'user' AND n.id = v.user_id AND n.valid_from <= v.began
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS user_name, v.alerted, v.wait, v.talk, v.hold, v.acw, CASE WHEN v.answered = 0 AND v.abandoned > 0 THEN
    'abandoned' WHEN v.answered = 0 AND v.flow_outs > 0 THEN 'flow_out' WHEN v.transferred > 0 THEN 'transferred' WHEN
    v.conversation_end IS NULL AND v.goes_on THEN 'ongoing' WHEN v.answered > 0 OR v.talk IS NOT NULL THEN 'answered'
    END AS outcome, v.wrap_up_code, (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'wrapupcode' AND n.id = v.wrap_up_code AND n.valid_from <= v.began
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS wrap_up_name, v.leg, v.conversation_start, v.began, v.ended, v.offered, v.answered, v.abandoned, v.flow_outs,
    v.transferred, v.blind_transferred, v.consult_transferred, v.not_responding, v.handled, v.answer_time, v.handle
FROM (
        SELECT i.conversation_id, c.conversation_start, c.conversation_end,
            (SELECT text FROM texts WHERE text_id = json_extract(l.value, '$[0]')) AS queue_id,
            json_extract(l.value, '$[1]') AS media_type, json_extract(l.value, '$[2]') AS leg,
            json_extract(l.value, '$[3]') AS began, json_extract(l.value, '$[4]') AS ended,
            json_extract(l.value, '$[5]') AS goes_on, json_extract(l.value, '$[6]') AS offered_at,
            json_extract(l.value, '$[7]') AS answered_at, json_extract(l.value, '$[8]') AS user_id,
            json_extract(l.value, '$[9]') AS wrap_up_code, json_extract(l.value, '$[10]') AS offered,
            json_extract(l.value, '$[11]') AS answered, json_extract(l.value, '$[12]') AS abandoned,
            json_extract(l.value, '$[13]') AS flow_outs, json_extract(l.value, '$[14]') AS transferred,
            json_extract(l.value, '$[15]') AS blind_transferred, json_extract(l.value, '$[16]') AS consult_transferred,
            json_extract(l.value, '$[17]') AS alerted, json_extract(l.value, '$[18]') AS not_responding,
            json_extract(l.value, '$[19]') AS handled, json_extract(l.value, '$[20]') AS answer_time,
            json_extract(l.value, '$[21]') AS wait, json_extract(l.value, '$[22]') AS talk,
            json_extract(l.value, '$[23]') AS hold, json_extract(l.value, '$[24]') AS acw,
            json_extract(l.value, '$[25]') AS handle
        FROM conversation_rows c
            JOIN conversation_ids i ON i.number = c.number
            CROSS JOIN json_each((
                SELECT json_group_array(json_array(queue, media_type, leg, began, ended, goes_on, offered_at,
                        answered_at, user_id, wrap_up_code, offered, answered, abandoned, flow_outs, transferred,
                        blind_transferred, consult_transferred, alerted, not_responding, handled, answer_time, wait,
                        talk, hold, acw, handle))
                FROM (
                        SELECT queue, media_type, leg, min(began) AS began, max(ended) AS ended, max(goes_on) AS
                            goes_on, min(offered_at) AS offered_at, min(answered_at) AS answered_at,
                            coalesce(substr(min(CASE WHEN answered > 0 AND length(answered_at) = 24 THEN answered_at ||
                                coalesce(user_id, '') END), 25), substr(min(CASE WHEN talk IS NOT NULL AND
                                length(connected) = 24 THEN connected || user_id END), 25)) AS user_id,
                            substr(max(wrap_up), instr(max(wrap_up), '|') + 1) AS wrap_up_code, sum(offered) AS offered,
                            sum(answered) AS answered, sum(abandoned) AS abandoned, sum(flow_outs) AS flow_outs,
                            sum(transferred) AS transferred, sum(blind_transferred) AS blind_transferred,
                            sum(consult_transferred) AS consult_transferred, sum(alerted) AS alerted,
                            sum(not_responding) AS not_responding, sum(handled) AS handled, sum(answer_time) AS
                            answer_time, sum(wait) AS wait, sum(talk) AS talk, sum(hold) AS hold, sum(acw) AS acw,
                            sum(handle) AS handle
                        FROM (
                                SELECT *, sum((offered > 0 OR purpose = 'acd')) OVER (PARTITION BY queue, media_type
                                    ORDER BY began, NOT (offered > 0 OR purpose = 'acd'), session ROWS BETWEEN UNBOUNDED
                                        PRECEDING AND CURRENT ROW) AS leg
                                FROM leg_parts
                                WHERE number = c.number AND queue IS NOT NULL AND (purpose IN ('acd', 'agent') OR
                                        offered + answered + abandoned + flow_outs + transferred + blind_transferred +
                                        consult_transferred + alerted + not_responding + handled > 0 OR
                                        coalesce(wait, talk, hold, acw) IS NOT NULL)
                            )
                        GROUP BY queue, media_type, leg
                        ORDER BY began
                    )
            )) l
    ) v;
CREATE VIEW agent_legs AS
SELECT v.conversation_id, v.user_id, (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'user' AND n.id = v.user_id AND n.valid_from <= v.began
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS user_name, q.text AS queue_id, (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'queue' AND n.id = q.text AND n.valid_from <= v.began
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS queue_name, v.media_type, v.direction, v.alerting AS alerted_at, v.answered_at, v.connected AS connected_at,
    v.ended AS ended_at, v.alerted, v.answered, v.not_responding, v.transferred, v.blind_transferred,
    v.consult_transferred, v.handled, v.answer_time, v.talk, v.hold, v.acw, v.handle,
    substr(v.wrap_up, instr(v.wrap_up, '|') + 1) AS wrap_up_code, (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'wrapupcode' AND n.id = substr(v.wrap_up, instr(v.wrap_up, '|') + 1) AND n.valid_from <= v.began
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS wrap_up_name, v.conversation_start, v.participant AS participant_position, v.position AS session_position,
    v.session_id
FROM leg_parts v
    LEFT JOIN texts q ON q.text_id = v.queue
WHERE v.user_id IS NOT NULL;
CREATE VIEW wrapups AS
SELECT i.conversation_id, p.user_id, (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'user' AND n.id = p.user_id AND n.valid_from <= g.segment_start
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS user_name, q.text AS queue_id, (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'queue' AND n.id = q.text AND n.valid_from <= g.segment_start
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS queue_name, s.media_type, g.wrap_up_code, (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'wrapupcode' AND n.id = g.wrap_up_code AND n.valid_from <= g.segment_start
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS wrap_up_name, g.segment_start AS at, g.segment_end AS ended_at,
    (strftime('%s', g.segment_end) - strftime('%s', g.segment_start)) * 1000 + substr(g.segment_end, 21, 3) -
    substr(g.segment_start, 21, 3) AS duration, s.participant AS participant_position, s.position AS session_position,
    g.position
FROM segment_rows g
    JOIN conversation_ids i ON i.number = g.id >> 20 AND likelihood(g.id >= i.number << 20, 0.01) AND
    likelihood(g.id <= (i.number << 20) + 1048575, 0.01)
    LEFT JOIN session_rows s ON s.id = (g.id & ~1048575) | g.session
    LEFT JOIN participant_rows p ON p.id = (g.id & ~1048575) | s.participant
    LEFT JOIN texts q ON q.text_id = coalesce(g.queue, (
        SELECT o.queue
        FROM segment_rows o
        WHERE o.id BETWEEN g.id & ~1048575 AND g.id | 1048575 AND o.session = g.session AND +o.queue IS NOT NULL
        ORDER BY o.id LIMIT 1
    ))
WHERE g.segment_type = 'wrapup';
CREATE VIEW mos_legs AS
SELECT i.conversation_id, p.purpose, p.user_id,
    (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'user' AND n.id = p.user_id AND n.valid_from <= coalesce(t.event_time, c.conversation_start)
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS user_name, q.text AS queue_id,
    (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'queue' AND n.id = q.text AND n.valid_from <= coalesce(t.event_time, c.conversation_start)
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS queue_name, s.edge_id,
    (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'edge' AND n.id = s.edge_id AND n.valid_from <= coalesce(t.event_time, c.conversation_start)
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS edge_name,
    (
        SELECT o.name
        FROM names o
        WHERE o.kind = 'site' AND o.id = (
                SELECT n.site_id
                FROM names n
                WHERE n.kind = 'edge' AND n.id = s.edge_id
                ORDER BY n.valid_from DESC LIMIT 1
            ) AND o.valid_from <= coalesce(t.event_time, c.conversation_start)
        ORDER BY o.valid_from DESC LIMIT 1
    ) AS site_name, CASE WHEN json_valid(t.codecs) THEN json_extract(t.codecs, '$[0]') END AS codec, s.provider,
    t.event_time, t.min_mos, t.min_r_factor,
    CASE WHEN t.received_packets BETWEEN 1 AND 1e15 AND coalesce(t.discarded_packets, 0) BETWEEN 0 AND 1e15 THEN
        coalesce(t.discarded_packets, 0) * 1.0 / t.received_packets END AS late_share,
    s.media_type, t.max_latency_ms, c.conversation_start, s.participant AS participant_position,
    s.position AS session_position, t.position, (
        SELECT n.site_id
        FROM names n
        WHERE n.kind = 'edge' AND n.id = s.edge_id
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS site_id, t.received_packets, t.discarded_packets,
    c.mos AS conversation_mos, t.id = (
        SELECT l.id
        FROM media_endpoint_stat_rows l
        WHERE l.id BETWEEN c.number << 20 AND (c.number << 20) + 1048575 AND l.min_mos BETWEEN -1e15 AND 1e15
        ORDER BY l.min_mos, l.event_time, l.id LIMIT 1
    ) AS guilty
FROM conversation_rows c
    JOIN conversation_ids i ON i.number = c.number
    JOIN media_endpoint_stat_rows t ON likelihood(t.id >= c.number << 20, 0.01) AND
    likelihood(t.id <= (c.number << 20) + 1048575, 0.01)
    LEFT JOIN session_rows s ON s.id = (t.id & ~1048575) | t.session
    LEFT JOIN participant_rows p ON p.id = (t.id & ~1048575) | s.participant
    LEFT JOIN texts q ON q.text_id = (
        SELECT g.queue
        FROM segment_rows g
        WHERE g.id BETWEEN t.id & ~1048575 AND t.id | 1048575 AND g.session = t.session AND +g.queue IS NOT NULL
        ORDER BY g.id LIMIT 1
    );
CREATE VIEW mos_calls AS
SELECT i.conversation_id, c.conversation_start, c.conversation_end,
    CASE WHEN c.mos BETWEEN -1e15 AND 1e15 THEN c.mos ELSE t.min_mos END AS mos,
    CASE WHEN c.r_factor BETWEEN -1e15 AND 1e15 THEN c.r_factor ELSE (
        SELECT min(l.min_r_factor)
        FROM media_endpoint_stat_rows l
        WHERE l.id BETWEEN c.number << 20 AND (c.number << 20) + 1048575 AND l.min_r_factor BETWEEN -1e15 AND 1e15
    ) END AS r_factor, c.details_open AS goes_on, (
        SELECT count(*)
        FROM media_endpoint_stat_rows l
        WHERE l.id BETWEEN c.number << 20 AND (c.number << 20) + 1048575 AND l.min_mos BETWEEN -1e15 AND 1e15
    ) AS legs, p.purpose, p.user_id,
    (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'user' AND n.id = p.user_id AND n.valid_from <= coalesce(t.event_time, c.conversation_start)
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS user_name, q.text AS queue_id,
    (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'queue' AND n.id = q.text AND n.valid_from <= coalesce(t.event_time, c.conversation_start)
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS queue_name, s.edge_id,
    (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'edge' AND n.id = s.edge_id AND n.valid_from <= coalesce(t.event_time, c.conversation_start)
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS edge_name,
    (
        SELECT o.name
        FROM names o
        WHERE o.kind = 'site' AND o.id = (
                SELECT n.site_id
                FROM names n
                WHERE n.kind = 'edge' AND n.id = s.edge_id
                ORDER BY n.valid_from DESC LIMIT 1
            ) AND o.valid_from <= coalesce(t.event_time, c.conversation_start)
        ORDER BY o.valid_from DESC LIMIT 1
    ) AS site_name, CASE WHEN json_valid(t.codecs) THEN json_extract(t.codecs, '$[0]') END AS codec, s.provider,
    t.event_time, t.min_mos, t.min_r_factor,
    CASE WHEN t.received_packets BETWEEN 1 AND 1e15 AND coalesce(t.discarded_packets, 0) BETWEEN 0 AND 1e15 THEN
        coalesce(t.discarded_packets, 0) * 1.0 / t.received_packets END AS late_share, (
        SELECT n.site_id
        FROM names n
        WHERE n.kind = 'edge' AND n.id = s.edge_id
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS site_id,
    s.participant AS participant_position, s.position AS session_position, t.position
FROM conversation_rows c
    JOIN conversation_ids i ON i.number = c.number
    LEFT JOIN media_endpoint_stat_rows t ON t.id = (
        SELECT l.id
        FROM media_endpoint_stat_rows l
        WHERE l.id BETWEEN c.number << 20 AND (c.number << 20) + 1048575 AND l.min_mos BETWEEN -1e15 AND 1e15
        ORDER BY l.min_mos, l.event_time, l.id LIMIT 1
    )
    LEFT JOIN session_rows s ON s.id = (t.id & ~1048575) | t.session
    LEFT JOIN participant_rows p ON p.id = (t.id & ~1048575) | s.participant
    LEFT JOIN texts q ON q.text_id = (
        SELECT g.queue
        FROM segment_rows g
        WHERE g.id BETWEEN t.id & ~1048575 AND t.id | 1048575 AND g.session = t.session AND +g.queue IS NOT NULL
        ORDER BY g.id LIMIT 1
    )
WHERE c.read_at IS NOT NULL AND (c.media_types LIKE '%"voice"%' OR c.mos BETWEEN -1e15 AND 1e15 OR t.id IS NOT NULL);
CREATE INDEX half_hour_rows_start ON half_hour_rows (interval_start, queue, media_type);
CREATE INDEX windows_length ON windows (filter, julianday("end") - julianday(start));
CREATE VIEW contested_pieces AS
SELECT f.start AS failed_start, f."end" AS failed_end, max(f.start, p.start) AS start, min(f."end", p."end") AS "end",
    p.rank AS was, coalesce((
        SELECT max(q.rank) FROM ranked_windows q
        WHERE q.rank >= 3 AND q.start <= max(f.start, p.start) AND q."end" >= min(f."end", p."end") AND q.start >
            strftime('%Y-%m-%dT%H:%M:%fZ', max(f.start, p.start), -(
                SELECT 1 + 86400.0 * max(julianday("end") - julianday(start)) FROM windows WHERE filter = ''
            ) || ' seconds')
            AND NOT EXISTS (
                SELECT 1 FROM windows g INDEXED BY windows_failed
                WHERE g.filter = '' AND g.verdict = 'failed' AND g.start < q."end" AND g."end" > q.start
                    AND q.last_read_at <= coalesce(g.last_run_at, '9')
                    AND round(86400000 * (julianday(g."end") - julianday(g.start)))
                        <= round(86400000 * (julianday(q."end") - julianday(q.start)))
                    AND g.start > strftime('%Y-%m-%dT%H:%M:%fZ', q.start, -(
                        SELECT 1 + 86400.0 * max(julianday("end") - julianday(start)) FROM windows WHERE filter = ''
                    ) || ' seconds')
            )
    ), 0) AS rank
FROM windows f INDEXED BY windows_failed CROSS JOIN ranked_windows p
WHERE f.filter = '' AND f.verdict = 'failed' AND p.rank >= 3 AND p.start < f."end" AND p."end" > f.start
    AND p.last_read_at <= coalesce(f.last_run_at, '9')
    AND round(86400000 * (julianday(f."end") - julianday(f.start)))
        <= round(86400000 * (julianday(p."end") - julianday(p.start)))
    AND p.start > strftime('%Y-%m-%dT%H:%M:%fZ', f.start, -(
        SELECT 1 + 86400.0 * max(julianday("end") - julianday(start)) FROM windows WHERE filter = ''
    ) || ' seconds');
CREATE VIEW contested_proofs AS
SELECT start, "end", min(rank) AS rank FROM contested_pieces WHERE rank < was GROUP BY start, "end";
CREATE VIEW queue_intervals AS
SELECT q.text AS queue_id, (
        SELECT n.name FROM names n
        WHERE n.kind = 'queue' AND n.id = q.text AND n.valid_from <= v.interval_start
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS queue_name, v.media_type, v.interval_start, v.interval_end,
    v.offered, v.answered, v.abandoned, v.short_abandoned, v.flow_outs, v.over_sla,
    CASE WHEN answered + CASE WHEN include_abandons THEN abandoned
            - CASE WHEN include_short_abandons THEN 0 ELSE short_abandoned END ELSE 0 END
            + CASE WHEN include_flow_outs THEN flow_outs ELSE 0 END > 0
        THEN (answered - over_sla) * 1.0 / (answered + CASE WHEN include_abandons THEN abandoned
            - CASE WHEN include_short_abandons THEN 0 ELSE short_abandoned END ELSE 0 END
            + CASE WHEN include_flow_outs THEN flow_outs ELSE 0 END) END AS service_level,
    v.answer_time * 1.0 / nullif(v.answered, 0) AS asa, v.handle * 1.0 / nullif(v.handled, 0) AS aht, v.transferred,
    v.blind_transferred, v.consult_transferred, v.alerted, v.not_responding, v.handled, v.answer_time, v.wait, v.talk,
    v.hold, v.acw, v.handle, v.verdict
FROM (
        SELECT h.interval_start, strftime('%Y-%m-%dT%H:%M:%fZ', h.interval_start, '+30 minutes') AS interval_end,
            h.verdict,
            json_extract(l.value, '$[0]') AS queue, json_extract(l.value, '$[1]') AS media_type,
            json_extract(l.value, '$[2]') AS offered, json_extract(l.value, '$[3]') AS answered,
            json_extract(l.value, '$[4]') AS abandoned, json_extract(l.value, '$[5]') AS short_abandoned,
            json_extract(l.value, '$[6]') AS flow_outs, json_extract(l.value, '$[7]') AS over_sla,
            json_extract(l.value, '$[8]') AS transferred, json_extract(l.value, '$[9]') AS blind_transferred,
            json_extract(l.value, '$[10]') AS consult_transferred, json_extract(l.value, '$[11]') AS alerted,
            json_extract(l.value, '$[12]') AS not_responding, json_extract(l.value, '$[13]') AS handled,
            json_extract(l.value, '$[14]') AS answer_time, json_extract(l.value, '$[15]') AS wait,
            json_extract(l.value, '$[16]') AS talk, json_extract(l.value, '$[17]') AS hold,
            json_extract(l.value, '$[18]') AS acw, json_extract(l.value, '$[19]') AS handle
        FROM (
                SELECT i.interval_start, (
                    SELECT CASE min((
                            SELECT CASE
                                WHEN max("end") FILTER (WHERE rank >= 5) >= b.until
                                    AND NOT max(rank >= 5 AND start > coalesce(until_5, b.at)) THEN 5
                                WHEN max("end") FILTER (WHERE rank >= 4) >= b.until
                                    AND NOT max(rank >= 4 AND start > coalesce(until_4, b.at)) THEN 4
                                WHEN max("end") FILTER (WHERE rank >= 3) >= b.until
                                    AND NOT max(rank >= 3 AND start > coalesce(until_3, b.at)) THEN 3
                                WHEN max("end") FILTER (WHERE rank >= 2) >= b.until
                                    AND NOT max(rank >= 2 AND start > coalesce(until_2, b.at)) THEN 2
                                WHEN max("end") FILTER (WHERE rank >= 1) >= b.until
                                    AND NOT max(rank >= 1 AND start > coalesce(until_1, b.at)) THEN 1
                                WHEN max("end") FILTER (WHERE rank >= 0) >= b.until
                                    AND NOT max(rank >= 0 AND start > coalesce(until_0, b.at)) THEN 0
                                ELSE -1 END
                            FROM (
                                SELECT start, "end", rank,
                                    max(CASE WHEN rank >= 5 THEN "end" END) OVER w AS until_5,
                                    max(CASE WHEN rank >= 4 THEN "end" END) OVER w AS until_4,
                                    max(CASE WHEN rank >= 3 THEN "end" END) OVER w AS until_3,
                                    max(CASE WHEN rank >= 2 THEN "end" END) OVER w AS until_2,
                                    max(CASE WHEN rank >= 1 THEN "end" END) OVER w AS until_1,
                                    max(CASE WHEN rank >= 0 THEN "end" END) OVER w AS until_0
                                FROM (
                                    SELECT start, "end", rank FROM ranked_windows
                                    WHERE start > strftime('%Y-%m-%dT%H:%M:%fZ', b.at, '-1 day') AND start < b.until
                                        AND "end" > b.at
                                    UNION ALL
                                    SELECT p.start, p."end", p.rank
                                    FROM windows l INDEXED BY windows_length
                                        CROSS JOIN ranked_windows p ON p.start = l.start AND p."end" = l."end"
                                    WHERE l.filter = '' AND julianday(l."end") - julianday(l.start) > 1.0 AND
                                        p."end" > b.at
                                        AND p.start < b.until
                                        AND p.start <= strftime('%Y-%m-%dT%H:%M:%fZ', b.at, '-1 day')
                                )
                                WINDOW w AS (ORDER BY start, "end" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                            )
                        ), coalesce((
                            SELECT min(k.rank) FROM contested_pieces k
                            WHERE k.failed_start < b.until AND k.failed_end > b.at AND k.start < b.until AND k."end"
                                > b.at
                                AND k.rank < k.was
                        ), 5), CASE WHEN EXISTS (
                            SELECT 1 FROM conversation_rows o
                            WHERE o.details_open = 1 AND o.followed IS NULL AND o.conversation_start < b.until
                                AND o.conversation_start >= b.at
                        ) THEN 3 ELSE 5 END)
                        WHEN 5 THEN 'settled' WHEN 4 THEN 'complete' WHEN 3 THEN 'open' WHEN 2 THEN 'due' WHEN 1
                            THEN 'pending'
                        WHEN 0 THEN 'failed' END
                    FROM (
                        SELECT strftime('%Y-%m-%dT%H:%M:%fZ', i.interval_start, '+30 minutes') AS until,
                            min(i.interval_start, max((SELECT min(start) FROM windows WHERE filter = ''),
                            strftime('%Y-%m-%dT%H:%M:%fZ', i.interval_start, -(SELECT reach FROM view_settings) || '
                                seconds'))) AS at
                    ) b
                ) AS verdict
                FROM half_hour_rows i
                GROUP BY i.interval_start
            ) h
            CROSS JOIN json_each((
                SELECT json_group_array(json_array(queue, media_type, offered, answered, abandoned, short_abandoned,
                    flow_outs,
    over_sla, transferred, blind_transferred, consult_transferred, alerted,
    not_responding, handled, answer_time, wait, talk, hold, acw, handle))
                FROM (
                        SELECT g.queue, g.media_type,
                            sum(g.offered) AS offered,
                            sum(g.answered) AS answered,
                            sum(g.abandoned) AS abandoned,
                            CASE WHEN (SELECT short_abandon FROM view_settings) IS NULL THEN sum(g.short_abandoned)
                                ELSE sum((
                                SELECT count(*) FROM json_each(g.abandon_times)
                                WHERE value < (SELECT short_abandon FROM view_settings)
                            )) END AS short_abandoned,
                            sum(g.flow_outs) AS flow_outs,
                            CASE WHEN (SELECT answered_within FROM view_settings) IS NULL THEN sum(g.over_sla) ELSE
                                sum((
                                SELECT count(*) FROM json_each(g.answer_times)
                                WHERE value > (SELECT answered_within FROM view_settings)
                            )) END AS over_sla,
                            sum(g.transferred) AS transferred,
                            sum(g.blind_transferred) AS blind_transferred,
                            sum(g.consult_transferred) AS consult_transferred,
                            sum(g.alerted) AS alerted,
                            sum(g.not_responding) AS not_responding,
                            sum(g.handled) AS handled,
                            sum(g.answer_time) AS answer_time,
                            sum(g.wait) AS wait,
                            sum(g.talk) AS talk,
                            sum(g.hold) AS hold,
                            sum(g.acw) AS acw,
                            sum(g.handle) AS handle
                        FROM half_hour_rows g
                        WHERE g.interval_start IS h.interval_start
                        GROUP BY g.queue, g.media_type
                    )
            )) l
    ) v
    LEFT JOIN texts q ON q.text_id = v.queue
    CROSS JOIN view_settings;
CREATE VIEW readiness AS
WITH beginning (since, latest) AS MATERIALIZED (
    SELECT coalesce((SELECT value FROM store_notes WHERE name = 'proven_since'),
        (SELECT min(started_at) FROM coverage), (SELECT min(start) FROM windows WHERE filter = '')),
        strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+5 minutes')
), longest (seconds) AS MATERIALIZED (
    SELECT 1 + 86400.0 * max(julianday("end") - julianday(start)) FROM windows WHERE filter = ''
), settled (reached) AS MATERIALIZED (
    SELECT w."end" FROM windows w
    WHERE w.filter = '' AND w.verdict = 'settled' AND w.last_read_at BETWEEN w."end" AND (SELECT latest FROM beginning)
        AND w."end" > (SELECT since FROM beginning) AND w.start > strftime('%Y-%m-%dT%H:%M:%fZ', (SELECT since FROM
            beginning), -(SELECT seconds FROM longest) || ' seconds')
        AND NOT EXISTS (
            SELECT 1 FROM windows n
            WHERE n.start >= w.start AND n.start <= w."end" AND n."end" > w."end"
                AND n.filter = '' AND n.verdict = 'settled' AND n.last_read_at BETWEEN n."end" AND (SELECT latest
                    FROM beginning)
        ) AND NOT EXISTS (
            SELECT 1 FROM windows n
            WHERE n.start < w.start AND n."end" > w."end"
                AND n.start > strftime('%Y-%m-%dT%H:%M:%fZ', w.start, -(SELECT seconds FROM longest) || ' seconds')
                AND n.filter = '' AND n.verdict = 'settled' AND n.last_read_at BETWEEN n."end" AND (SELECT latest
                    FROM beginning)
        ) AND (
            SELECT min(n.start) FROM windows n
            WHERE n."end" > (SELECT since FROM beginning) AND n.start > strftime('%Y-%m-%dT%H:%M:%fZ', (SELECT since
                FROM beginning), -(SELECT seconds FROM longest) || ' seconds')
                AND n.filter = '' AND n.verdict = 'settled' AND n.last_read_at BETWEEN n."end" AND (SELECT latest
                    FROM beginning)
        ) <= (SELECT since FROM beginning)
    ORDER BY w.start, w."end" LIMIT 1
), goes_on (at) AS MATERIALIZED (
    SELECT coalesce((SELECT reached FROM settled), since) FROM beginning
), complete (reached) AS MATERIALIZED (
    SELECT w."end" FROM windows w
    WHERE w.filter = '' AND w.verdict IN ('complete', 'settled') AND w.last_read_at BETWEEN w."end" AND (SELECT
        latest FROM beginning)
        AND w."end" > (SELECT at FROM goes_on) AND w.start > strftime('%Y-%m-%dT%H:%M:%fZ', (SELECT at FROM
            goes_on), -(SELECT seconds FROM longest) || ' seconds')
        AND NOT EXISTS (
            SELECT 1 FROM windows n
            WHERE n.start >= w.start AND n.start <= w."end" AND n."end" > w."end"
                AND n.filter = '' AND n.verdict IN ('complete', 'settled') AND n.last_read_at BETWEEN n."end" AND
                    (SELECT latest FROM beginning)
        ) AND NOT EXISTS (
            SELECT 1 FROM windows n
            WHERE n.start < w.start AND n."end" > w."end"
                AND n.start > strftime('%Y-%m-%dT%H:%M:%fZ', w.start, -(SELECT seconds FROM longest) || ' seconds')
                AND n.filter = '' AND n.verdict IN ('complete', 'settled') AND n.last_read_at BETWEEN n."end" AND
                    (SELECT latest FROM beginning)
        ) AND (
            SELECT min(n.start) FROM windows n
            WHERE n."end" > (SELECT at FROM goes_on) AND n.start > strftime('%Y-%m-%dT%H:%M:%fZ', (SELECT at FROM
                goes_on), -(SELECT seconds FROM longest) || ' seconds')
                AND n.filter = '' AND n.verdict IN ('complete', 'settled') AND n.last_read_at BETWEEN n."end" AND
                    (SELECT latest FROM beginning)
        ) <= (SELECT at FROM goes_on)
    ORDER BY w.start, w."end" LIMIT 1
), reach (of, since, reached) AS MATERIALIZED (
    SELECT 'settled', since, reached FROM settled, beginning
    UNION ALL
    SELECT 'complete', since, reached FROM
        (SELECT coalesce((SELECT reached FROM complete), (SELECT reached FROM settled)) AS reached), beginning
    WHERE reached IS NOT NULL
), proofs (verdict, start, until, read_at) AS NOT MATERIALIZED (
    SELECT verdict, start, "end", last_read_at FROM windows
    WHERE filter = '' AND verdict IN ('complete', 'settled')
        AND last_read_at BETWEEN "end" AND (SELECT latest FROM beginning)
), failures (start, until, run_at, earliest) AS NOT MATERIALIZED (
    SELECT start, "end", coalesce(last_run_at, '9'),
        strftime('%Y-%m-%dT%H:%M:%fZ', start, -(SELECT seconds FROM longest) || ' seconds')
    FROM windows INDEXED BY windows_failed WHERE filter = '' AND verdict = 'failed'
), contested (of, at) AS MATERIALIZED (
    SELECT r.of, min(max(f.start, p.start, r.since))
    FROM reach r CROSS JOIN failures f ON f.start < r.reached AND f.until > r.since
        CROSS JOIN proofs p ON r.of IN ('complete', p.verdict) AND p.start < f.until AND p.until > f.start
            AND p.start > f.earliest AND p.read_at <= f.run_at
            AND round(86400000 * (julianday(f.until) - julianday(f.start)))
                <= round(86400000 * (julianday(p.until) - julianday(p.start)))
    WHERE NOT EXISTS (
        SELECT 1 FROM proofs q WHERE r.of IN ('complete', q.verdict) AND q.start <= max(f.start, p.start)
            AND q.start > f.earliest AND q.until >= min(f.until, p.until) AND NOT EXISTS (
                SELECT 1 FROM failures g WHERE g.start < q.until AND g.until > q.start AND q.read_at <= g.run_at
                    AND g.start > strftime('%Y-%m-%dT%H:%M:%fZ', q.start, -(SELECT seconds FROM longest) || ' seconds')
                    AND round(86400000 * (julianday(g.until) - julianday(g.start)))
                        <= round(86400000 * (julianday(q.until) - julianday(q.start)))))
    GROUP BY r.of
), until (of, at) AS MATERIALIZED (
    SELECT of, nullif(max(since, min(reached, coalesce((SELECT at FROM contested WHERE contested.of = reach.of), '9'),
        coalesce((SELECT min(conversation_start) FROM conversation_rows WHERE details_open = 1 AND followed IS NULL
            AND conversation_start >= since), '9'))), since)
    FROM reach
)
SELECT (SELECT since FROM beginning) AS since, max(at) AS complete_until,
    max(CASE WHEN of = 'settled' THEN at END) AS settled_until
FROM until;
CREATE INDEX tombstones_waiting ON tombstones (kind, id) WHERE erased_at IS NULL;
CREATE VIEW local_days AS
WITH RECURSIVE d (day, last) AS (
    SELECT date((
        SELECT interval_start FROM half_hour_rows
        WHERE interval_start BETWEEN '1990' AND '2100' AND date(interval_start) IS NOT NULL
        ORDER BY interval_start LIMIT 1
    ), '-1 day'), date((
        SELECT interval_start FROM half_hour_rows
        WHERE interval_start BETWEEN '1990' AND '2100' AND date(interval_start) IS NOT NULL
        ORDER BY interval_start DESC LIMIT 1
    ), '+1 day')
    UNION ALL
    SELECT date(day, '+1 day'), last FROM d WHERE day < last
)
SELECT day, (
        SELECT strftime('%Y-%m-%dT%H:%M:%fZ', day, -z.seconds || ' seconds') FROM zone_offsets z
        WHERE z.local_start <= day || 'T00:00:00.000Z'
        ORDER BY z.local_start DESC LIMIT 1
    ) AS starts_at, (
        SELECT strftime('%Y-%m-%dT%H:%M:%fZ', date(day, '+1 day'), -z.seconds || ' seconds') FROM zone_offsets z
        WHERE z.local_start <= date(day, '+1 day') || 'T00:00:00.000Z'
        ORDER BY z.local_start DESC LIMIT 1
    ) AS ends_at
FROM d
WHERE day IS NOT NULL;
CREATE VIEW agent_days AS
SELECT v.user_id, (
        SELECT n.name FROM names n
        WHERE n.kind = 'user' AND n.id = v.user_id AND n.valid_from <= v.starts_at
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS user_name, v.day, v.media_type, v.answered, v.talk, v.hold, v.acw, v.handle, v.not_responding, v.transferred,
    v.alerted, v.handled, v.handle * 1.0 / nullif(v.handled, 0) AS aht, v.blind_transferred, v.consult_transferred,
    v.verdict
FROM (
        SELECT d.day, d.starts_at, d.ends_at, d.verdict, p.user_id, s.media_type, count(CASE WHEN m.name =
            'tAnswered' THEN 1 END)
            AS answered, coalesce(
                sum(CASE WHEN m.name = 'nTransferred' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END), 0) AS
            transferred, coalesce(
                sum(CASE WHEN m.name = 'nBlindTransferred' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END), 0) AS
            blind_transferred, coalesce(
                sum(CASE WHEN m.name = 'nConsultTransferred' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END), 0) AS
            consult_transferred, count(CASE WHEN m.name = 'tAlert' THEN 1 END) AS alerted,
            count(CASE WHEN m.name = 'tNotResponding' THEN 1 END) AS not_responding,
            count(CASE WHEN m.name = 'tHandle' THEN 1 END) AS handled,
            sum(CASE WHEN m.name = 'tTalkComplete' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END) AS talk,
            sum(CASE WHEN m.name = 'tHeldComplete' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END) AS hold,
            sum(CASE WHEN m.name = 'tAcw' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END) AS acw,
            sum(CASE WHEN m.name = 'tHandle' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END) AS handle
        FROM (
                SELECT a.day, a.starts_at, a.ends_at, (
                    SELECT CASE min((
                            SELECT CASE
                                WHEN max("end") FILTER (WHERE rank >= 5) >= b.until
                                    AND NOT max(rank >= 5 AND start > coalesce(until_5, b.at)) THEN 5
                                WHEN max("end") FILTER (WHERE rank >= 4) >= b.until
                                    AND NOT max(rank >= 4 AND start > coalesce(until_4, b.at)) THEN 4
                                WHEN max("end") FILTER (WHERE rank >= 3) >= b.until
                                    AND NOT max(rank >= 3 AND start > coalesce(until_3, b.at)) THEN 3
                                WHEN max("end") FILTER (WHERE rank >= 2) >= b.until
                                    AND NOT max(rank >= 2 AND start > coalesce(until_2, b.at)) THEN 2
                                WHEN max("end") FILTER (WHERE rank >= 1) >= b.until
                                    AND NOT max(rank >= 1 AND start > coalesce(until_1, b.at)) THEN 1
                                WHEN max("end") FILTER (WHERE rank >= 0) >= b.until
                                    AND NOT max(rank >= 0 AND start > coalesce(until_0, b.at)) THEN 0
                                ELSE -1 END
                            FROM (
                                SELECT start, "end", rank,
                                    max(CASE WHEN rank >= 5 THEN "end" END) OVER w AS until_5,
                                    max(CASE WHEN rank >= 4 THEN "end" END) OVER w AS until_4,
                                    max(CASE WHEN rank >= 3 THEN "end" END) OVER w AS until_3,
                                    max(CASE WHEN rank >= 2 THEN "end" END) OVER w AS until_2,
                                    max(CASE WHEN rank >= 1 THEN "end" END) OVER w AS until_1,
                                    max(CASE WHEN rank >= 0 THEN "end" END) OVER w AS until_0
                                FROM (
                                    SELECT start, "end", rank FROM ranked_windows
                                    WHERE start > strftime('%Y-%m-%dT%H:%M:%fZ', b.at, '-1 day') AND start < b.until
                                        AND "end" > b.at
                                    UNION ALL
                                    SELECT p.start, p."end", p.rank
                                    FROM windows l INDEXED BY windows_length
                                        CROSS JOIN ranked_windows p ON p.start = l.start AND p."end" = l."end"
                                    WHERE l.filter = '' AND julianday(l."end") - julianday(l.start) > 1.0 AND
                                        p."end" > b.at
                                        AND p.start < b.until
                                        AND p.start <= strftime('%Y-%m-%dT%H:%M:%fZ', b.at, '-1 day')
                                )
                                WINDOW w AS (ORDER BY start, "end" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
                            )
                        ), coalesce((
                            SELECT min(k.rank) FROM contested_pieces k
                            WHERE k.failed_start < b.until AND k.failed_end > b.at AND k.start < b.until AND k."end"
                                > b.at
                                AND k.rank < k.was
                        ), 5), CASE WHEN EXISTS (
                            SELECT 1 FROM conversation_rows o
                            WHERE o.details_open = 1 AND o.followed IS NULL AND o.conversation_start < b.until
                                AND o.conversation_start >= b.at
                        ) THEN 3 ELSE 5 END)
                        WHEN 5 THEN 'settled' WHEN 4 THEN 'complete' WHEN 3 THEN 'open' WHEN 2 THEN 'due' WHEN 1
                            THEN 'pending'
                        WHEN 0 THEN 'failed' END
                    FROM (
                        SELECT a.ends_at AS until, min(a.starts_at, max((SELECT min(start) FROM windows WHERE filter
                            = ''),
                            strftime('%Y-%m-%dT%H:%M:%fZ', a.starts_at, -(SELECT reach FROM view_settings) || '
                                seconds'))) AS at
                    ) b
                ) AS verdict
                FROM local_days a
                GROUP BY a.day, a.starts_at, a.ends_at
            ) d
            CROSS JOIN half_hour_rows h ON h.interval_start > strftime('%Y-%m-%dT%H:%M:%fZ', d.starts_at, '-30 minutes')
                AND h.interval_start < d.ends_at AND NOT EXISTS (
                    SELECT 1 FROM half_hour_rows e NOT INDEXED
                    WHERE e.id BETWEEN h.id & ~1048575 AND h.id - 1 AND e.interval_start < d.ends_at
                        AND e.interval_start > strftime('%Y-%m-%dT%H:%M:%fZ', d.starts_at, '-30 minutes')
                )
            CROSS JOIN metric_rows m ON m.id BETWEEN h.id & ~1048575 AND h.id | 1048575
                AND m.emit_date >= d.starts_at AND m.emit_date < d.ends_at AND length(m.emit_date) = 24
                AND (m.name = 'tHandle' OR m.name = 'tAcw' OR m.name = 'tAnswered' OR m.name = 'tAcd' OR
                    m.name = 'nOffered' OR m.name = 'tTalkComplete' OR m.name = 'tAlert' OR m.name = 'nOverSla' OR
                    m.name = 'tHeldComplete' OR m.name = 'nTransferred' OR m.name = 'tNotResponding' OR
                    m.name = 'tAbandon' OR m.name = 'tFlowOut' OR m.name = 'nBlindTransferred' OR
                    m.name = 'nConsultTransferred' OR m.name = 'tShortAbandon')
            CROSS JOIN session_rows s ON s.id = (m.id & ~1048575) | m.session
            CROSS JOIN participant_rows p ON p.id = (m.id & ~1048575) | s.participant
        WHERE p.user_id IS NOT NULL
        GROUP BY d.day, d.starts_at, d.ends_at, p.user_id, s.media_type
    ) v;
COMMIT;
