PRAGMA application_id = 1919052593;
PRAGMA user_version = 5;
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
CREATE TABLE asked_by_id (
        conversation_id TEXT PRIMARY KEY, asked_at TEXT NOT NULL, absent_since TEXT, refused TEXT) WITHOUT ROWID;
CREATE TABLE channels (expires_at TEXT NOT NULL);
INSERT INTO "channels" VALUES('2026-03-03T10:00:00.000Z');
CREATE TABLE conversation_versions (
        conversation_id TEXT NOT NULL, read_at TEXT NOT NULL, replaced_at TEXT NOT NULL, details TEXT NOT NULL,
        PRIMARY KEY (conversation_id, read_at));
INSERT INTO "conversation_versions" VALUES('c1','2026-03-02T10:45:00.000Z','2026-03-02T10:46:00.000Z','{"conversationId": "c1", "conversationStart": "2026-03-02T10:05:00.000Z", "originatingDirection": "inbound", "divisionIds": ["d1"], "mediaStatsMinConversationMos": 4.2, "participants": [{"participantId": "p1", "purpose": "customer", "sessions": [{"sessionId": "s1", "mediaType": "voice", "segments": [{"segmentStart": "2026-03-02T10:05:00.000Z", "segmentEnd": "2026-03-02T10:20:00.000Z", "segmentType": "interact"}], "metrics": [{"name": "nConnected", "value": 1, "emitDate": "2026-03-02T10:05:00.000Z"}], "mediaEndpointStats": [{"minMos": 4.2, "codecs": ["audio/opus"]}]}]}], "conversationEnd": "2026-03-02T10:20:00.000Z"}');
CREATE TABLE conversations (
        conversation_id TEXT PRIMARY KEY,
        conversation_start TEXT, conversation_end TEXT,
        originating_direction TEXT, media_types TEXT, division_ids TEXT,
        mos REAL, r_factor REAL,
        provenance TEXT NOT NULL, first_seen_at TEXT NOT NULL, reconciled_at TEXT,
        read_at TEXT, heard_end TEXT, last_heard TEXT, look_again INTEGER NOT NULL DEFAULT 0, followed TEXT,
        details TEXT, details_open INTEGER NOT NULL DEFAULT 0, attributes_at TEXT);
INSERT INTO "conversations" VALUES('c1','2026-03-02T10:05:00.000Z','2026-03-02T10:20:00.000Z','inbound','["voice"]','["d1"]',4.1,NULL,'both','2026-03-02T10:06:00.000Z','2026-03-02T10:46:00.000Z','2026-03-02T10:46:00.000Z',NULL,'2026-03-02T10:06:00.000Z',0,NULL,'{"conversationId": "c1", "conversationStart": "2026-03-02T10:05:00.000Z", "originatingDirection": "inbound", "divisionIds": ["d1"], "mediaStatsMinConversationMos": 4.1, "participants": [{"participantId": "p1", "purpose": "customer", "sessions": [{"sessionId": "s1", "mediaType": "voice", "segments": [{"segmentStart": "2026-03-02T10:05:00.000Z", "segmentEnd": "2026-03-02T10:20:00.000Z", "segmentType": "interact"}], "metrics": [{"name": "nConnected", "value": 1, "emitDate": "2026-03-02T10:05:00.000Z"}], "mediaEndpointStats": [{"minMos": 4.1, "codecs": ["audio/opus"]}]}]}], "conversationEnd": "2026-03-02T10:20:00.000Z"}',0,NULL);
INSERT INTO "conversations" VALUES('c2','2026-03-02T10:06:00.000Z',NULL,'inbound','["voice"]','["d1"]',4.2,NULL,'both','2026-03-02T10:06:00.000Z','2026-03-02T10:46:00.000Z','2026-03-02T10:45:00.000Z','2026-03-02T10:06:00.000Z','2026-03-02T10:06:00.000Z',0,NULL,'{"conversationId": "c2", "conversationStart": "2026-03-02T10:06:00.000Z", "originatingDirection": "inbound", "divisionIds": ["d1"], "mediaStatsMinConversationMos": 4.2, "participants": [{"participantId": "p1", "purpose": "customer", "sessions": [{"sessionId": "s1", "mediaType": "voice", "segments": [{"segmentStart": "2026-03-02T10:06:00.000Z", "segmentEnd": null, "segmentType": "interact"}], "metrics": [{"name": "nConnected", "value": 1, "emitDate": "2026-03-02T10:06:00.000Z"}], "mediaEndpointStats": [{"minMos": 4.2, "codecs": ["audio/opus"]}]}]}]}',1,NULL);
INSERT INTO "conversations" VALUES('c3','2026-03-02T10:06:00.000Z',NULL,'inbound','["voice"]','[]',NULL,NULL,'live','2026-03-02T10:06:00.000Z',NULL,NULL,NULL,'2026-03-02T10:06:00.000Z',0,NULL,NULL,0,NULL);
INSERT INTO "conversations" VALUES('c4','2026-03-02T10:06:00.000Z',NULL,'inbound','["voice"]','[]',NULL,NULL,'live','2026-03-02T10:06:00.000Z',NULL,NULL,NULL,'2026-03-02T10:06:00.000Z',0,NULL,NULL,0,NULL);
INSERT INTO "conversations" VALUES('c5','2026-03-02T10:09:00.000Z','2026-03-02T10:20:00.000Z','inbound','["voice"]','["d1"]',4.2,NULL,'reconciled','2026-03-02T10:46:00.000Z','2026-03-02T10:46:00.000Z','2026-03-02T10:45:00.000Z',NULL,NULL,0,NULL,'{"conversationId": "c5", "conversationStart": "2026-03-02T10:09:00.000Z", "originatingDirection": "inbound", "divisionIds": ["d1"], "mediaStatsMinConversationMos": 4.2, "participants": [{"participantId": "p1", "purpose": "customer", "sessions": [{"sessionId": "s1", "mediaType": "voice", "segments": [{"segmentStart": "2026-03-02T10:09:00.000Z", "segmentEnd": "2026-03-02T10:20:00.000Z", "segmentType": "interact"}], "metrics": [{"name": "nConnected", "value": 1, "emitDate": "2026-03-02T10:09:00.000Z"}], "mediaEndpointStats": [{"minMos": 4.2, "codecs": ["audio/opus"]}]}], "attributes": {"language": "de"}}], "conversationEnd": "2026-03-02T10:20:00.000Z"}',0,'2026-03-02T10:45:00.000Z');
INSERT INTO "conversations" VALUES('c6','2026-03-02T10:10:00.000Z',NULL,'inbound','["voice"]','["d1"]',4.2,NULL,'both','2026-03-02T10:46:00.000Z','2026-03-02T10:46:00.000Z','2026-03-02T10:45:00.000Z','2026-03-02T10:06:00.000Z','2026-03-02T10:06:00.000Z',0,NULL,'{"conversationId": "c6", "conversationStart": "2026-03-02T10:10:00.000Z", "originatingDirection": "inbound", "divisionIds": ["d1"], "mediaStatsMinConversationMos": 4.2, "participants": [{"participantId": "p1", "purpose": "customer", "sessions": [{"sessionId": "s1", "mediaType": "voice", "segments": [{"segmentStart": "2026-03-02T10:10:00.000Z", "segmentEnd": null, "segmentType": "interact"}], "metrics": [{"name": "nConnected", "value": 1, "emitDate": "2026-03-02T10:10:00.000Z"}], "mediaEndpointStats": [{"minMos": 4.2, "codecs": ["audio/opus"]}]}]}]}',1,NULL);
CREATE TABLE coverage (
        coverage_id INTEGER PRIMARY KEY,
        source TEXT NOT NULL, scope TEXT NOT NULL, started_at TEXT NOT NULL, ended_at TEXT, end_reason TEXT,
        alive_at TEXT NOT NULL, topic_set_id INTEGER REFERENCES topic_sets (topic_set_id));
INSERT INTO "coverage" VALUES(1,'websocket','queues','2026-03-02T10:00:00.000Z','2026-03-02T10:44:00.000Z','stopped','2026-03-02T10:44:00.000Z',1);
INSERT INTO "coverage" VALUES(2,'websocket','queues','2026-03-02T10:45:00.000Z',NULL,NULL,'2026-03-02T10:45:00.000Z',1);
CREATE TABLE dead_letters (
        dead_letter_id INTEGER PRIMARY KEY,
        source TEXT NOT NULL, payload TEXT NOT NULL, error TEXT NOT NULL, received_at TEXT NOT NULL);
INSERT INTO "dead_letters" VALUES(1,'websocket','not json','no JSON','2026-03-02T10:07:00.000Z');
CREATE TABLE evaluations (conversation_id TEXT NOT NULL, position INTEGER NOT NULL, evaluation_id TEXT, evaluation_status TEXT, evaluator_id TEXT, user_id TEXT, queue_id TEXT, form_id TEXT, form_name TEXT, context_id TEXT, calibration_id TEXT, assignee_id TEXT, assignee_applicable INTEGER, event_time TEXT, released INTEGER, rescored INTEGER, deleted INTEGER, system_submitted INTEGER, o_total_score REAL, o_total_critical_score REAL, PRIMARY KEY (conversation_id, position)) WITHOUT ROWID;
CREATE TABLE events (
        event_id INTEGER PRIMARY KEY,
        topic TEXT NOT NULL, conversation_id TEXT, event_time TEXT, received_at TEXT NOT NULL,
        source TEXT NOT NULL, body TEXT NOT NULL, identity BLOB NOT NULL UNIQUE);
INSERT INTO "events" VALUES(1,'v2.routing.queues.q1.conversations','c1','2026-03-02T10:06:00.000Z','2026-03-02T10:06:00.000Z','websocket','{"a":1}',X'94D634DE8D9ED7766528DA9F4D8979F2');
INSERT INTO "events" VALUES(2,'v2.routing.queues.q1.conversations','c2','2026-03-02T10:21:00.000Z','2026-03-02T10:06:00.000Z','websocket','{"a":2}',X'3A2F0B459436101E7460B190AA3B6F30');
INSERT INTO "events" VALUES(3,'v2.routing.queues.q1.conversations','c3','2026-03-02T10:08:00.000Z','2026-03-02T10:06:00.000Z','websocket','{"a":3}',X'E75014E2D0A66B39B845EB6B86A3DDEA');
INSERT INTO "events" VALUES(4,'v2.routing.queues.q1.conversations','c4','2026-03-02T10:09:00.000Z','2026-03-02T10:06:00.000Z','websocket','{"a":4}',X'6BB849D971F824D5A796753C856CB567');
INSERT INTO "events" VALUES(5,'v2.routing.queues.q1.conversations','c6','2026-03-02T10:40:00.000Z','2026-03-02T10:06:00.000Z','websocket','{"a":6}',X'A7F380A37021AC57355D642C54D82C09');
CREATE TABLE flow_outcomes (conversation_id TEXT NOT NULL, participant_position INTEGER NOT NULL, session_position INTEGER NOT NULL, position INTEGER NOT NULL, participant_id TEXT, session_id TEXT, flow_outcome_id TEXT, flow_outcome TEXT, flow_outcome_value TEXT, flow_outcome_start_timestamp TEXT, flow_outcome_end_timestamp TEXT, PRIMARY KEY (conversation_id, participant_position, session_position, position)) WITHOUT ROWID;
CREATE TABLE flows (conversation_id TEXT NOT NULL, participant_position INTEGER NOT NULL, session_position INTEGER NOT NULL, participant_id TEXT, session_id TEXT, flow_id TEXT, flow_name TEXT, flow_type TEXT, flow_version TEXT, entry_type TEXT, entry_reason TEXT, exit_reason TEXT, starting_language TEXT, ending_language TEXT, issued_callback INTEGER, recognition_failure_reason TEXT, transfer_type TEXT, transfer_target_address TEXT, transfer_target_name TEXT, PRIMARY KEY (conversation_id, participant_position, session_position)) WITHOUT ROWID;
CREATE TABLE gaps (
        conversation_id TEXT NOT NULL, window_start TEXT NOT NULL, kind TEXT NOT NULL, cause TEXT NOT NULL,
        detected_at TEXT NOT NULL, filled_at TEXT,
        PRIMARY KEY (conversation_id, kind));
INSERT INTO "gaps" VALUES('c1','2026-03-02T10:00:00.000Z','changed','disconnected','2026-03-02T10:46:00.000Z','2026-03-02T10:46:00.000Z');
INSERT INTO "gaps" VALUES('c5','2026-03-02T10:00:00.000Z','missing','disconnected','2026-03-02T10:46:00.000Z','2026-03-02T10:46:00.000Z');
INSERT INTO "gaps" VALUES('c6','2026-03-02T10:00:00.000Z','missing','disconnected','2026-03-02T10:46:00.000Z','2026-03-02T10:46:00.000Z');
INSERT INTO "gaps" VALUES('c3','2026-03-02T10:00:00.000Z','live_only','never_listed','2026-03-02T10:46:00.000Z',NULL);
CREATE TABLE media_endpoint_stats (conversation_id TEXT NOT NULL, participant_position INTEGER NOT NULL, session_position INTEGER NOT NULL, position INTEGER NOT NULL, participant_id TEXT, session_id TEXT, event_time TEXT, min_mos REAL, min_r_factor REAL, max_latency_ms INTEGER, codecs TEXT, discarded_packets INTEGER, duplicate_packets INTEGER, invalid_packets INTEGER, overrun_packets INTEGER, received_packets INTEGER, underrun_packets INTEGER, PRIMARY KEY (conversation_id, participant_position, session_position, position)) WITHOUT ROWID;
INSERT INTO "media_endpoint_stats" VALUES('c1',0,0,0,'p1','s1',NULL,4.1,NULL,NULL,'["audio/opus"]',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "media_endpoint_stats" VALUES('c2',0,0,0,'p1','s1',NULL,4.2,NULL,NULL,'["audio/opus"]',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "media_endpoint_stats" VALUES('c5',0,0,0,'p1','s1',NULL,4.2,NULL,NULL,'["audio/opus"]',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "media_endpoint_stats" VALUES('c6',0,0,0,'p1','s1',NULL,4.2,NULL,NULL,'["audio/opus"]',NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE metrics (conversation_id TEXT NOT NULL, participant_position INTEGER NOT NULL, session_position INTEGER NOT NULL, position INTEGER NOT NULL, participant_id TEXT, session_id TEXT, name TEXT, value INTEGER, emit_date TEXT, PRIMARY KEY (conversation_id, participant_position, session_position, position)) WITHOUT ROWID;
INSERT INTO "metrics" VALUES('c1',0,0,0,'p1','s1','nConnected',1,'2026-03-02T10:05:00.000Z');
INSERT INTO "metrics" VALUES('c2',0,0,0,'p1','s1','nConnected',1,'2026-03-02T10:06:00.000Z');
INSERT INTO "metrics" VALUES('c5',0,0,0,'p1','s1','nConnected',1,'2026-03-02T10:09:00.000Z');
INSERT INTO "metrics" VALUES('c6',0,0,0,'p1','s1','nConnected',1,'2026-03-02T10:10:00.000Z');
CREATE TABLE organization (
        id TEXT PRIMARY KEY, name TEXT, first_seen_at TEXT);
INSERT INTO "organization" VALUES('o1','Example',NULL);
CREATE TABLE participant_attributes (
        conversation_id TEXT NOT NULL, participant_id TEXT NOT NULL, name TEXT NOT NULL, value TEXT,
        PRIMARY KEY (conversation_id, participant_id, name)) WITHOUT ROWID;
INSERT INTO "participant_attributes" VALUES('c5','p1','language','de');
CREATE TABLE participants (conversation_id TEXT NOT NULL, position INTEGER NOT NULL, participant_id TEXT, participant_name TEXT, purpose TEXT, user_id TEXT, team_id TEXT, external_contact_id TEXT, external_organization_id TEXT, flagged_reason TEXT, screen_recording INTEGER, PRIMARY KEY (conversation_id, position)) WITHOUT ROWID;
INSERT INTO "participants" VALUES('c1',0,'p1',NULL,'customer',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "participants" VALUES('c2',0,'p1',NULL,'customer',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "participants" VALUES('c5',0,'p1',NULL,'customer',NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "participants" VALUES('c6',0,'p1',NULL,'customer',NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE rejected_topics (
        topic TEXT PRIMARY KEY, reason TEXT, missing_permissions TEXT, rejected_at TEXT NOT NULL);
INSERT INTO "rejected_topics" VALUES('v2.users.u1.conversations','no','[]','2026-03-02T10:01:00.000Z');
CREATE TABLE resolutions (conversation_id TEXT NOT NULL, position INTEGER NOT NULL, event_time TEXT, queue_id TEXT, user_id TEXT, n_next_contact_avoided INTEGER, PRIMARY KEY (conversation_id, position)) WITHOUT ROWID;
CREATE TABLE segments (conversation_id TEXT NOT NULL, participant_position INTEGER NOT NULL, session_position INTEGER NOT NULL, position INTEGER NOT NULL, participant_id TEXT, session_id TEXT, segment_start TEXT, segment_end TEXT, segment_type TEXT, queue_id TEXT, disconnect_type TEXT, wrap_up_code TEXT, wrap_up_note TEXT, wrap_up_tags TEXT, conference INTEGER, audio_muted INTEGER, video_muted INTEGER, destination_conversation_id TEXT, destination_session_id TEXT, error_code TEXT, group_id TEXT, properties TEXT, q850_response_codes TEXT, requested_language_id TEXT, requested_routing_skill_ids TEXT, requested_routing_user_ids TEXT, scored_agents TEXT, sip_response_codes TEXT, source_conversation_id TEXT, source_session_id TEXT, subject TEXT, PRIMARY KEY (conversation_id, participant_position, session_position, position)) WITHOUT ROWID;
INSERT INTO "segments" VALUES('c1',0,0,0,'p1','s1','2026-03-02T10:05:00.000Z','2026-03-02T10:20:00.000Z','interact',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "segments" VALUES('c2',0,0,0,'p1','s1','2026-03-02T10:06:00.000Z',NULL,'interact',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "segments" VALUES('c5',0,0,0,'p1','s1','2026-03-02T10:09:00.000Z','2026-03-02T10:20:00.000Z','interact',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "segments" VALUES('c6',0,0,0,'p1','s1','2026-03-02T10:10:00.000Z',NULL,'interact',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE sessions (conversation_id TEXT NOT NULL, participant_position INTEGER NOT NULL, position INTEGER NOT NULL, participant_id TEXT, session_id TEXT, media_type TEXT, direction TEXT, provider TEXT, peer_id TEXT, active_skill_ids TEXT, acw_skipped INTEGER, address_from TEXT, address_other TEXT, address_self TEXT, address_to TEXT, agent_assistant_id TEXT, agent_bullseye_ring INTEGER, agent_groups TEXT, agent_owned INTEGER, ani TEXT, assigner_id TEXT, authenticated INTEGER, barged_participant_id TEXT, bcc TEXT, callback_numbers TEXT, callback_scheduled_time TEXT, callback_user_name TEXT, cc TEXT, cleared INTEGER, coached_participant_id TEXT, cobrowse_role TEXT, cobrowse_room_id TEXT, delivery_pushed INTEGER, delivery_status TEXT, delivery_status_change_date TEXT, destination_addresses TEXT, detected_speech_end TEXT, detected_speech_start TEXT, disposition_analyzer TEXT, disposition_name TEXT, dnis TEXT, edge_id TEXT, eligible_agent_counts TEXT, engagement_source TEXT, error_code_description TEXT, extended_delivery_status TEXT, flow_in_type TEXT, flow_out_type TEXT, journey_action_id TEXT, journey_action_map_id TEXT, journey_action_map_version INTEGER, journey_customer_id TEXT, journey_customer_id_type TEXT, journey_customer_session_id TEXT, journey_customer_session_id_type TEXT, media_bridge_id TEXT, media_count INTEGER, message_type TEXT, monitored_participant_id TEXT, outbound_campaign_id TEXT, outbound_contact_id TEXT, outbound_contact_list_id TEXT, proposed_agents TEXT, protocol_call_id TEXT, recording INTEGER, remote TEXT, remote_name_displayable TEXT, removed_skill_ids TEXT, requested_routings TEXT, room_id TEXT, routing_ring INTEGER, routing_rule TEXT, routing_rule_type TEXT, screen_monitored_user_id TEXT, screen_share_address_self TEXT, screen_share_room_id TEXT, script_id TEXT, selected_agent_id TEXT, selected_agent_rank INTEGER, session_dnis TEXT, sharing_screen INTEGER, skill_expression_id TEXT, skip_enabled INTEGER, snippet_recording INTEGER, timeout_seconds INTEGER, used_routing TEXT, video_address_self TEXT, video_room_id TEXT, waiting_interaction_counts TEXT, PRIMARY KEY (conversation_id, participant_position, position)) WITHOUT ROWID;
INSERT INTO "sessions" VALUES('c1',0,0,'p1','s1','voice',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "sessions" VALUES('c2',0,0,'p1','s1','voice',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "sessions" VALUES('c5',0,0,'p1','s1','voice',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "sessions" VALUES('c6',0,0,'p1','s1','voice',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE store_notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
INSERT INTO "store_notes" VALUES('in_log','0');
INSERT INTO "store_notes" VALUES('needs','0.1.0');
CREATE TABLE store_sizes (
    measured_at TEXT PRIMARY KEY, bytes INTEGER NOT NULL, unused INTEGER NOT NULL, log_bytes INTEGER NOT NULL,
    disk_free INTEGER NOT NULL, parts TEXT
) WITHOUT ROWID;
CREATE TABLE surveys (conversation_id TEXT NOT NULL, position INTEGER NOT NULL, survey_id TEXT, survey_status TEXT, survey_type TEXT, survey_form_id TEXT, survey_form_name TEXT, survey_form_context_id TEXT, survey_completed_date TEXT, survey_partial_response INTEGER, survey_promoter_score INTEGER, o_survey_total_score REAL, event_time TEXT, queue_id TEXT, user_id TEXT, PRIMARY KEY (conversation_id, position)) WITHOUT ROWID;
CREATE TABLE topic_sets (
        topic_set_id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, topics TEXT NOT NULL);
INSERT INTO "topic_sets" VALUES(1,X'D92724FEF339629D21AF2A567B16C0EB','["v2.routing.queues.q1.conversations"]');
CREATE TABLE unfinished_readings (
    start TEXT NOT NULL, "end" TEXT NOT NULL, filter TEXT NOT NULL, via TEXT NOT NULL, number INTEGER NOT NULL,
    at TEXT NOT NULL, entry BLOB NOT NULL, PRIMARY KEY (start, "end", filter, via, number)) WITHOUT ROWID;
INSERT INTO "unfinished_readings" VALUES('2026-03-02T10:00:00.000Z','2026-03-02T10:30:00.000Z','','query',0,'2026-03-02T10:46:00.000Z',X'7B2270616765223A317D');
CREATE TABLE window_runs (
        run_id INTEGER PRIMARY KEY,
        start TEXT NOT NULL, "end" TEXT NOT NULL, filter TEXT NOT NULL DEFAULT '',
        command TEXT NOT NULL, via TEXT NOT NULL, started_at TEXT NOT NULL, finished_at TEXT NOT NULL, as_of TEXT,
        verdict TEXT NOT NULL, reason TEXT, reading TEXT, "passes" INTEGER, "requests" INTEGER, "initial_total_hits" INTEGER, "final_total_hits" INTEGER, "unique" INTEGER, "duplicates" INTEGER, "owned" INTEGER, "missing" INTEGER, "changed" INTEGER, "unchanged" INTEGER, "ongoing" INTEGER, "live_only" INTEGER, "written" INTEGER, seconds REAL,
        passes_json TEXT, id_digest BLOB, query_json TEXT, divisions_json TEXT);
INSERT INTO "window_runs" VALUES(1,'2026-03-02T10:00:00.000Z','2026-03-02T10:30:00.000Z','','manual','query','2026-03-02T10:45:00.000Z','2026-03-02T10:45:00.000Z','2026-03-02T10:45:00.000Z','failed','moved','interval',1,NULL,NULL,NULL,2,NULL,2,NULL,NULL,NULL,NULL,NULL,NULL,0.5,'[]',X'31','{}',NULL);
INSERT INTO "window_runs" VALUES(2,'2026-03-02T10:00:00.000Z','2026-03-02T10:30:00.000Z','','manual','query','2026-03-02T10:45:00.000Z','2026-03-02T10:45:00.000Z','2026-03-02T10:45:00.000Z','open',NULL,'interval',1,NULL,NULL,NULL,2,NULL,2,NULL,NULL,NULL,NULL,NULL,NULL,0.5,'[]',X'31','{}','["d1"]');
CREATE TABLE windows (
        start TEXT NOT NULL, "end" TEXT NOT NULL, filter TEXT NOT NULL DEFAULT '',
        verdict TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, "passes" INTEGER, "requests" INTEGER, "initial_total_hits" INTEGER, "final_total_hits" INTEGER, "unique" INTEGER, "duplicates" INTEGER, "owned" INTEGER, "missing" INTEGER, "changed" INTEGER, "unchanged" INTEGER, "ongoing" INTEGER, "live_only" INTEGER, "written" INTEGER,
        seconds REAL, reading TEXT, reason TEXT, drift INTEGER NOT NULL DEFAULT 0,
        first_read_at TEXT, last_read_at TEXT, settled_at TEXT, next_try_at TEXT, last_run_at TEXT, proven_by TEXT, divisions_json TEXT,
        PRIMARY KEY (start, "end", filter)) WITHOUT ROWID;
INSERT INTO "windows" VALUES('2026-03-02T10:00:00.000Z','2026-03-02T10:30:00.000Z','','open',2,1,NULL,NULL,NULL,2,NULL,2,NULL,NULL,NULL,NULL,NULL,NULL,0.5,'interval',NULL,0,'2026-03-02T10:45:00.000Z','2026-03-02T10:45:00.000Z',NULL,NULL,'2026-03-02T10:45:00.000Z',NULL,'["d1"]');
INSERT INTO "windows" VALUES('2026-03-02T10:30:00.000Z','2026-03-02T11:00:00.000Z','','pending',0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX conversations_start ON conversations (conversation_start);
CREATE INDEX conversations_unplaced ON conversations (first_seen_at) WHERE conversation_start IS NULL;
CREATE INDEX conversations_ongoing ON conversations (conversation_start) WHERE conversation_end IS NULL;
CREATE INDEX conversations_look_again ON conversations (conversation_id) WHERE look_again = 1;
CREATE INDEX conversations_live ON conversations (conversation_start) WHERE provenance = 'live';
CREATE INDEX events_conversation ON events (conversation_id) WHERE conversation_id IS NOT NULL;
CREATE INDEX window_runs_window ON window_runs (start, "end", filter);
CREATE INDEX coverage_started ON coverage (started_at);
CREATE INDEX coverage_unended ON coverage (coverage_id) WHERE ended_at IS NULL;
CREATE INDEX gaps_window ON gaps (window_start);
CREATE INDEX conversations_details_open ON conversations (conversation_start) WHERE details_open = 1;
CREATE INDEX conversations_followed ON conversations (conversation_id) WHERE followed IS NOT NULL;
COMMIT;
