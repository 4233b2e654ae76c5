-- The gate, and the alerts that wait to be sent.

-- What the gate asks of years of windows, without their figures.
CREATE INDEX windows_verdicts ON windows (filter, start, "end", verdict, last_read_at, last_run_at);
CREATE INDEX windows_failed ON windows (filter, start, "end", last_run_at) WHERE verdict = 'failed';

-- Until when everything is proven, from the time on from which every window must be. Null: nothing is. It agrees with
-- reconcile/gate.py, and never says more: a proof counts from its window's end on, and not if it was read later than
-- now, by a wrong clock; a window that failed afterwards and is no wider takes away what both have, unless another proof
-- has all of it.
-- of: 'settled', or 'complete' for what is either. reached: the end of the proofs without a hole; what is complete goes
-- on where what is settled ends, so that years are walked once. longest: no window is longer, in seconds; what began
-- earlier than that before a window that failed cannot touch it, and years need not be looked through for it.
CREATE VIEW readiness AS
WITH beginning (since, latest) AS MATERIALIZED (
    SELECT coalesce((SELECT value FROM store_notes WHERE name = 'proven_since'),
        (SELECT min(started_at) FROM coverage), (SELECT min(start) FROM windows WHERE filter = '')),
        strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '+5 minutes')
), settled (reached) AS MATERIALIZED (
    SELECT coalesce(min(CASE WHEN start > before THEN before END), max(until)) FROM (
        SELECT start, "end" AS until, max("end") OVER
            (ORDER BY start, "end" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM windows
        WHERE filter = '' AND verdict = 'settled' AND last_read_at BETWEEN "end" AND (SELECT latest FROM beginning)
            AND "end" > (SELECT since FROM beginning)
    ) HAVING min(start) <= (SELECT since FROM beginning)
), goes_on (at) AS MATERIALIZED (
    SELECT coalesce((SELECT reached FROM settled), since) FROM beginning
), complete (reached) AS MATERIALIZED (
    SELECT coalesce(min(CASE WHEN start > before THEN before END), max(until)) FROM (
        SELECT start, "end" AS until, max("end") OVER
            (ORDER BY start, "end" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before
        FROM windows
        WHERE filter = '' AND verdict IN ('complete', 'settled')
            AND last_read_at BETWEEN "end" AND (SELECT latest FROM beginning) AND "end" > (SELECT at FROM goes_on)
    ) HAVING min(start) <= (SELECT at FROM goes_on)
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
), longest (seconds) AS MATERIALIZED (
    SELECT 1 + max(strftime('%s', "end") - strftime('%s', start)) FROM windows WHERE filter = ''
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

-- Alerts that wait to be sent, oldest first; each is deleted once its receiver has taken it. event_id: the same at each
-- try. stream: what is sent in order (a window's start, or 'capture').
CREATE TABLE alerts (
    alert_id INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, stream TEXT NOT NULL,
    subject TEXT NOT NULL, at TEXT NOT NULL, data TEXT NOT NULL
);
CREATE INDEX alerts_stream ON alerts (stream, alert_id);
