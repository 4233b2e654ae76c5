"""Settings: where they come from, which wins, and what is said of those that have no sense."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbook.genesys.errors import SettingsError
from rollbook.genesys.program.settings import KEYS, Secret, Settings, check_filter, load
from rollbook.genesys.regions import DOMAINS, domain_of, hosts

FILTER = {"segmentFilters": [{"type": "and", "predicates": [{"dimension": "mediaType", "value": "voice"}]}]}


def read(folder: Path, toml: str = "", *, env: dict[str, str] | None = None, **flags: Any) -> Settings:
    """The settings of a folder with this settings file."""
    if toml:
        (folder / "rollbook.toml").write_text(toml)
    return load(flags=flags, env=env or {}, cwd=folder)


def refused(folder: Path, toml: str = "", *, env: dict[str, str] | None = None, **flags: Any) -> str:
    """What is said of settings that are refused: one line, and exit status 2."""
    with pytest.raises(SettingsError) as caught:
        read(folder, toml, env=env, **flags)
    assert caught.value.exit_status == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_defaults(tmp_path: Path) -> None:
    """Nothing set is half-hour windows, ten minutes' lag, the queues' conversations, and rollbook.db."""
    settings = read(tmp_path)
    assert settings == Settings()
    assert (settings.width, settings.lag) == (timedelta(minutes=30), timedelta(minutes=10))
    assert settings.settle_after == timedelta(days=5)
    assert settings.topics == ("v2.routing.queues.{id}.conversations",)
    assert settings.store_path == Path("rollbook.db")
    assert settings.config_path is None


def test_a_flag_wins_over_the_environment_over_the_file(tmp_path: Path) -> None:
    """In that order, each over the next."""
    toml = '[genesys]\nregion = "eu-west-1"\n[store]\npath = "file.db"\n'
    env = {"GENESYSCLOUD_REGION": "eu-west-2", "ROLLBOOK_DB": "env.db"}
    by_file = read(tmp_path, toml)
    assert (by_file.api_url, by_file.store_path) == ("https://api.mypurecloud.ie", Path("file.db"))
    by_env = read(tmp_path, env=env)
    assert (by_env.api_url, by_env.store_path) == ("https://api.euw2.pure.cloud", Path("env.db"))
    by_flag = read(tmp_path, env=env, region="us-east-1", store_path=Path("flag.db"))
    assert (by_flag.api_url, by_flag.store_path) == ("https://api.mypurecloud.com", Path("flag.db"))
    unset = read(tmp_path, env={"ROLLBOOK_DB": ""}, region=None, store_path=None)
    assert unset.store_path == Path("file.db")


def test_a_hook_is_checked_and_shown_nowhere(tmp_path: Path) -> None:
    """An address is https, but for this machine; what is refused names the key, without the token in its value."""
    settings = read(tmp_path, '[hook]\nurl = "https://example.org/alerts?token=t0ken"\non = ["window.failed"]\n')
    assert settings.hook_url is not None
    assert settings.hook_url.reveal() == "https://example.org/alerts?token=t0ken"
    assert "t0ken" not in repr(settings)
    assert settings.hook_on == ("window.failed",)
    assert read(tmp_path, env={"ROLLBOOK_HOOK_URL": "http://127.0.0.1:1/x"}).hook_url == Secret("http://127.0.0.1:1/x")
    assert read(tmp_path, '[hook]\ncommand = "page-me"\n').hook_command == ("page-me",)
    assert read(tmp_path, '[hook]\ncommand = ["page-me", "-x"]\n').hook_command == ("page-me", "-x")
    for toml, why in (
        ('url = "http://example.org/t0ken"', r"[hook] url: must begin with https://"),
        ('url = "t0ken"', "[hook] url: must be an address"),
        ('url = "https://t0ken:x"', "[hook] url: must be an address"),
        ('command = ["", "t0ken"]', "[hook] command: must name a command"),
        ('command = [["t0ken"]]', "[hook] command: must be a command and its words"),
        ('on = ["window.opened"]', "[hook] on: must be a list of window.failed, window.settled"),
        ("on = []", "[hook] on: must be a list of"),
        ('deaf_after = "PT5S"', "[hook] deaf_after: must be PT1M or more"),
        ('secret = "t0ken"', "unknown key 'secret' in [hook]"),
    ):
        said = refused(tmp_path, f"[hook]\n{toml}\n")
        assert why in said
        assert "t0ken" not in said
    said = refused(tmp_path, "\n", env={"ROLLBOOK_HOOK_SECRET": "t0ken\n\u00e4"})
    assert "ROLLBOOK_HOOK_SECRET: has characters" in said
    assert "t0ken" not in said


def test_every_key_of_the_file(tmp_path: Path) -> None:
    """All keys are read, with their types."""
    settings = read(
        tmp_path,
        """
        [genesys]
        region = "mypurecloud.de"
        api_url = "https://api.example.com/"
        login_url = "https://login.example.com"
        largest_answer = 20_000_000
        [store]
        path = "~/x.db"
        [realtime]
        topics = ["v2.users.{id}.conversations", "v2.quality.evaluations", "v2.quality.evaluations"]
        users = true
        follow_details = true
        health = "127.0.0.1:8125"
        [realtime.sqs]
        queue_url = "https://sqs.eu-west-1.amazonaws.com/1/q"
        [reconcile]
        width = "PT1H"
        lag = "PT15M"
        settle_after = "P6D"
        stuck_after = "P60D"
        ended_only = true
        since = 2026-03-01T00:00:00Z
        [reconcile.filter]
        segmentFilters = [{ type = "and", predicates = [{ dimension = "mediaType", value = "voice" }] }]
        """,
    )
    assert (settings.api_url, settings.login_url) == ("https://api.example.com", "https://login.example.com")
    assert settings.largest_answer == 20_000_000
    assert settings.store_path == Path("~/x.db").expanduser()
    assert settings.topics == ("v2.users.{id}.conversations", "v2.quality.evaluations")
    assert (settings.users, settings.follow_details, settings.ended_only) == (True, True, True)
    assert settings.sqs_queue_url == "https://sqs.eu-west-1.amazonaws.com/1/q"
    assert (settings.width, settings.lag) == (timedelta(hours=1), timedelta(minutes=15))
    assert (settings.settle_after, settings.stuck_after) == (timedelta(days=6), timedelta(days=60))
    assert settings.since == datetime(2026, 3, 1, tzinfo=UTC)
    assert settings.filter == FILTER
    assert settings.config_path == tmp_path / "rollbook.toml"
    assert {field for field, _ in KEYS.values()} <= set(Settings.__dataclass_fields__)


@pytest.mark.parametrize("wrong", ['"many"', "5", "true", "1e7", '"-1"', "2_000_000_000"])
def test_the_largest_answer_is_a_number_of_bytes(wrong: str, tmp_path: Path) -> None:
    """Of the file or the environment; one that no answer would fit into, or no machine, is refused."""
    assert read(tmp_path, env={"ROLLBOOK_LARGEST_ANSWER": "1000000"}).largest_answer == 1_000_000
    assert "between 1000000 and 1000000000" in refused(tmp_path, f"[genesys]\nlargest_answer = {wrong}")
    assert "ROLLBOOK_LARGEST_ANSWER" in refused(tmp_path, "[genesys]", env={"ROLLBOOK_LARGEST_ANSWER": "64MB"})


@pytest.mark.parametrize(
    "written",
    ['since = "2026-03-01"', "since = 2026-03-01", "since = 2026-03-01T00:00:00", 'since = "2026-03-01T01:00+01:00"'],
)
def test_a_moment_in_any_notation(written: str, tmp_path: Path) -> None:
    """TOML's own dates and texts; without an offset they are UTC."""
    assert read(tmp_path, f"[reconcile]\n{written}\n").since == datetime(2026, 3, 1, tzinfo=UTC)


def test_a_beginning_in_the_future(tmp_path: Path) -> None:
    """Nothing would begin at it: it is refused where the time is known."""
    toml, now = "[reconcile]\nsince = 2026-03-02T00:00:00Z", datetime(2026, 3, 1, 12, tzinfo=UTC)
    (tmp_path / "rollbook.toml").write_text(toml)
    with pytest.raises(SettingsError, match=r"since = 2026-03-02T.* lies in the future"):
        load(env={}, cwd=tmp_path, now=now)
    assert load(env={}, cwd=tmp_path, now=now + timedelta(days=1)).since is not None


def test_a_filter_may_be_json(tmp_path: Path) -> None:
    """As a text it is what the API takes; as a table it is the same."""
    text = '{"segmentFilters": [{"type": "and", "predicates": [{"dimension": "mediaType", "value": "voice"}]}]}'
    assert read(tmp_path, f"[reconcile]\nfilter = '{text}'\n").filter == FILTER


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('[reconcile]\nwidht = "PT30M"', ["widht", "reconcile", "did you mean width?"]),
        ('[reconsile]\nwidth = "PT30M"', ["reconsile", "did you mean reconcile?"]),
        ('region = "us-east-1"', ["region", "belongs in [genesys]"]),
        ('[store]\nregion = "us-east-1"', ["region", "belongs in [genesys]"]),
        ("[zzz]\n", ["zzz", "known: genesys"]),
        ('[genesys]\nclient_secret = "hunter2"', ["client_secret", "variable GENESYSCLOUD_OAUTHCLIENT_SECRET"]),
        ('[genesys]\nclient_id = "a"', ["client_id", "variable GENESYSCLOUD_OAUTHCLIENT_ID"]),
        ('[realtime.sqs]\nqueue_url = "rollbook-events"', ["queue_url", "rollbook-events", "https://sqs."]),
        ("[realtime.sqs]\nurl = 5", ["url", "realtime.sqs", "queue_url"]),
        ("[realtime]\nsqs = 5", ["realtime.sqs is a section"]),
        ("genesys = 5", ["genesys is a section"]),
        ("[reconcile]\nwidth = 30", ["[reconcile] width", "30", "text"]),
        ('[reconcile]\nwidth = "30m"', ["[reconcile] width", "30m", "PT30M"]),
        ('[reconcile]\nwidth = "PT0S"', ["width", "between"]),
        ('[reconcile]\nwidth = "P8D"', ["width", "P7D"]),
        ('[reconcile]\nlag = "P1M"', ["lag", "P1M"]),
        ('[reconcile]\nended_only = "yes"', ["ended_only", "true or false"]),
        ('[reconcile]\nsince = "soon"', ["since", "soon"]),
        ("[reconcile]\nsince = 07:32:00", ["since"]),
        ("[reconcile]\nfilter = 5", ["filter", "conversationFilters"]),
        ("[reconcile]\nfilter = {}", ["filter"]),
        ("[reconcile]\nfilter = '{'", ["filter", "JSON"]),
        ("[reconcile.filter]\nsegmentFilter = []", ["segmentFilter"]),
        ("[reconcile.filter]\nsegmentFilters = 5", ["segmentFilters", "list"]),
        ('[realtime]\ntopics = "v2.users.{id}.conversations"', ["topics", "list"]),
        ("[realtime]\ntopics = []", ["topics"]),
        ('[realtime]\ntopics = ["queues"]', ["topics", "queues", "v2."]),
        ('[realtime]\ntopics = ["v2.detail.events.conversation.{id}.acw"]', ["follow_details"]),
        ('[realtime]\nusers = "true"', ["users"]),
        ('[genesys]\nregion = "mars-north-1"', ["mars-north-1"]),
        ('[genesys]\napi_url = "api.mypurecloud.com"', ["api_url", "https://"]),
        ('[genesys]\napi_url = "https://"', ["api_url"]),
        ('[genesys]\napi_url = "https://a:b"', ["api_url"]),
        ("[genesys]\nregion = ''", ["region"]),
        ("[store]\npath = 5", ["path"]),
        ("not toml", ["rollbook.toml", "TOML"]),
        *(
            (f"[views]\ntime_zone = {name!r}", ["[views] time_zone", "Europe/Berlin"])
            for name in ("Mars/Olympus", "a/" * 2_000 + "a", "../UTC", "/etc/passwd", "zone.tab", "Europe")
        ),
        *(
            (f"[store]\n{begin}{part * 15_000}{end}", ["line 2", "a name of more than"])
            for begin, part, end in (
                ("", "a.", "a = 1"),
                ("", '"a".', "a = 1"),
                ("[", "a.", "a]"),
                ("[[", "a.", "a]]"),
                ('"="', ". a", " = 1"),
                ("", '"\u2028".', "a = 1"),
            )
        ),
        *(
            (f"[page]\nhosts = [{name!r}]", ["[page] hosts", "without a port"])
            for name in ("a.example/path", "a.example:8080", "--token", "https://a.example", "a b", "")
        ),
    ],
)
def test_what_has_no_sense_is_named(toml: str, words: list[str], tmp_path: Path) -> None:
    """The message names the file, the key and what it should be; never a secret's value."""
    said = refused(tmp_path, toml)
    for word in words:
        assert word in said
    assert "hunter2" not in said


def test_a_list_of_many_topics_may_stand_in_a_line(tmp_path: Path) -> None:
    """It has as many dots as no name may have, and is none."""
    topics = [f"v2.routing.queues.{number:08}-0000-4000-8000-000000000000.conversations" for number in range(300)]
    listed = ", ".join(f'"{topic}"' for topic in topics)
    assert read(tmp_path, f"[realtime]\ntopics = [\n{listed}\n]").topics == tuple(topics)


@pytest.mark.parametrize("name", ["America/Argentina/Buenos_Aires", "Etc/GMT+5", "Europe/Berlin", "UTC", "EST5EDT"])
def test_a_time_zone_has_a_name_of_the_database(name: str, tmp_path: Path) -> None:
    """Names of one piece, of several, and with a sign are taken."""
    assert read(tmp_path, f'[views]\ntime_zone = "{name}"').time_zone == name


def test_hosts_of_the_page_are_names_or_addresses(tmp_path: Path) -> None:
    """As a request's Host has them, in small letters, without a port or brackets."""
    names = ("rollbook.example.org", "ROLLBOOK", "10.0.0.7", "fd00::7", "my_host-2.")
    assert read(tmp_path, f"[page]\nhosts = {list(names)}").page_hosts == tuple(name.lower() for name in names)


def test_the_settings_file_is_found_or_named(tmp_path: Path) -> None:
    """By flag, by variable, or rollbook.toml; one that was named must exist."""
    (tmp_path / "a.toml").write_text("[realtime]\nusers = true\n")
    (tmp_path / "b.toml").write_text("[realtime]\nusers = false\n")
    assert read(tmp_path, env={"ROLLBOOK_CONFIG": "a.toml"}).users
    assert not read(tmp_path, env={"ROLLBOOK_CONFIG": "a.toml"}, config=Path("b.toml")).users
    assert "c.toml" in refused(tmp_path, config=Path("c.toml"))
    assert "c.toml" in refused(tmp_path, env={"ROLLBOOK_CONFIG": "c.toml"})
    (tmp_path / "latin.toml").write_bytes(b'[store]\npath = "\xff"\n')
    assert "latin.toml" in refused(tmp_path, config=Path("latin.toml"))


@pytest.mark.parametrize(("region", "domain"), [*DOMAINS.items(), *((domain, domain) for domain in DOMAINS.values())])
def test_every_region_by_either_name(region: str, domain: str) -> None:
    """The AWS region and the domain both lead to the domain's hosts."""
    assert hosts(region) == (f"https://api.{domain}", f"https://login.{domain}")


def test_regions_are_read_kindly() -> None:
    """Case, spaces, a leading api. and https:// do not matter; a new domain of the platform's is taken as it is."""
    for spelled in ("EU-Central-1 ", "https://api.mypurecloud.de/", "login.mypurecloud.de", "apps.mypurecloud.de"):
        assert domain_of(spelled) == "mypurecloud.de"
    assert domain_of("euw9.pure.cloud") == "euw9.pure.cloud"


@pytest.mark.parametrize(
    ("region", "word"),
    [
        ("eu-west-7", "did you mean eu-west-"),
        ("mypureclod.com", "mypurecloud.com"),
        ("mars", "us-east-1"),
        ("", "region"),
    ],
)
def test_an_unknown_region_names_what_is_near(region: str, word: str) -> None:
    """Or all regions, if nothing is near."""
    with pytest.raises(SettingsError) as caught:
        domain_of(region)
    assert word in str(caught.value)
    assert repr(region) in str(caught.value)


def test_what_the_platform_needs_is_asked_for(tmp_path: Path) -> None:
    """A region and credentials; a ready token instead of the client's; a private address instead of the region."""
    with pytest.raises(SettingsError, match="GENESYSCLOUD_REGION"):
        read(tmp_path).require_platform()
    with pytest.raises(SettingsError, match="GENESYSCLOUD_OAUTHCLIENT_ID"):
        read(tmp_path, env={"GENESYSCLOUD_REGION": "us-east-1", "GENESYSCLOUD_OAUTHCLIENT_ID": "a"}).require_platform()
    read(tmp_path, env={"GENESYSCLOUD_REGION": "us-east-1", "GENESYSCLOUD_ACCESS_TOKEN": "t"}).require_platform()
    private = read(tmp_path, env={"GENESYSCLOUD_API_URL": "http://127.0.0.1:1", "GENESYSCLOUD_ACCESS_TOKEN": "t"})
    private.require_platform()
    assert private.login_url == "http://127.0.0.1:1"
    sdk = read(tmp_path, env={"GENESYSCLOUD_API_URL": "https://api.mypurecloud.com/"})
    assert sdk.login_url == "https://login.mypurecloud.com"


def test_secrets_show_themselves_nowhere(tmp_path: Path) -> None:
    """Not in a repr, a text or a format; only when they are asked for."""
    env = {
        "GENESYSCLOUD_REGION": "us-east-1",
        "GENESYSCLOUD_OAUTHCLIENT_ID": "client",
        "GENESYSCLOUD_OAUTHCLIENT_SECRET": "hunter2",
        "GENESYSCLOUD_ACCESS_TOKEN": " token7\n",
    }
    settings = read(tmp_path, env=env)
    for shown in (
        repr(settings),
        str(settings),
        f"{settings.client_secret}",
        f"{settings.client_secret!r:>10}",
        str([settings.access_token]),
    ):
        assert "hunter2" not in shown
        assert "token7" not in shown
    assert settings.client_secret is not None
    assert settings.access_token is not None
    assert (settings.client_secret.reveal(), settings.access_token.reveal()) == ("hunter2", "token7")
    assert Secret("a") == Secret("a") != Secret("b")
    assert not Secret("")


@pytest.mark.parametrize("value", ["a\nb", "tökén", "  ", "a\x00b"])
def test_a_secret_that_no_header_takes_is_refused_without_being_shown(value: str, tmp_path: Path) -> None:
    """The variable is named, its value is not."""
    for name in ("GENESYSCLOUD_ACCESS_TOKEN", "GENESYSCLOUD_OAUTHCLIENT_SECRET"):
        said = refused(tmp_path, env={name: value})
        assert name in said
        assert value.strip() == "" or value not in said


def test_a_filter_must_be_as_the_api_takes_it() -> None:
    """Objects in lists under the two names that can be sent."""
    assert check_filter(FILTER) == FILTER
    odd: tuple[Any, ...] = (None, [], {}, {"filters": []}, {"conversationFilters": {}}, {"conversationFilters": [5]})
    for wrong in odd:
        with pytest.raises(ValueError, match=r"conversationFilters|list"):
            check_filter(wrong)
