-- Views that people ask for: queues, agents, half hours and days, in the platform's own figures.
--
-- What they are made of is said column by column in docs/views.md. Numbers << 20 and so on: 6_numbers.sql. What no
-- metric can be (a text, a number beyond all sums) is in no sum, so that a broken record does not stop a view.

-- What the organisation has set, and rollbook.toml says: one row. short_abandon, answered_within: milliseconds, null:
-- as the platform counts. reach: seconds before an interval in which what it counts can have begun.
CREATE TABLE view_settings (
    id INTEGER PRIMARY KEY CHECK (id = 1), time_zone TEXT NOT NULL, include_flow_outs INTEGER NOT NULL,
    include_short_abandons INTEGER NOT NULL, include_abandons INTEGER NOT NULL, short_abandon INTEGER,
    answered_within INTEGER, reach INTEGER NOT NULL
);
INSERT INTO view_settings VALUES (1, 'UTC', 0, 1, 1, NULL, NULL, 86400);

-- How far that time zone is from UTC, from each change on. local_start: what its clocks show then.
CREATE TABLE zone_offsets (
    starts_at TEXT PRIMARY KEY, local_start TEXT NOT NULL, seconds INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX zone_offsets_local ON zone_offsets (local_start);
INSERT INTO zone_offsets VALUES ('0000-01-01T00:00:00.000Z', '0000-01-01T00:00:00.000Z', 0);

-- The half hour of what the interval views count. A query has to name the same metrics in the same way to use it. An
-- IN would be made a table of its own for each row that is written.
CREATE INDEX metric_rows_half_hour ON metric_rows (CASE WHEN length(emit_date) = 24 THEN substr(emit_date, 1, 14) ||
        CASE WHEN substr(emit_date, 15, 2) < '30' THEN '00' ELSE '30' END || ':00.000Z' END)
WHERE (name = 'tHandle' OR name = 'tAcw' OR name = 'tAnswered' OR name = 'tAcd' OR name = 'nOffered' OR name =
        'tTalkComplete' OR name = 'tAlert' OR name = 'nOverSla' OR name = 'tHeldComplete' OR name = 'nTransferred' OR
        name = 'tNotResponding' OR name = 'tAbandon' OR name = 'tFlowOut' OR name = 'nBlindTransferred' OR name =
        'nConsultTransferred' OR name = 'tShortAbandon');

-- Every metric with what it may be counted by. Its queue is the one that its session was in when it was emitted: of
-- two that meet at that moment, a count belongs to the later, a duration, which is over then, to the earlier.
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

-- The windows that were read without a filter, with what each is worth as a proof: rank, as in windows.py. What was read
-- before its window ended, or later than now, by a wrong clock, proves nothing of it: as in 8_gate_and_alerts.sql.
CREATE VIEW ranked_windows AS
SELECT start, "end", last_read_at, last_run_at, CASE WHEN verdict = 'failed' THEN 0 WHEN verdict = 'pending' OR
    last_read_at < "end" THEN 1 WHEN verdict = 'due' THEN 2 WHEN last_read_at IS NULL OR
    last_read_at > (SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+5 minutes')) THEN 1 WHEN verdict = 'open' THEN 3 WHEN
    verdict = 'complete' THEN 4 ELSE 5 END AS rank
FROM windows
WHERE filter = '';

-- For each verdict, the time that windows of at least that verdict cover without a hole. The ledger is gone through
-- once, in its own order: until_N is how far those of rank N have come before a window, and it begins a span where that
-- is before its start.
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

-- What windows that failed take away from a proof, and are no wider than it: both have that time, and the failure came
-- afterwards. rank: of the best proof that has all of it, and that no window has failed after; 0: there is none.
-- longest: as in 8_gate_and_alerts.sql.
CREATE VIEW contested_proofs AS
WITH proofs (start, until, read_at, rank, width) AS NOT MATERIALIZED (
    SELECT start, "end", last_read_at, rank, round(86400000 * (julianday("end") - julianday(start)))
    FROM ranked_windows
    WHERE rank >= 3
), longest (seconds) AS MATERIALIZED (
    SELECT 1 + max(strftime('%s', "end") - strftime('%s', start)) FROM windows WHERE filter = ''
), failures (start, until, run_at, width, earliest) AS NOT MATERIALIZED (
    SELECT start, "end", coalesce(last_run_at, '9'), round(86400000 * (julianday("end") - julianday(start))),
        strftime('%Y-%m-%dT%H:%M:%fZ', start, -(SELECT seconds FROM longest) || ' seconds')
    FROM windows INDEXED BY windows_failed
    WHERE filter = '' AND verdict = 'failed'
), shared (start, until, was) AS MATERIALIZED (
    SELECT DISTINCT max(f.start, p.start), min(f.until, p.until), p.rank
    FROM failures f CROSS JOIN proofs p ON p.start > f.earliest AND p.start < f.until AND p.until > f.start
        AND p.read_at <= f.run_at AND f.width <= p.width
), left_over (start, until, was, rank) AS MATERIALIZED (
    SELECT both.start, both.until, both.was, coalesce((
            SELECT max(q.rank)
            FROM proofs q
            WHERE q.start > strftime('%Y-%m-%dT%H:%M:%fZ', both.start, -(SELECT seconds FROM longest) || ' seconds')
                AND q.start <= both.start AND q.until >= both.until AND NOT EXISTS (
                    SELECT 1
                    FROM failures g
                    WHERE g.start >
                        strftime('%Y-%m-%dT%H:%M:%fZ', q.start, -(SELECT seconds FROM longest) || ' seconds') AND g.start < q.until AND g.until > q.start AND q.read_at <= g.run_at AND g.width <= q.width
                )
        ), 0)
    FROM shared both
)
SELECT start, until AS "end", min(rank) AS rank FROM left_over WHERE rank < was GROUP BY start, until;

CREATE VIEW queue_intervals AS
WITH proof AS MATERIALIZED (SELECT * FROM proven_spans), contested AS MATERIALIZED (SELECT * FROM contested_proofs),
    ledger AS MATERIALIZED (SELECT min(start) AS first FROM windows WHERE filter = '')
SELECT q.text AS queue_id, (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'queue' AND n.id = q.text AND n.valid_from <= v.interval_start
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS queue_name, v.media_type, v.interval_start, v.interval_end, v.offered, v.answered, v.abandoned,
    v.short_abandoned, v.flow_outs, v.over_sla, CASE WHEN answered + CASE WHEN include_abandons THEN abandoned - CASE
    WHEN include_short_abandons THEN 0 ELSE short_abandoned END ELSE 0 END +CASE WHEN include_flow_outs THEN flow_outs
    ELSE 0 END > 0 THEN (answered - over_sla) * 1.0 / (answered + CASE WHEN include_abandons THEN abandoned - CASE WHEN
        include_short_abandons THEN 0 ELSE short_abandoned END ELSE 0 END +CASE WHEN include_flow_outs THEN flow_outs
        ELSE 0 END) END AS service_level, v.answer_time * 1.0 / nullif(v.answered, 0) AS asa, v.handle * 1.0 /
    nullif(v.handled, 0) AS aht, v.transferred, v.blind_transferred, v.consult_transferred, v.alerted, v.not_responding,
    v.handled, v.answer_time, v.wait, v.talk, v.hold, v.acw, v.handle, CASE min(coalesce((
            SELECT max(r.rank)
            FROM proof r
            WHERE r."end" >= v.interval_end AND r.start <= (
                SELECT max(first, strftime('%Y-%m-%dT%H:%M:%fZ', v.interval_start, -reach || ' seconds'))
                FROM ledger, view_settings
            )
        ), -1), coalesce((
            SELECT min(f.rank)
            FROM contested f
            WHERE f.start < v.interval_end AND f."end" > (
                SELECT max(first, strftime('%Y-%m-%dT%H:%M:%fZ', v.interval_start, -reach || ' seconds'))
                FROM ledger, view_settings
            )
        ), 5), CASE WHEN EXISTS (
            SELECT 1
            FROM conversation_rows o
            WHERE o.details_open = 1 AND o.followed IS NULL AND o.conversation_start < v.interval_end AND
                o.conversation_start >= (
                SELECT max(first, strftime('%Y-%m-%dT%H:%M:%fZ', v.interval_start, -reach || ' seconds'))
                FROM ledger, view_settings
            )
        ) THEN 3 ELSE 5 END) WHEN 5 THEN 'settled' WHEN 4 THEN 'complete' WHEN 3 THEN 'open' WHEN 2 THEN 'due' WHEN 1
    THEN 'pending' WHEN 0 THEN 'failed' END AS verdict
FROM (
        SELECT *, strftime('%Y-%m-%dT%H:%M:%fZ', w.interval_start, '+30 minutes') AS interval_end
        FROM (
                SELECT CASE WHEN length(m.emit_date) = 24 THEN substr(m.emit_date, 1, 14) || CASE WHEN
                    substr(m.emit_date, 15, 2) < '30' THEN '00' ELSE '30' END || ':00.000Z' END AS interval_start,
                    coalesce((
                        SELECT g.queue
                        FROM segment_rows g
                        WHERE g.id BETWEEN m.id & ~1048575 AND m.id | 1048575 AND g.session = m.session AND +g.queue IS
                            NOT NULL AND
                            (g.segment_start < m.emit_date OR g.segment_start = m.emit_date AND m.name GLOB 'n*')
                        ORDER BY g.id DESC LIMIT 1
                    ), (
                        SELECT g.queue
                        FROM segment_rows g
                        WHERE g.id BETWEEN m.id & ~1048575 AND m.id | 1048575 AND g.session = m.session AND +g.queue IS
                            NOT NULL ORDER BY g.id
                            LIMIT 1
                    )) AS queue, s.media_type,
                    coalesce(sum(CASE WHEN m.name = 'nOffered' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END), 0)
                    AS offered, count(CASE WHEN m.name = 'tAnswered' THEN 1 END) AS answered,
                    count(CASE WHEN m.name = 'tAbandon' THEN 1 END) AS abandoned, CASE WHEN
                    (SELECT short_abandon FROM view_settings) IS NULL THEN
                    count(CASE WHEN m.name = 'tShortAbandon' THEN 1 END) ELSE count(CASE WHEN m.name = 'tAbandon' AND
                        m.value < (SELECT short_abandon FROM view_settings) THEN 1 END) END AS short_abandoned,
                    count(CASE WHEN m.name = 'tFlowOut' THEN 1 END) AS flow_outs, CASE WHEN
                    (SELECT answered_within FROM view_settings) IS NULL THEN
                    coalesce(sum(CASE WHEN m.name = 'nOverSla' AND m.value BETWEEN -1e15 AND 1e15 THEN m.value END), 0)
                    ELSE count(CASE WHEN m.name = 'tAnswered' AND m.value > (SELECT answered_within FROM view_settings)
                        THEN 1 END) END AS over_sla, coalesce(
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
                FROM metric_rows m
                    LEFT JOIN session_rows s ON s.id = (m.id & ~1048575) | m.session
                WHERE (m.name = 'tHandle' OR m.name = 'tAcw' OR m.name = 'tAnswered' OR m.name = 'tAcd' OR m.name =
                        'nOffered' OR m.name = 'tTalkComplete' OR m.name = 'tAlert' OR m.name = 'nOverSla' OR m.name =
                        'tHeldComplete' OR m.name = 'nTransferred' OR m.name = 'tNotResponding' OR m.name = 'tAbandon'
                        OR m.name = 'tFlowOut' OR m.name = 'nBlindTransferred' OR m.name = 'nConsultTransferred' OR
                        m.name = 'tShortAbandon')
                GROUP BY 1, 2, 3
            ) w
    ) v
    LEFT JOIN texts q ON q.text_id = v.queue
    CROSS JOIN view_settings;

-- Days of the time zone that is set, as far as anything was counted: of 23 and 25 hours where they are.
CREATE VIEW local_days AS
WITH RECURSIVE d (day, last) AS (
        SELECT date((
                SELECT CASE WHEN length(m.emit_date) = 24 THEN substr(m.emit_date, 1, 14) || CASE WHEN
                    substr(m.emit_date, 15, 2) < '30' THEN '00' ELSE '30' END || ':00.000Z' END
                FROM metric_rows m
                WHERE (m.name = 'tHandle' OR m.name = 'tAcw' OR m.name = 'tAnswered' OR m.name = 'tAcd' OR m.name =
                        'nOffered' OR m.name = 'tTalkComplete' OR m.name = 'tAlert' OR m.name = 'nOverSla' OR m.name =
                        'tHeldComplete' OR m.name = 'nTransferred' OR m.name = 'tNotResponding' OR m.name = 'tAbandon'
                        OR m.name = 'tFlowOut' OR m.name = 'nBlindTransferred' OR m.name = 'nConsultTransferred' OR
                        m.name = 'tShortAbandon') AND CASE WHEN length(m.emit_date) = 24 THEN substr(m.emit_date, 1, 14)
                    || CASE WHEN substr(m.emit_date, 15, 2) < '30' THEN '00' ELSE '30' END || ':00.000Z' END BETWEEN
                    '1990' AND '2100' AND date(CASE WHEN length(m.emit_date) = 24 THEN substr(m.emit_date, 1, 14) ||
                        CASE WHEN substr(m.emit_date, 15, 2) < '30' THEN '00' ELSE '30' END || ':00.000Z' END) IS NOT
                    NULL ORDER BY CASE WHEN length(m.emit_date) = 24 THEN substr(m.emit_date, 1, 14) || CASE WHEN
                    substr(m.emit_date, 15, 2) < '30' THEN '00' ELSE '30' END || ':00.000Z' END
                    LIMIT 1
            ), '-1 day'), date((
                SELECT CASE WHEN length(m.emit_date) = 24 THEN substr(m.emit_date, 1, 14) || CASE WHEN
                    substr(m.emit_date, 15, 2) < '30' THEN '00' ELSE '30' END || ':00.000Z' END
                FROM metric_rows m
                WHERE (m.name = 'tHandle' OR m.name = 'tAcw' OR m.name = 'tAnswered' OR m.name = 'tAcd' OR m.name =
                        'nOffered' OR m.name = 'tTalkComplete' OR m.name = 'tAlert' OR m.name = 'nOverSla' OR m.name =
                        'tHeldComplete' OR m.name = 'nTransferred' OR m.name = 'tNotResponding' OR m.name = 'tAbandon'
                        OR m.name = 'tFlowOut' OR m.name = 'nBlindTransferred' OR m.name = 'nConsultTransferred' OR
                        m.name = 'tShortAbandon') AND CASE WHEN length(m.emit_date) = 24 THEN substr(m.emit_date, 1, 14)
                    || CASE WHEN substr(m.emit_date, 15, 2) < '30' THEN '00' ELSE '30' END || ':00.000Z' END BETWEEN
                    '1990' AND '2100' AND date(CASE WHEN length(m.emit_date) = 24 THEN substr(m.emit_date, 1, 14) ||
                        CASE WHEN substr(m.emit_date, 15, 2) < '30' THEN '00' ELSE '30' END || ':00.000Z' END) IS NOT
                    NULL ORDER BY CASE WHEN length(m.emit_date) = 24 THEN substr(m.emit_date, 1, 14) || CASE WHEN
                    substr(m.emit_date, 15, 2) < '30' THEN '00' ELSE '30' END || ':00.000Z' END DESC
                    LIMIT 1
            ), '+1 day')
        UNION ALL
        SELECT date(day, '+1 day'), last
        FROM d
        WHERE day < last
    )
SELECT day, (
        SELECT strftime('%Y-%m-%dT%H:%M:%fZ', day, -z.seconds || ' seconds')
        FROM zone_offsets z
        WHERE z.local_start <= day || 'T00:00:00.000Z'
        ORDER BY z.local_start DESC LIMIT 1
    ) AS starts_at, (
        SELECT strftime('%Y-%m-%dT%H:%M:%fZ', date(day, '+1 day'), -z.seconds || ' seconds')
        FROM zone_offsets z
        WHERE z.local_start <= date(day, '+1 day') || 'T00:00:00.000Z'
        ORDER BY z.local_start DESC LIMIT 1
    ) AS ends_at
FROM d
WHERE day IS NOT NULL;

CREATE VIEW agent_days AS
WITH proof AS MATERIALIZED (SELECT * FROM proven_spans), contested AS MATERIALIZED (SELECT * FROM contested_proofs),
    ledger AS MATERIALIZED (SELECT min(start) AS first FROM windows WHERE filter = '')
SELECT v.user_id, (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'user' AND n.id = v.user_id AND n.valid_from <= v.starts_at
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS user_name, v.day, v.media_type, v.answered, v.talk, v.hold, v.acw, v.handle, v.not_responding, v.transferred,
    v.alerted, v.handled, v.handle * 1.0 / nullif(v.handled, 0) AS aht, v.blind_transferred, v.consult_transferred,
    CASE min(coalesce((
            SELECT max(r.rank)
            FROM proof r
            WHERE r."end" >= v.ends_at AND r.start <= (
                SELECT max(first, strftime('%Y-%m-%dT%H:%M:%fZ', v.starts_at, -reach || ' seconds'))
                FROM ledger, view_settings
            )
        ), -1), coalesce((
            SELECT min(f.rank)
            FROM contested f
            WHERE f.start < v.ends_at AND f."end" > (
                SELECT max(first, strftime('%Y-%m-%dT%H:%M:%fZ', v.starts_at, -reach || ' seconds'))
                FROM ledger, view_settings
            )
        ), 5), CASE WHEN EXISTS (
            SELECT 1
            FROM conversation_rows o
            WHERE o.details_open = 1 AND o.followed IS NULL AND o.conversation_start < v.ends_at AND
                o.conversation_start >= (
                SELECT max(first, strftime('%Y-%m-%dT%H:%M:%fZ', v.starts_at, -reach || ' seconds'))
                FROM ledger, view_settings
            )
        ) THEN 3 ELSE 5 END) WHEN 5 THEN 'settled' WHEN 4 THEN 'complete' WHEN 3 THEN 'open' WHEN 2 THEN 'due' WHEN 1
    THEN 'pending' WHEN 0 THEN 'failed' END AS verdict
FROM (
        SELECT d.day, d.starts_at, d.ends_at, p.user_id, s.media_type, count(CASE WHEN m.name = 'tAnswered' THEN 1 END)
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
        FROM local_days d
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

-- What happened in a session while it was in a queue: its segments and metrics as one row. number: the conversation's.
--
-- json_each takes what a subquery makes of one conversation: a GROUP BY of all would be worked out for all of them
-- before the one that is asked for is looked up.
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

-- One row for each time that a conversation came to a queue. leg: which time; 0 where nothing was offered to the queue.
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

-- One row for each wrap-up segment. at: when the work after the conversation began.
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

-- One row for each measurement of a leg's audio. late_share: of the packets that came, those that came too late.
CREATE VIEW mos_legs AS
SELECT i.conversation_id, p.purpose, p.user_id, (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'user' AND n.id = p.user_id AND n.valid_from <= t.event_time
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS user_name, q.text AS queue_id, (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'queue' AND n.id = q.text AND n.valid_from <= t.event_time
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS queue_name, s.edge_id, (
        SELECT n.name
        FROM names n
        WHERE n.kind = 'edge' AND n.id = s.edge_id AND n.valid_from <= t.event_time
        ORDER BY n.valid_from DESC LIMIT 1
    ) AS edge_name, (
        SELECT o.name
        FROM names o
        WHERE o.kind = 'site' AND o.id = (
                SELECT n.site_id
                FROM names n
                WHERE n.kind = 'edge' AND n.id = s.edge_id
                ORDER BY n.valid_from DESC LIMIT 1
            ) AND o.valid_from <= t.event_time ORDER BY o.valid_from DESC
            LIMIT 1
    ) AS site_name, CASE WHEN json_valid(t.codecs) THEN json_extract(t.codecs, '$[0]') END AS codec, s.provider,
    t.event_time, t.min_mos, t.min_r_factor, t.discarded_packets * 1.0 / nullif(t.received_packets, 0) AS late_share,
    s.media_type, t.max_latency_ms, c.conversation_start, s.participant AS participant_position, s.position AS
    session_position, t.position
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
