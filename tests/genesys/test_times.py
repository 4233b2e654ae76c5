"""Times and intervals: what is read, what is refused, and that text sorts as time."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.errors import UsageError
from rollbook.genesys.times import (
    Interval,
    from_epoch_ms,
    from_text,
    normalize,
    parse_duration,
    parse_interval,
    to_text,
)

NOW = datetime(2026, 3, 3, tzinfo=UTC)
moments = st.datetimes(
    min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29), timezones=st.just(UTC)
) | st.datetimes(
    min_value=datetime(1, 1, 3),
    max_value=datetime(9999, 12, 29),
    timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)


@given(moments)
def test_text_is_24_characters_and_reads_back(moment: datetime) -> None:
    """A moment becomes 24 characters of UTC, and the text becomes the moment again, to the millisecond."""
    text = to_text(moment)
    assert len(text) == 24
    assert text.endswith("Z")
    assert moment - timedelta(milliseconds=1) < from_text(text) <= moment
    assert normalize(text) == text


@given(moments, moments)
def test_text_sorts_as_time(moment: datetime, other: datetime) -> None:
    """Comparing texts is comparing moments."""
    if moment <= other:
        assert to_text(moment) <= to_text(other)


@given(moments)
def test_other_spellings_are_brought_into_the_apis(moment: datetime) -> None:
    """Microseconds, offsets, a space or a small z are the same moment."""
    text = to_text(moment)
    assert normalize(moment.isoformat()) == text
    assert normalize(moment.isoformat(sep=" ")) == text
    assert normalize(text.lower()) == text
    assert normalize(text.replace(".", ",")) == text


@pytest.mark.parametrize(
    ("spelled", "text"),
    [
        ("2026-03-02", "2026-03-02T00:00:00.000Z"),
        ("2026-03-02T10:00", "2026-03-02T10:00:00.000Z"),
        ("2026-03-02T10:00Z", "2026-03-02T10:00:00.000Z"),
        ("2026-03-02T10:00:01.5+01:00", "2026-03-02T09:00:01.500Z"),
        ("2026-03-02T10:00:01.123456789-0230", "2026-03-02T12:30:01.123Z"),
        (" 2026-03-02T10:00Z ", "2026-03-02T10:00:00.000Z"),
        ("0001-01-01T00:00:00.000Z", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_a_time_is_read(spelled: str, text: str) -> None:
    """Times without an offset are UTC; a date alone is its midnight."""
    assert normalize(spelled) == text


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "2021-04-2T15:30:51.418Z",
        "2026-02-30T10:00:00.000Z",
        "2026-03-02T25:00:00.000Z",
        "2026-03-02T24:00:00.000Z",
        "2026-W10-1",
        "20260302",
        "2026",
        "2026-061",
        "0001-01-01T00:00:00.000+02:00",
        "9999-12-31T23:59:59-01:00",
        "2026-03-02T10:00:00.000",
        "٢٠٢٦-03-02T10:00:00.000Z",
        5,
        None,
        True,
        1.5,
        [],
        {},
        "2026-03-02T10-00-00.000Z",
        "2026-03-02T10:00:00.00ZZ",
        "2026-03-02T1O:00:00.000Z",
    ],
)
def test_what_is_no_time_is_none(value: object) -> None:
    """Impossible dates, other notations and other types are no time; only a missing offset is forgiven."""
    expected = "2026-03-02T10:00:00.000Z" if value == "2026-03-02T10:00:00.000" else None
    assert normalize(value) == expected


@given(st.text() | st.integers() | st.floats() | st.none())
def test_nothing_makes_it_fail(value: object) -> None:
    """Whatever a record holds where a time should be, the answer is a text that reads back, or None."""
    text = normalize(value)
    assert text is None or to_text(from_text(text)) == text


def test_epoch_milliseconds() -> None:
    """Detail events count milliseconds; what is out of range or no number is None."""
    assert from_epoch_ms(1785765600000) == "2026-08-03T14:00:00.000Z"
    assert from_epoch_ms(1785765600000.0) == "2026-08-03T14:00:00.000Z"
    assert from_epoch_ms(-1) == "1969-12-31T23:59:59.999Z"
    for value in (True, "1785765600000", None, 10**30, -(10**30), 1.5, float("nan"), float("inf")):
        assert from_epoch_ms(value) is None


@given(st.integers(-(10**20), 10**20))
def test_any_number_of_milliseconds(number: int) -> None:
    """A text that reads back to the same number, or None."""
    text = from_epoch_ms(number)
    if text is not None:
        assert (from_text(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1) == number


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("PT30M", timedelta(minutes=30)),
        ("P4D", timedelta(days=4)),
        ("P1DT2H", timedelta(days=1, hours=2)),
        ("P2W", timedelta(weeks=2)),
        ("PT0.5S", timedelta(milliseconds=500)),
        ("PT90M", timedelta(minutes=90)),
        ("pt0s", timedelta(0)),
    ],
)
def test_a_duration(text: str, duration: timedelta) -> None:
    """Weeks, days, hours, minutes and seconds."""
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "P", "PT", "P1M", "P1Y", "30M", "PT1D", "-PT1H", "P1DT", f"P{'9' * 30}D", "PT١M"])
def test_no_duration(text: str) -> None:
    """Months and years have no length; the rest is malformed."""
    with pytest.raises(ValueError, match="P"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2026-03-02T10:00Z/2026-03-02T10:30Z", "2026-03-02T10:00", "2026-03-02T10:30"),
        ("2026-03-02T10:00/PT30M", "2026-03-02T10:00", "2026-03-02T10:30"),
        ("PT30M/2026-03-02T10:30Z", "2026-03-02T10:00", "2026-03-02T10:30"),
        ("2026-03-02/2026-03-03", "2026-03-02T00:00", "2026-03-03T00:00"),
        ("2026-03-02T11:00+01:00/PT30M", "2026-03-02T10:00", "2026-03-02T10:30"),
        (" 2026-03-02T10:00Z / pt30m ", "2026-03-02T10:00", "2026-03-02T10:30"),
    ],
)
def test_an_interval(text: str, start: str, end: str) -> None:
    """The three notations of ISO 8601; times without an offset are UTC."""
    interval = parse_interval(text, now=NOW)
    assert interval == Interval(from_text(start), from_text(end))
    assert interval.text == f"{to_text(from_text(start))}/{to_text(from_text(end))}"
    assert interval.length == interval.end - interval.start


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "interval"),
        ("yesterday", "interval"),
        ("2026-03-02T10:00Z", "interval"),
        ("/", "interval"),
        ("a/b/c", "interval"),
        ("2026-13-02/PT1H", "interval"),
        ("PT1H/PT1H", "interval"),
        ("2026-03-02/P1M", "interval"),
        ("2026-03-02T10:00Z/2026-03-02T10:00Z", "after"),
        ("2026-03-02T11:00Z/2026-03-02T10:00Z", "after"),
        ("2026-03-02T10:00Z/PT0S", "after"),
        ("2026-03-02T10:00:00.0001Z/PT0.0002S", "after"),
        ("2099-01-01/PT1H", "future"),
        ("2026-03-02/2026-03-03T00:00:00.001Z", "future"),
        ("0001-01-01/P9999999D", "interval"),
        ("P9999999D/2026-03-02", "interval"),
        ("\x00/\ud800", "interval"),
    ],
)
def test_no_interval(text: str, word: str) -> None:
    """One line says what is wrong with it: malformed, turned round, or in the future."""
    with pytest.raises(UsageError) as caught:
        parse_interval(text, now=NOW)
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="P0123456789TDHMSZ-:/+. ", max_size=40))
def test_any_text_is_an_interval_or_a_usage_error(text: str) -> None:
    """Nothing that is typed is another error."""
    try:
        interval = parse_interval(text, now=NOW)
    except UsageError:
        return
    assert interval.start < interval.end <= NOW


def test_an_interval_is_half_open() -> None:
    """Its start lies in it and its end does not, as moments and as text."""
    interval = parse_interval("2026-03-02T10:00Z/PT30M", now=NOW)
    for moment, inside in (
        (interval.start, True),
        (interval.end, False),
        (interval.end - timedelta(milliseconds=1), True),
    ):
        assert interval.contains(moment) is inside
        assert interval.contains(to_text(moment)) is inside
