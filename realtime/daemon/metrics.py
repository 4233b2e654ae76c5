"""Metrics of the daemon: its figures as Prometheus has them, with their names and their help texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from realtime.daemon.health import reasons
from realtime.figures import DaemonFigures, QueueFigures
from realtime.websocket.channel_states import Phase
from rollbook.store.reasons import ReasonKind, State, state_of
from rollbook.store.upkeep.growth import Growth
from rollbook.store.views.call_mos import CallMos


def metrics(figures: DaemonFigures) -> Iterator[Metric]:
    """The figures as Prometheus has them."""
    events = CounterMetricFamily("rollbook_events", "Notifications read, by topic template.", labels=["topic"])
    for template, count in sorted(figures.by_template.items()):
        events.add_metric([template], count)
    yield events
    stored = CounterMetricFamily("rollbook_stored", "What became of what was heard.", labels=["outcome"])
    outcomes = {"new": figures.new, "repeated": figures.repeated, "dead_letter": figures.dead_letters}
    for outcome, count in {**outcomes, "dropped": figures.dropped}.items():
        stored.add_metric([outcome], count)
    yield stored
    yield from _of_lines(figures)
    if figures.sqs is not None:
        yield from _of_queue(figures.sqs)
    windows = GaugeMetricFamily("rollbook_windows", "Windows of the last 31 days, by verdict.", labels=["verdict"])
    for verdict, count in sorted(figures.windows_by_verdict.items()):
        windows.add_metric([verdict], count)
    yield windows
    yield _of_calls(figures.calls)
    unnamed = GaugeMetricFamily("rollbook_unnamed_ids", "Ids without a name, by kind.", labels=["kind"])
    for kind, count in figures.unnamed_ids.items():
        unnamed.add_metric([kind], count)
    yield unnamed
    yield CounterMetricFamily("rollbook_api_requests", "Requests to the API.", value=figures.requests)
    if figures.latency is not None:
        counts, seconds = figures.latency
        latency = HistogramMetricFamily("rollbook_api_latency_seconds", "How long the API took to answer.")
        latency.add_metric([], [(bound, float(count)) for bound, count in counts.items()], seconds)
        yield latency
    if figures.growth is not None:
        yield from _of_store(figures.growth)
    for name, text, value in _gauges(figures):
        if value is not None:
            yield GaugeMetricFamily(f"rollbook_{name}", text, value=value)
    yield from _of_reasons(figures)


def _of_calls(calls: Sequence[CallMos]) -> Metric:
    labels = ["media_type", "codec", "site", "late"]
    family = HistogramMetricFamily("rollbook_call_mos", "Calls by the MOS of their worst leg.", labels=labels)
    for each in calls:
        named = [each.media_type, each.codec, each.site, "yes" if each.is_late else "no"]
        family.add_metric(named, [(bound, float(count)) for bound, count in each.counts.items()], each.total)
    return family


def _of_reasons(figures: DaemonFigures) -> Iterator[Metric]:
    found = reasons(figures)
    reason = GaugeMetricFamily("rollbook_reason", "1 for each reason for not being well.", labels=["reason"])
    kinds = {each.kind for each in found}
    for kind in ReasonKind:
        reason.add_metric([kind], kind in kinds)
    yield reason
    value = {State.DEAD: 0, State.DEGRADED: 0.5, State.WELL: 1}[state_of(found)]
    yield GaugeMetricFamily("rollbook_up", "0 if dead, 0.5 if degraded, 1 if well.", value=value)


def _of_lines(figures: DaemonFigures) -> Iterator[Metric]:
    listening = GaugeMetricFamily("rollbook_line_listening", "Whether a line's socket is open.", labels=["line"])
    states = GaugeMetricFamily("rollbook_line_state", "1 for where its channel is.", labels=["line", "state"])
    topics = GaugeMetricFamily("rollbook_line_topics", "Topics of a line.", labels=["line", "kind"])
    covered = GaugeMetricFamily("rollbook_covered_topics", "Topics that are heard now.", labels=["line"])
    unheard = CounterMetricFamily("rollbook_unheard_seconds", "Time in which no socket heard a line.", labels=["line"])
    connects = CounterMetricFamily("rollbook_connects", "Sockets opened.", labels=["line"])
    losses = CounterMetricFamily("rollbook_losses", "Sockets or channels lost.", labels=["line"])
    for line in figures.lines:
        name = str(line.number + 1)
        listening.add_metric([name], line.phase == Phase.LISTENING)
        for phase in Phase:
            states.add_metric([name, phase.value], line.phase == phase)
        topics.add_metric([name, "base"], line.topics)
        topics.add_metric([name, "details"], line.details)
        covered.add_metric([name], line.heard_topics)
        unheard.add_metric([name], line.unheard_for)
        connects.add_metric([name], line.connects)
        losses.add_metric([name], line.losses)
    yield from (listening, states, topics, covered, unheard, connects, losses)


def _of_queue(queue: QueueFigures) -> Iterator[Metric]:
    messages = CounterMetricFamily("rollbook_sqs_messages", "Messages of the queue.", labels=["step"])
    messages.add_metric(["received"], queue.received)
    messages.add_metric(["deleted"], queue.deleted)
    yield messages
    stored = CounterMetricFamily("rollbook_sqs_stored", "What became of what they held.", labels=["outcome"])
    outcomes = {"new": queue.new, "repeated": queue.repeated, "dead_letter": queue.dead_letters}
    for outcome, count in outcomes.items():
        stored.add_metric([outcome], count)
    yield stored
    yield GaugeMetricFamily("rollbook_sqs_listening", "Whether the queue answers.", value=queue.is_listening)
    yield GaugeMetricFamily("rollbook_sqs_in_hand", "Messages received and not deleted yet.", value=queue.in_hand)
    yield GaugeMetricFamily("rollbook_sqs_oldest_seconds", "Age of the oldest of them.", value=queue.oldest)


def _of_store(growth: Growth) -> Iterator[Metric]:
    sizes = growth.now
    yield GaugeMetricFamily("rollbook_store_bytes", "Size of the store's file.", value=sizes.file)
    yield GaugeMetricFamily("rollbook_store_unused_bytes", "Bytes of it that nothing uses.", value=sizes.unused)
    yield GaugeMetricFamily("rollbook_store_log_bytes", "Size of its write-ahead log.", value=sizes.log)
    yield GaugeMetricFamily("rollbook_disk_free_bytes", "Bytes that are free on its disk.", value=sizes.disk_free)
    if growth.a_day is not None:
        yield GaugeMetricFamily("rollbook_store_growth_bytes", "Bytes that come to it a day.", value=growth.a_day)
    if growth.full_in is not None:
        seconds = growth.full_in.total_seconds()
        yield GaugeMetricFamily("rollbook_disk_full_seconds", "Until its disk is full at this rate.", value=seconds)
    parts = GaugeMetricFamily("rollbook_store_part_bytes", "Bytes by table and index, once a day.", labels=["part"])
    for name, size in (sizes.parts or {}).items():
        parts.add_metric([name], size)
    yield parts


def _gauges(figures: DaemonFigures) -> Iterator[tuple[str, str, float | None]]:
    yield "queue_depth", "Notifications heard and not taken yet.", figures.waiting_frames
    yield "queue_bytes", "Bytes of them.", figures.waiting_bytes
    yield "storing_lag_seconds", "Age of the oldest notification that is not stored.", figures.waiting_for
    yield "refused_topics", "Topics that the platform refuses.", figures.refused_topics
    yield "unplaced_topics", "Topics that find no room.", figures.unplaced_topics
    yield "channels_free", "Channels that could be created.", figures.channels_free
    yield "channels_of_others", "Channels of the client that are not ours.", figures.channels_of_others
    yield "rate_budget_left", "Requests that the platform would take this minute.", figures.budget_left
    yield "clock_skew_seconds", "The platform's clock against ours.", figures.clock_skew
    yield "clock_jump_seconds", "How far our clock jumped within the last hour.", figures.clock_jump or 0.0
    yield "last_look_age_seconds", "Age of the last good look for queues.", figures.looked_ago
    yield "last_round_age_seconds", "Age of the last good round over the ledger.", figures.rounds_ago
    yield "last_backup_age_seconds", "Age of the last good daily backup.", figures.backup_ago
    yield "alerts_waiting", "Alerts that the hook has not taken.", figures.alerts_waiting
    dropped = None if figures.alerts_waiting is None else figures.alerts_dropped
    yield "alerts_dropped", "Alerts that found no room while the hook took none.", dropped
    yield "due_windows", "Windows that are due and not read.", figures.due_windows
    yield "oldest_due_window_age_seconds", "Since the end of the oldest of them; 0: none.", figures.oldest_due or 0.0
    yield "dead_letters_last_hour", "What could not be understood within the last hour.", figures.letters_of_hour
    yield "dropped_last_hour", "Notifications dropped within the last hour.", figures.dropped_of_hour
    yield "last_event_age_seconds", "Since the last event, of this run or earlier ones.", figures.quiet_for
    last = figures.last_event_at.timestamp() if figures.last_event_at else None
    yield "last_event_timestamp_seconds", "When the newest stored notification came.", last
    yield "heard_live_share", "Share of the last day's read conversations that were heard.", figures.shares.heard_live
    yield "measured_share", "Share of the last day's ended calls that carry a MOS.", figures.shares.measured
