"""The policy kit: `memory-guild policy check` and `policy test`, and the worked policies in examples/."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from memory_guild.cli import app
from memory_guild.errors import MemoryGuildError, PolicyError, UnreadableFileError

RUNNER = CliRunner()
EXAMPLES = sorted((Path(__file__).parent.parent.parent / "examples" / "policies").glob("*.rego"))


def run(*arguments: object) -> tuple[int, str]:
    """The exit code of the command, and what it prints."""
    result = RUNNER.invoke(app, ["policy", *map(str, arguments)], env={"COLUMNS": "200"})
    if isinstance(result.exception, MemoryGuildError):
        raise result.exception
    return result.exit_code, result.stdout


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_the_worked_policies_decide_their_cases(file: Path) -> None:
    code, printed = run("test", file)
    assert code == 0, printed
    cases = json.loads(file.with_suffix(".cases.json").read_text())
    assert {case["allowed"] for case in cases} == {True, False}
    assert f"{len(cases)} cases, 0 wrong" in printed


def test_there_are_three_of_them() -> None:
    assert [file.stem for file in EXAMPLES] == ["own_memories", "read_only_auditor", "shared_within_tenant"]


def test_a_wrong_decision_is_shown_and_is_exit_code_1(tmp_path: Path) -> None:
    file = tmp_path / "policy.rego"
    file.write_text("package memory.access\nallow := true\n")
    case = {"name": "denies [all]", "input": {"tenant_id": "acme", "action": "read"}, "allowed": False}
    elsewhere = tmp_path / "cases.json"
    elsewhere.write_text(json.dumps([case, case | {"name": "allows", "allowed": True}]))
    code, printed = run("test", file, "--cases", elsewhere)
    assert code == 1
    assert "2 cases, 1 wrong" in printed
    wrong = next(line for line in printed.splitlines() if "wrong " in line and "denies [all]" in line)
    assert wrong.count("deny") == 1
    assert wrong.count("allow ") == 1


def test_check_says_where_a_policy_does_not_compile(tmp_path: Path) -> None:
    file = tmp_path / "policy.rego"
    file.write_text("package memory.access\nallow if {\n  x :=\n}\n")
    with pytest.raises(PolicyError) as caught:
        run("check", file)
    assert (caught.value.line, caught.value.column) == (3, 5)
    file.write_text("package memory.access\nallow := true\n", encoding="utf-8-sig")
    assert run("check", file) == (0, f"{file} compiles\n")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file or directory"),
        (b"\xff", "it is not UTF-8"),
        (b"[{}]", "name: "),
        (b'[{"name": "x", "input": {"tenant_id": "a", "action": "fly"}, "allowed": true}]', "action"),
        (b"nothing", "JSON"),
    ],
    ids=["missing", "no text", "another shape", "an unknown action", "no JSON"],
)
def test_cases_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    file, cases = tmp_path / "policy.rego", tmp_path / "policy.cases.json"
    file.write_text("package memory.access\nallow := true\n")
    if content is not None:
        cases.write_bytes(content)
    with pytest.raises(UnreadableFileError) as caught:
        run("test", file)
    assert caught.value.path == str(cases)
    assert message in caught.value.reason
