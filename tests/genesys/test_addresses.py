"""Addresses that secrets travel to: which are taken, and where a channel's address may lead."""

from pathlib import Path

import pytest

from rollbook.genesys.addresses import Hidden, checked, host_of, is_loopback, why_no_socket
from rollbook.genesys.errors import SettingsError
from rollbook.genesys.program.settings import load
from rollbook.genesys.regions import DOMAINS, domain_of


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "127.0.0.1", "127.8.8.8", "::1", "[::1]"])
def test_this_machine(host: str) -> None:
    """Every spelling of this machine's own loopback is one."""
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.0", "::", "10.0.0.1", "localhost.evil.example", "127.0.0.1.evil.example", "2130706433", "host"]
)
def test_other_machines(host: str) -> None:
    """What only looks like loopback, or is every address of this machine, is another."""
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://api.example.org", "must begin with https://"),
        ("http://127.0.0.1.evil.example", "must begin with https://"),
        ("http://0.0.0.0:80", "must begin with https://"),
        ("ftp://api.example.org", "must be an address"),
        ("api.example.org", "must be an address"),
        ("https://", "must be an address"),
        ("https://a b", "must be an address"),
        ("https://api.example.org\\@evil.example", "must be an address"),
        ("https://api.example.org:99999", "must be an address"),
        ("https://api.example.org?x=1", "must not have a ?"),
        ("https://api.example.org/#x", "must not have a ?"),
        ("https://me:hunter2@api.example.org", "must not have a user or a password"),
        ("https://me@api.example.org", "must not have a user or a password"),
        ("https://@api.example.org", "must not have a user or a password"),
        ("hunter2@api.example.org", "must be an address"),
    ],
)
def test_what_is_no_address_for_a_secret(address: str, why: str, tmp_path: Path) -> None:
    """It is refused with words that say why; one with an @ is never shown, for a password may stand before it."""
    with pytest.raises(ValueError, match="must") as caught:
        checked(address, example="https://api.mypurecloud.com")
    assert why in str(caught.value)
    for variable in ("GENESYSCLOUD_API_URL", "GENESYSCLOUD_LOGIN_URL"):
        with pytest.raises(SettingsError) as refused:
            load(env={variable: address}, cwd=tmp_path)
        assert variable in str(refused.value)
        if "@" in address:
            assert isinstance(caught.value, Hidden)
            assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "address", ["https://api.mypurecloud.com", "https://proxy.corp/genesys", "http://localhost:8080", "http://[::1]:1"]
)
def test_addresses_that_are_taken(address: str) -> None:
    """https to any host that was named in full, http to this machine."""
    assert checked(address, example="x").hostname


def test_a_host_as_people_read_it() -> None:
    """Only an unusual port is shown."""
    assert host_of("https://login.mypurecloud.de:443/x") == "login.mypurecloud.de"
    assert host_of("http://[::1]:8080") == "[::1]:8080"


@pytest.mark.parametrize(
    "region",
    ["mypurecloud.evil", "mypurecloud.com.evil.example", "evilpure.cloud", "pure.cloud", "a.b.pure.cloud",
     "x.mypurecloud.com", "euw2.pure.cloud@evil.example", "-.pure.cloud"],
)  # fmt: skip
def test_a_domain_that_only_looks_right_is_no_region(region: str) -> None:
    """A region is in the list, or below a domain that is the platform's alone; any other is named in full."""
    with pytest.raises(SettingsError, match="GENESYSCLOUD_API_URL") as caught:
        domain_of(region)
    assert "@" not in str(caught.value)


API = "https://api.mypurecloud.de"


@pytest.mark.parametrize(
    ("uri", "api", "why"),
    [
        ("wss://streaming.mypurecloud.de/channels/c", API, None),
        ("wss://streaming.mypurecloud.de:443/channels/c", API, None),
        ("wss://STREAMING.MYPURECLOUD.DE/channels/c", API, None),
        ("ws://streaming.mypurecloud.de/channels/c", API, "without TLS"),
        ("https://streaming.mypurecloud.de/channels/c", API, "no WebSocket address"),
        ("wss://streaming.mypurecloud.com/channels/c", API, "no host of the region"),
        ("wss://evil.example/channels/c", API, "no host of the region"),
        ("wss://evilmypurecloud.de/channels/c", API, "no host of the region"),
        ("wss://streaming.mypurecloud.de.evil.example/c", API, "no host of the region"),
        ("wss://streaming.mypurecloud.de:8443/c", API, "the port 8443"),
        ("wss://streaming.mypurecloud.de@evil.example/c", API, "a user or a password"),
        ("wss://streaming.mypurecloud.de\\@evil.example/c", API, "no WebSocket address"),
        ("wss://127.0.0.1/c", API, "no host of the region"),
        ("ws://127.0.0.1:9/c", API, "without TLS"),
        ("", API, "no WebSocket address"),
        # An API under a name of somebody's own: the platform answers with its own address.
        ("wss://streaming.euw2.pure.cloud/c", "https://genesys.corp.example", None),
        ("wss://genesys.corp.example:8443/c", "https://genesys.corp.example:8443", None),
        ("wss://evil.example/c", "https://genesys.corp.example", "no host of the region"),
        # A region that this version does not know, named in full.
        ("wss://streaming.euw9.pure.cloud/c", "https://api.euw9.pure.cloud", None),
        ("wss://streaming.euw2.pure.cloud/c", "https://api.euw9.pure.cloud", "no host of the region"),
        # A simulator on this machine.
        ("ws://127.0.0.1:4711/channels/c", "http://127.0.0.1:4711", None),
        ("ws://localhost:4711/channels/c", "http://127.0.0.1:4711", None),
        ("ws://evil.example/c", "http://127.0.0.1:4711", "without TLS"),
        ("wss://evil.example/c", "http://127.0.0.1:4711", "no host of the region"),
    ],
)
def test_where_a_channel_may_lead(uri: str, api: str, why: str | None) -> None:
    """To a host of the API's region, by wss; on this machine to this machine."""
    found = why_no_socket(uri, api)
    assert (found is None) == (why is None), found
    assert why is None or why in (found or "")


@pytest.mark.parametrize("domain", DOMAINS.values())
def test_every_region_may_be_listened_to(domain: str) -> None:
    """The address that the platform documents is followed in every region."""
    assert why_no_socket(f"wss://streaming.{domain}/channels/streaming-0-x", f"https://api.{domain}") is None
