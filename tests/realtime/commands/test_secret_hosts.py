"""The hosts that will see a secret, as `rollbook doctor` shows them."""

from pathlib import Path

from realtime.commands.secret_hosts import who_sees
from rollbook.genesys.program.settings import load

CLIENT = {"GENESYSCLOUD_OAUTHCLIENT_ID": "a", "GENESYSCLOUD_OAUTHCLIENT_SECRET": "hunter2"}


def test_every_host_is_shown_and_no_secret(tmp_path: Path) -> None:
    """The sign-in, the API, the hook and the queue are named by their hosts; of a hook's address nothing else is."""
    env = {
        **CLIENT,
        "GENESYSCLOUD_REGION": "mypurecloud.de",
        "ROLLBOOK_HOOK_URL": "https://hooks.example.org:8443/t0ken?x=t0ken",
        "ROLLBOOK_HOOK_SECRET": "credential:hook",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }
    (tmp_path / "rollbook.toml").write_text(
        '[realtime.sqs]\nqueue_url = "https://sqs.eu-central-1.amazonaws.com/1/events"\n'
    )
    (tmp_path / "rollbook.toml").chmod(0o600)
    found = who_sees(load(env=env, cwd=tmp_path), env)
    assert found.first == "login.mypurecloud.de (the sign-in) gets the client's secret"
    assert not found.look
    said = "\n".join(found.more)
    for host in ("api.mypurecloud.de", "hooks.example.org:8443", "sqs.eu-central-1.amazonaws.com"):
        assert host in said
    assert "The hook's secret comes from systemd" in said
    assert "SSL_CERT_FILE" in said
    assert "t0ken" not in said
    assert "hunter2" not in said


def test_a_host_that_is_not_the_platforms_is_looked_at(tmp_path: Path) -> None:
    """A host that was named in full is no mistake, and is shown apart, as is a secret's file that others can read."""
    file = tmp_path / "secret"
    file.write_text("s")
    file.chmod(0o644)
    env = CLIENT | {
        "GENESYSCLOUD_API_URL": "https://api.genesys.example",
        "GENESYSCLOUD_OAUTHCLIENT_SECRET": f"file:{file}",
    }
    settings = load(env=env, cwd=tmp_path)
    assert who_sees(settings, {}).look == [
        "api.genesys.example is no host of the platform's: be sure that it is meant",
        "login.genesys.example is no host of the platform's: be sure that it is meant",
        f"{file} can be read by others (`chmod 600 {file}`)",
    ]
    file.chmod(0o600)
    local = env | {"GENESYSCLOUD_API_URL": "http://127.0.0.1:8080"}
    assert who_sees(load(env=local, cwd=tmp_path), {}).look == []
