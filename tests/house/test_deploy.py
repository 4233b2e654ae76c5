"""What is deployed: checked by the tools that know the languages, and held to the rules that they cannot know."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml
from cfnlint.decode import decode

from rollbook.genesys.errors import SettingsError
from rollbook.genesys.program.settings import ENVIRONMENT
from rollbook.genesys.topics import DETAIL_MEMBERS
from tests.helpers.docs_pages import script
from tests.helpers.paths import ROOT

DEPLOY = ROOT / "deploy"
TEMPLATE = DEPLOY / "aws" / "template.yaml"


def resources() -> dict[str, Any]:
    """The template's resources, functions of CloudFormation as they are spelled in JSON."""
    template, problems = decode(str(TEMPLATE))
    assert not problems
    found: dict[str, Any] = template["Resources"]
    return found


def every(value: Any) -> list[Any]:
    """Every object and text in a value."""
    if isinstance(value, dict):
        return [value, *(part for inner in value.values() for part in every(inner))]
    if isinstance(value, list):
        return [part for inner in value for part in every(inner)]
    return [value]


def lint(*words: str) -> subprocess.CompletedProcess[str]:
    """The command `cfn-lint`."""
    program = "import sys; from cfnlint.runner import main; sys.exit(main())"
    return subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True)


def test_the_template_is_right_for_cfn_lint() -> None:
    """No error, no warning, no hint; and it would say so if there were one."""
    ran = lint(str(TEMPLATE), "--include-checks", "I")
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stdout + ran.stderr


def test_cfn_lint_would_find_what_is_wrong(tmp_path: Path) -> None:
    """A property that does not exist, and a reference to nothing."""
    bad = tmp_path / "template.yaml"
    text = TEMPLATE.read_text()
    bad.write_text(text.replace("MessageRetentionPeriod:", "MessageRetention:").replace("!Ref Bus", "!Ref Boss"))
    ran = lint(str(bad))
    assert {"E3002", "E1020"} <= set(re.findall(r"E\d{4}", ran.stdout)), ran.stdout


def test_one_call_at_a_time_writes_the_mounted_file() -> None:
    """One function, one call; the queue hides a message for six of its timeouts, and does not give it up for a day."""
    found = resources()
    functions = [resource for resource in found.values() if resource["Type"] == "AWS::Serverless::Function"]
    assert len(functions) == 1
    function = functions[0]["Properties"]
    assert function["ReservedConcurrentExecutions"] == 1
    assert function["Handler"] == "realtime.lambda_handler.handler"
    assert set(function["Events"]) == {"Captured", "Scheduled"}
    assert function["Events"]["Captured"]["Properties"]["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    queue = found["Queue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * function["Timeout"]
    given_up_after = queue["RedrivePolicy"]["maxReceiveCount"] * queue["VisibilityTimeout"]
    assert 20 * 3600 <= given_up_after < queue["MessageRetentionPeriod"]
    variables = function["Environment"]["Variables"]
    assert set(variables) <= set(ENVIRONMENT)
    assert variables["ROLLBOOK_DB"].startswith(function["FileSystemConfigs"][0]["LocalMountPath"] + "/")


def test_what_is_stored_is_encrypted_and_the_store_outlives_the_stack() -> None:
    """Queues, file system; a deletion or a replacement keeps the file system."""
    found = resources()
    for resource in found.values():
        if resource["Type"] == "AWS::SQS::Queue":
            assert resource["Properties"]["SqsManagedSseEnabled"] is True
    assert found["Files"]["Properties"]["Encrypted"] is True
    assert (found["Files"]["DeletionPolicy"], found["Files"]["UpdateReplacePolicy"]) == ("Retain", "Retain")


def test_no_star_stands_where_a_name_can() -> None:
    """One statement has a star for its resource: interfaces of a VPC, which have no names. No action has one."""
    statements = [
        part for value in resources().values() for part in every(value) if isinstance(part, dict) and "Effect" in part
    ]
    allowed = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert len(allowed) >= 8
    starred = [statement.get("Sid") for statement in allowed if "*" in str(statement.get("Resource", ""))]
    assert starred == ["JoinTheVpc"]
    for statement in allowed:
        assert "*" not in str(statement["Action"]), statement
        assert "*" not in str(statement.get("Principal", "")), statement
    granted = [statement for statement in terraform_statements() if statement.get("effect") != '"Deny"']
    assert len(granted) >= 8
    assert [statement["sid"] for statement in granted if '"*"' in statement.get("resources", [])] == ['"JoinTheVpc"']
    assert not [statement for statement in granted if any("*" in action for action in statement["actions"])]


@pytest.mark.parametrize(
    "metric",
    [
        "ApproximateAgeOfOldestMessage",
        "ApproximateNumberOfMessagesVisible",
        "NumberOfMessagesSent",
        "FailedWindows",
        "Windows",
        "DeadLetters",
    ],
)
def test_there_is_an_alarm_on(metric: str) -> None:
    """Age, depth of the dead-letter queue, no events, failed windows: in both templates."""
    alarms = [
        resource["Properties"] for resource in resources().values() if resource["Type"] == "AWS::CloudWatch::Alarm"
    ]
    assert metric in {alarm["MetricName"] for alarm in alarms}
    assert all(alarm["AlarmActions"] for alarm in alarms)
    assert f'"{metric}"' in (DEPLOY / "terraform" / "alarms.tf").read_text()


def test_the_functions_own_metrics_are_those_that_alarms_look_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Names and dimension as CloudWatch reads them out of the log; outside a function nothing is written."""
    import json

    from reconcile.lambda_handler import _count
    from rollbook.genesys.program import cloudwatch

    _count({"windows": []})
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    _count({"windows": [{"verdict": "failed"}, {"verdict": "complete"}], "errors": [{"error": "x"}]})
    cloudwatch.count(DeadLetters=3)
    windows, letters = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (windows["FailedWindows"], windows["Windows"], windows["FunctionName"]) == (2, 2, "f")
    assert letters["DeadLetters"] == 3
    for line in (windows, letters):
        (metric,) = line["_aws"]["CloudWatchMetrics"]
        assert (metric["Namespace"], metric["Dimensions"]) == ("rollbook", [["FunctionName"]])
        assert {shown["Name"] for shown in metric["Metrics"]} <= set(line)


# Terraform


def terraform() -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """Every block, by kind: (type, name, what it says)."""
    found: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path in sorted((DEPLOY / "terraform").glob("*.tf")):
        with path.open() as file:
            parsed = hcl2.load(file)
        for kind, blocks in parsed.items():
            if kind in ("resource", "data"):
                for block in blocks:
                    for type_, named in block.items():
                        if isinstance(named, dict):
                            for name, body in named.items():
                                if isinstance(body, dict):
                                    found.setdefault(kind, []).append((type_.strip('"'), name.strip('"'), body))
    return found


def test_terraform_is_parsed_and_has_the_same_as_the_template() -> None:
    """By a real HCL parser: bus, rules, queues, function, schedule, store, alarms, and the Genesys side."""
    types = {type_ for type_, _, _ in terraform()["resource"]}
    assert {
        "genesyscloud_integration",
        "aws_cloudwatch_event_bus",
        "aws_cloudwatch_event_rule",
        "aws_cloudwatch_event_target",
        "aws_sqs_queue",
        "aws_sqs_queue_policy",
        "aws_lambda_function",
        "aws_lambda_event_source_mapping",
        "aws_efs_file_system",
        "aws_efs_access_point",
        "aws_efs_mount_target",
        "aws_cloudwatch_metric_alarm",
        "aws_iam_role_policy",
    } <= types
    (function,) = [body for type_, _, body in terraform()["resource"] if type_ == "aws_lambda_function"]
    template = resources()["Function"]["Properties"]
    assert function["timeout"] == template["Timeout"]
    assert function["reserved_concurrent_executions"] == 1
    assert function["memory_size"] == template["MemorySize"]
    (queue,) = [body for type_, name, body in terraform()["resource"] if (type_, name) == ("aws_sqs_queue", "events")]
    assert queue["visibility_timeout_seconds"] == resources()["Queue"]["Properties"]["VisibilityTimeout"]


def terraform_statements() -> list[dict[str, Any]]:
    """The statements of every policy document, without those that depend on a variable."""
    documents = [body for type_, _, body in terraform()["data"] if type_ == "aws_iam_policy_document"]
    return [statement for document in documents for statement in document["statement"]]


@pytest.mark.parametrize(
    ("denied", "places"),
    # Of the queues Terraform has one document, which is made for each.
    [("OnlyByTls", {"template": 4, "terraform": 3}), ("OnlyByAnAccessPoint", {"template": 1, "terraform": 1})],
)
def test_what_is_not_encrypted_on_the_way_is_refused(denied: str, places: dict[str, int]) -> None:
    """Both queues, the alarms and the file system take nothing without TLS, and the last only by its access point."""
    parts = [part for value in resources().values() for part in every(value) if isinstance(part, dict)]
    template = [part for part in parts if part.get("Sid") == denied]
    statements = [statement for statement in terraform_statements() if statement.get("sid") == f'"{denied}"']
    assert {"template": len(template), "terraform": len(statements)} == places
    assert {part["Effect"] for part in template} == {"Deny"}
    assert {statement["effect"] for statement in statements} == {'"Deny"'}


def test_a_call_that_fails_is_told_of_and_a_key_of_ones_own_can_be_used() -> None:
    """The schedule's failed calls go where alarms go; store, log and alarms take a key: in both templates."""
    found = resources()
    assert found["Function"]["Properties"]["EventInvokeConfig"]["DestinationConfig"]["OnFailure"]["Type"] == "SNS"
    blocks = {(type_, name): body for type_, name, body in terraform()["resource"]}
    assert blocks["aws_lambda_function_event_invoke_config", "this"]["destination_config"]
    for name, key in (("Files", "KmsKeyId"), ("Log", "KmsKeyId"), ("Alarms", "KmsMasterKeyId")):
        assert found[name]["Properties"][key]["Fn::If"][0] == "HasKey"
    for block, key in (
        (("aws_efs_file_system", "this"), "kms_key_id"),
        (("aws_cloudwatch_log_group", "this"), "kms_key_id"),
        (("aws_sns_topic", "alarms"), "kms_master_key_id"),
    ):
        assert "var.key_arn" in blocks[block][key]


def test_the_state_of_terraform_is_in_no_commit() -> None:
    """It has every address, and secrets of whatever is added."""
    assert {"*.tfstate", "*.tfstate.*", ".terraform/"} <= set((ROOT / ".gitignore").read_text().splitlines())


def test_a_broken_terraform_file_is_found(tmp_path: Path) -> None:
    """The parser is one: it refuses what is no HCL."""
    text = (DEPLOY / "terraform" / "events.tf").read_text()
    with pytest.raises(Exception, match=r"Unexpected|unexpected"):
        hcl2.loads(text.replace("{", "", 1))


def test_the_integration_asks_for_every_detail_event() -> None:
    """The sixteen members, in Terraform and in the words for those who click."""
    text = (DEPLOY / "terraform" / "genesys.tf").read_text()
    listed = re.search(r"detail_members = \[(.*?)\]", text, re.DOTALL)
    assert listed
    assert sorted(re.findall(r'"([^"]+)"', listed[1])) == sorted(DETAIL_MEMBERS)
    readme = (DEPLOY / "README.md").read_text()
    for member in DETAIL_MEMBERS:
        assert f".{member}`" in readme, member


# The rest


def test_every_file_is_described() -> None:
    """By its name, in deploy/README.md; and each way has a way back."""
    readme = (DEPLOY / "README.md").read_text()
    for path in DEPLOY.rglob("*"):
        if path.is_file() and path.name != "README.md" and "__pycache__" not in path.parts and path.name != ".env":
            assert path.name in readme, path
    assert readme.count("Take it down") == 4


def test_compose_and_image_agree() -> None:
    """The compose file builds the Dockerfile that is there, and gives it no rights that it does not need."""
    (service,) = yaml.safe_load((DEPLOY / "docker" / "compose.yaml").read_text())["services"].values()
    assert (ROOT / service["build"]["dockerfile"]).is_file()
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])


def test_the_package_asks_for_what_the_project_declares() -> None:
    """Its requirements are the project's own, with their bounds."""
    package = script(DEPLOY / "aws" / "package.py")
    needed = package.requirements("3.12")
    assert len(needed) == len(package.NEEDED)
    assert all(">=" in requirement and ";" not in requirement for requirement in needed)


def test_the_package_leaves_out_what_its_python_has() -> None:
    """The condition of a dependency is compared with the function's Python, not with that which builds the package."""
    package = script(DEPLOY / "aws" / "package.py")
    names = {python: {line.partition(">=")[0] for line in package.requirements(python)} for python in ("3.13", "3.14")}
    assert names["3.13"] - names["3.14"] == {"backports.zstd"}


def unit(name: str) -> dict[str, str]:
    """The [Service] section of a unit."""
    read = configparser.ConfigParser(interpolation=None)
    read.optionxform = str  # type: ignore[assignment]
    read.read(DEPLOY / "systemd" / name)
    return dict(read["Service"])


def test_a_wrong_setting_is_not_tried_for_ever() -> None:
    """Status 2 stays; a start that waits for the platform is not ended from outside; no settings file is needed."""
    daemon, due = unit("rollbook.service"), unit("rollbook-due.service")
    assert daemon["RestartPreventExitStatus"] == str(SettingsError.exit_status)
    assert daemon["TimeoutStartSec"] == "infinity"
    for service in (daemon, due):
        assert "--config" not in service["ExecStart"]
        assert service["WorkingDirectory"] == "/etc/rollbook"


def test_both_units_may_do_as_little() -> None:
    """What the daemon's unit forbids, the other's forbids too."""
    daemon, due = unit("rollbook.service"), unit("rollbook-due.service")
    forbids = {
        name: value
        for name, value in daemon.items()
        if name.startswith(
            (
                "NoNew",
                "Protect",
                "Private",
                "Restrict",
                "Lock",
                "MemoryDeny",
                "SystemCall",
                "UMask",
                "Cap",
                "Ambient",
                "Device",
                "RemoveIPC",
                "Proc",
                "Limit",
                "LoadCred",
            )
        )
    }
    assert len(forbids) > 10
    assert forbids.items() <= due.items()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
@pytest.mark.parametrize("name", ["rollbook.service", "rollbook-due.service"])
def test_a_unit_is_closed(name: str) -> None:
    """systemd's own judgement of what the service could do to the machine is below 2.0 of 10."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(DEPLOY / "systemd" / name)]
    ran = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"Overall exposure level for .*?: (\d+\.\d)", ran.stdout)
    if found is None:
        pytest.skip("this systemd-analyze judges no file")
    assert float(found[1]) < 2.0, ran.stdout


def test_the_services_leave_no_core_and_their_secret_in_no_environment() -> None:
    """A core has the secret; a variable is seen by `systemctl show` and by whatever the service starts."""
    for name in ("rollbook.service", "rollbook-due.service"):
        service = unit(name)
        assert service["LimitCORE"] == "0"
        assert int(service["LimitNOFILE"]) >= 4_096
        credential, _, _ = service["LoadCredential"].partition(":")
        assert service["Environment"] == f"GENESYSCLOUD_OAUTHCLIENT_SECRET=credential:{credential}"


def test_the_secret_of_the_container_is_in_no_commit_and_no_image() -> None:
    """deploy/docker/.env holds it."""
    for name in (".gitignore", ".dockerignore"):
        assert {".env", "**/.env"} & set((ROOT / name).read_text().splitlines()), name
