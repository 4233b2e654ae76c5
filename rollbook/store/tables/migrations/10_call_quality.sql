-- Call quality: every call once, with the leg that made it as bad as it was.

-- One row for each measurement of a leg's audio. late_share: of the packets that came, those that came too late; the
-- platform leaves a count of nothing out. guilty: 1 for the lowest leg of its call, of equal ones the earliest.
DROP VIEW mos_legs;
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

-- One row for each call: a conversation with a voice session or a measurement, of which the details have been read.
-- mos, r_factor: the lowest of its legs, each by itself; null: it was not measured. goes_on: 1 while its details lack
-- an end. legs: how many were measured. From purpose on the lowest leg, of equal ones the earliest.
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
