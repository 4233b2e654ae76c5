-- What the half hours count, summed up for each conversation as it is written; verdicts that look at no more of the
-- ledger than they rest on.

-- The figures of a conversation in a half hour, a queue and a medium, as docs/views.md says them. They are made of the
-- metrics in the transaction that writes these, by rollbook/store/rows/half_hours.py, so that a view adds up two rows
-- of a conversation where it looked at ten metrics, and at the segments of each.
-- id: that of the first of the metrics. answer_times, abandon_times: each value by itself, for thresholds that are set
-- later: a number, or a JSON list of them.
CREATE TABLE half_hour_rows (
    id INTEGER PRIMARY KEY, interval_start TEXT, queue INTEGER, media_type TEXT,
    offered INTEGER, answered INTEGER, abandoned INTEGER, short_abandoned INTEGER, flow_outs INTEGER, over_sla INTEGER,
    transferred INTEGER, blind_transferred INTEGER, consult_transferred INTEGER, alerted INTEGER,
    not_responding INTEGER, handled INTEGER, answer_time INTEGER, wait INTEGER, talk INTEGER, hold INTEGER,
    acw INTEGER, handle INTEGER, answer_times INTEGER, abandon_times INTEGER
);
CREATE INDEX half_hour_rows_start ON half_hour_rows (interval_start, queue, media_type);
INSERT INTO half_hour_rows (id, interval_start, queue, media_type,
    offered, answered, abandoned, short_abandoned, flow_outs, over_sla, transferred, blind_transferred,
    consult_transferred, alerted, not_responding, handled, answer_time, wait, talk, hold, acw, handle, answer_times,
    abandon_times)
SELECT json_extract(l.value, '$[0]'), json_extract(l.value, '$[1]'), json_extract(l.value, '$[2]'),
    json_extract(l.value, '$[3]'), json_extract(l.value, '$[4]'), json_extract(l.value, '$[5]'),
    json_extract(l.value, '$[6]'), json_extract(l.value, '$[7]'), json_extract(l.value, '$[8]'),
    json_extract(l.value, '$[9]'), json_extract(l.value, '$[10]'), json_extract(l.value, '$[11]'),
    json_extract(l.value, '$[12]'), json_extract(l.value, '$[13]'), json_extract(l.value, '$[14]'),
    json_extract(l.value, '$[15]'), json_extract(l.value, '$[16]'), json_extract(l.value, '$[17]'),
    json_extract(l.value, '$[18]'), json_extract(l.value, '$[19]'), json_extract(l.value, '$[20]'),
    json_extract(l.value, '$[21]'), json_extract(l.value, '$[22]'), json_extract(l.value, '$[23]')
FROM conversation_rows c CROSS JOIN json_each((
    SELECT json_group_array(json_array(id, interval_start, queue, media_type,
        offered, answered, abandoned, short_abandoned, flow_outs, over_sla, transferred, blind_transferred,
        consult_transferred, alerted, not_responding, handled, answer_time, wait, talk, hold, acw, handle,
        answer_times, abandon_times))
    FROM (
        SELECT min(m.id) AS id, CASE WHEN length(m.emit_date) = 24 THEN substr(m.emit_date, 1, 14) ||
                CASE WHEN substr(m.emit_date, 15, 2) < '30' THEN '00' ELSE '30' END || ':00.000Z' END AS interval_start,
            coalesce((
                SELECT g.queue FROM segment_rows g
                WHERE g.id BETWEEN m.id & ~1048575 AND m.id | 1048575 AND g.session = m.session AND +g.queue IS NOT NULL
                    AND (g.segment_start < m.emit_date OR g.segment_start = m.emit_date AND m.name GLOB 'n*')
                ORDER BY g.id DESC LIMIT 1
            ), (
                SELECT g.queue FROM segment_rows g
                WHERE g.id BETWEEN m.id & ~1048575 AND m.id | 1048575 AND g.session = m.session AND +g.queue IS NOT NULL
                ORDER BY g.id LIMIT 1
            )) AS queue,
            s.media_type,
            coalesce(sum(CASE WHEN m.name = 'nOffered' AND m.value BETWEEN -1e12 AND 1e12 THEN m.value END),
                0) AS offered,
            count(CASE WHEN m.name = 'tAnswered' THEN 1 END) AS answered,
            count(CASE WHEN m.name = 'tAbandon' THEN 1 END) AS abandoned,
            count(CASE WHEN m.name = 'tShortAbandon' THEN 1 END) AS short_abandoned,
            count(CASE WHEN m.name = 'tFlowOut' THEN 1 END) AS flow_outs,
            coalesce(sum(CASE WHEN m.name = 'nOverSla' AND m.value BETWEEN -1e12 AND 1e12 THEN m.value END),
                0) AS over_sla,
            coalesce(sum(CASE WHEN m.name = 'nTransferred' AND m.value BETWEEN -1e12 AND 1e12 THEN m.value END),
                0) AS transferred,
            coalesce(sum(CASE WHEN m.name = 'nBlindTransferred' AND m.value BETWEEN -1e12 AND 1e12
                THEN m.value END), 0) AS blind_transferred,
            coalesce(sum(CASE WHEN m.name = 'nConsultTransferred' AND m.value BETWEEN -1e12 AND 1e12
                THEN m.value END), 0) AS consult_transferred,
            count(CASE WHEN m.name = 'tAlert' THEN 1 END) AS alerted,
            count(CASE WHEN m.name = 'tNotResponding' THEN 1 END) AS not_responding,
            count(CASE WHEN m.name = 'tHandle' THEN 1 END) AS handled,
            sum(CASE WHEN m.name = 'tAnswered' AND m.value BETWEEN -1e12 AND 1e12 THEN m.value END) AS answer_time,
            sum(CASE WHEN m.name = 'tAcd' AND m.value BETWEEN -1e12 AND 1e12 THEN m.value END) AS wait,
            sum(CASE WHEN m.name = 'tTalkComplete' AND m.value BETWEEN -1e12 AND 1e12 THEN m.value END) AS talk,
            sum(CASE WHEN m.name = 'tHeldComplete' AND m.value BETWEEN -1e12 AND 1e12 THEN m.value END) AS hold,
            sum(CASE WHEN m.name = 'tAcw' AND m.value BETWEEN -1e12 AND 1e12 THEN m.value END) AS acw,
            sum(CASE WHEN m.name = 'tHandle' AND m.value BETWEEN -1e12 AND 1e12 THEN m.value END) AS handle,
            CASE count(CASE WHEN m.name = 'tAnswered' AND m.value BETWEEN -1e12 AND 1e12 THEN m.value END)
                WHEN 0 THEN NULL WHEN 1 THEN max(CASE WHEN m.name = 'tAnswered'
                AND m.value BETWEEN -1e12 AND 1e12 THEN m.value END)
                ELSE json_group_array(m.value) FILTER (WHERE m.name = 'tAnswered'
                AND m.value BETWEEN -1e12 AND 1e12) END AS answer_times,
            CASE count(CASE WHEN m.name = 'tAbandon' AND m.value BETWEEN -1e12 AND 1e12 THEN m.value END)
                WHEN 0 THEN NULL WHEN 1 THEN max(CASE WHEN m.name = 'tAbandon'
                AND m.value BETWEEN -1e12 AND 1e12 THEN m.value END)
                ELSE json_group_array(m.value) FILTER (WHERE m.name = 'tAbandon'
                AND m.value BETWEEN -1e12 AND 1e12) END AS abandon_times
        FROM metric_rows m NOT INDEXED LEFT JOIN session_rows s ON s.id = (m.id & ~1048575) | m.session
        WHERE m.id BETWEEN c.number << 20 AND (c.number << 20) + 1048575
            AND (m.name = 'tHandle' OR m.name = 'tAcw' OR m.name = 'tAnswered' OR m.name = 'tAcd' OR
                m.name = 'nOffered' OR m.name = 'tTalkComplete' OR m.name = 'tAlert' OR m.name = 'nOverSla' OR
                m.name = 'tHeldComplete' OR m.name = 'nTransferred' OR m.name = 'tNotResponding' OR
                m.name = 'tAbandon' OR m.name = 'tFlowOut' OR m.name = 'nBlindTransferred' OR
                m.name = 'nConsultTransferred' OR m.name = 'tShortAbandon')
        GROUP BY 2, 3, 4
    )
)) l;

-- How long each window is, in days. What is longer than a day is looked for by itself, and what is not begins no more
-- than a day before what it has.
CREATE INDEX windows_length ON windows (filter, julianday("end") - julianday(start));

DROP VIEW readiness;
DROP VIEW queue_intervals;
DROP VIEW agent_days;
DROP VIEW contested_proofs;

-- Each piece that a window that failed shares with a proof no narrower than it and from before it. was, rank: what it
-- was worth by that proof, and by the best that has all of it and that no window has failed after; 0: there is none.
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

-- The verdict is that of the windows that touch the half hour and what is before it, in their order: until_N is how far
-- those of rank N and above have come before a window, and there is a hole where that is before its start.
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
            CROSS JOIN metric_rows m ON (m.name = 'tHandle' OR m.name = 'tAcw' OR m.name = 'tAnswered' OR m.name =
                'tAcd' OR m.name = 'nOffered' OR m.name = 'tTalkComplete' OR m.name = 'tAlert' OR m.name = 'nOverSla' OR
                m.name = 'tHeldComplete' OR m.name = 'nTransferred' OR m.name = 'tNotResponding' OR m.name = 'tAbandon'
                OR m.name = 'tFlowOut' OR m.name = 'nBlindTransferred' OR m.name = 'nConsultTransferred' OR m.name =
                'tShortAbandon') AND CASE WHEN length(m.emit_date) = 24 THEN substr(m.emit_date, 1, 14) || CASE WHEN
            substr(m.emit_date, 15, 2) < '30' THEN '00' ELSE '30' END || ':00.000Z' END >
            strftime('%Y-%m-%dT%H:%M:%fZ', d.starts_at, '-30 minutes') AND CASE WHEN length(m.emit_date) = 24 THEN
            substr(m.emit_date, 1, 14) || CASE WHEN substr(m.emit_date, 15, 2) < '30' THEN '00' ELSE '30' END ||
            ':00.000Z' END < d.ends_at AND m.emit_date >= d.starts_at AND m.emit_date < d.ends_at
            CROSS JOIN session_rows s ON s.id = (m.id & ~1048575) | m.session
            CROSS JOIN participant_rows p ON p.id = (m.id & ~1048575) | s.participant
        WHERE p.user_id IS NOT NULL
        GROUP BY d.day, d.starts_at, d.ends_at, p.user_id, s.media_type
    ) v;

-- As 8_gate_and_alerts.sql says it, and the same to the letter in what it answers. reached: where the first of the
-- proofs ends that no later one goes on from, and that none before it has whole: one look forward for each window, and
-- none behind the first hole.
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
