-- Agents and days without an index of the metrics: which conversations were counted on a day, their sums say.

-- What is kept of each conversation for the half hours (11_half_hours.sql) is found by its time. An index of its metrics
-- beside that, ten to twenty of them, was twice as large.
DROP VIEW agent_days;
DROP VIEW local_days;
DROP INDEX metric_rows_half_hour;

-- Days of the time zone that is set, as far as anything was counted: of 23 and 25 hours where they are.
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

-- As 11_half_hours.sql says it. h: a conversation that was counted on the day, by the first of its sums of that day.
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
