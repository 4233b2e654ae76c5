PRAGMA application_id = 1919052593;
PRAGMA user_version = 7;
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
COMMIT;
