"""Writing policies, and how soon agents decide by them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

import memory_guild as guild
from memory_guild.errors import (
    AccessDeniedError,
    InvalidInputError,
    PermissionDeniedError,
    PolicyEngineError,
    PolicyError,
    ScopeError,
    SettingsError,
    TenantNotSetError,
)
from memory_guild.policies.deciding import current_decider

ALLOW = "package memory.access\nallow := true\n"
DENY = "package memory.access\ndeny := true\n"
INPUT = {
    "agent_id": "me",
    "tenant_id": "acme",
    "action": "read",
    "memory": {"agent_id": "me", "source_type": "document"},
}


@pytest.fixture
async def connected(verbs_database_url: str, superuser: asyncpg.Connection[asyncpg.Record]) -> AsyncIterator[None]:
    """The package, connected to a database without a policy; they are not enforced."""
    await superuser.execute("DELETE FROM memory_access_policies")
    async with guild.connect(verbs_database_url, check_schema=False):
        yield
    await superuser.execute("DELETE FROM memory_access_policies")


@pytest.mark.usefixtures("connected")
async def test_put_list_and_remove() -> None:
    async with guild.admin_scope("test"):
        first = await guild.policies.put("b", ALLOW)
        await guild.policies.put("a", DENY, is_active=False)
        again = await guild.policies.put("b", ALLOW + "# newer\n")
        assert again.policy_id == first.policy_id
        assert again.policy_rules == {"rego": ALLOW + "# newer\n", "version": "v1"}
        assert [(policy.policy_name, policy.is_active) for policy in await guild.policies.list_all()] == [
            ("a", False),
            ("b", True),
        ]
        assert await guild.policies.remove("a") is True
        assert await guild.policies.remove("a") is False
    async with guild.tenant_scope("acme"):
        assert [policy.policy_name for policy in await guild.policies.list_all()] == ["b"]


@pytest.mark.usefixtures("connected")
async def test_a_policy_that_is_put_again_has_another_version() -> None:
    versions = []
    for rego in (ALLOW, DENY):
        async with guild.admin_scope("test"):
            await guild.policies.put("a", rego)
        async with guild.admin_scope("test"):
            versions.append((await guild.policies.list_all())[0].updated_at)
    assert None not in versions
    assert versions[0] != versions[1]


@pytest.mark.usefixtures("connected")
async def test_what_put_refuses_is_not_written() -> None:
    async with guild.admin_scope("test"):
        await guild.policies.put("a", ALLOW)
        with pytest.raises(PolicyError) as caught:
            await guild.policies.put("a", "package memory.access\nallow if {\n  x :=\n}")
        with pytest.raises(InvalidInputError, match="name"):
            await guild.policies.put("", ALLOW)
        with pytest.raises(InvalidInputError, match="is_active: must be True or False, not str"):
            await guild.policies.put("b", ALLOW, is_active="no")  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError, match="rego"):
            await guild.policies.put("b", 3)  # type: ignore[arg-type]
        (policy,) = await guild.policies.list_all()
    assert (caught.value.line, caught.value.column) == (3, 5)
    assert policy.policy_rules["rego"] == ALLOW


@pytest.mark.usefixtures("connected")
async def test_only_an_admin_scope_changes_policies() -> None:
    async with guild.tenant_scope("acme"):
        with pytest.raises(ScopeError, match="policies are of all tenants"):
            await guild.policies.put("a", ALLOW)
        with pytest.raises(ScopeError, match="policies are of all tenants"):
            await guild.policies.remove("a")
    with pytest.raises(TenantNotSetError):
        await guild.policies.put("a", ALLOW)
    with pytest.raises(PermissionDeniedError):
        async with guild.tenant_scope("acme"):
            await guild.MemoryAccessPolicy.create(policy_name="a", policy_rules={"rego": ALLOW, "version": "v1"})


@pytest.mark.usefixtures("connected")
async def test_decide_asks_though_nothing_is_enforced() -> None:
    async with guild.tenant_scope("acme"):
        assert await guild.policies.decide(INPUT) == (False, "no policy is active", None, True)
        with pytest.raises(InvalidInputError, match="action"):
            await guild.policies.decide(INPUT | {"action": "fly"})
    schema = guild.policies.PolicyInput.model_json_schema()
    assert set(schema["properties"]) == {"agent_id", "tenant_id", "action", "memory", "source"}


@pytest.mark.usefixtures("connected")
async def test_what_an_admin_scope_has_not_committed_is_for_nobody_else_to_decide_by() -> None:
    """Who tries out a policy and rolls back has changed nothing for the agents of the process."""
    with pytest.raises(ZeroDivisionError):
        async with guild.admin_scope("try it out"):
            assert not (await guild.policies.decide(INPUT)).allowed
            await guild.policies.put("wide", ALLOW)
            assert (await guild.policies.decide(INPUT)).allowed
            raise ZeroDivisionError
    async with guild.tenant_scope("acme"):
        assert (await guild.policies.decide(INPUT)).reason == "no policy is active"


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ('{"rego": 3}', "its policy_rules have another shape"),
        ('{"rego": "package memory.access\\nallow := true", "version": "v9"}', "its policy_rules have another shape"),
        ('{"allow": "all"}', "its policy_rules have another shape"),
        ('{"rego": "package memory.access\\nallow { true }", "version": "v1"}', "it is a body without `if`"),
        ('{"rego": "package memory.access\\nallow if {", "version": "v1"}', "it does not compile"),
    ],
)
async def test_what_sql_has_written_denies_everything_where_it_is_no_policy(
    verbs_database_url: str, superuser: asyncpg.Connection[asyncpg.Record], connected: None, rules: str, reason: str
) -> None:
    async with guild.admin_scope("test"):
        await guild.policies.put("good", ALLOW)
    await superuser.execute("INSERT INTO memory_access_policies (policy_name, policy_rules) VALUES ('bad', $1)", rules)
    async with guild.tenant_scope("acme"):
        decision = await guild.policies.decide(INPUT)
    assert not decision.allowed
    assert decision.reason.startswith(f"the policy bad failed: {reason}")


@pytest.mark.long
@pytest.mark.parametrize("seconds", [0.3, 0.0])
async def test_no_request_is_decided_by_a_policy_older_than_the_setting_says(
    verbs_database_url: str,
    superuser: asyncpg.Connection[asyncpg.Record],
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
) -> None:
    """Agents work while policies change: each request knows all that was committed so long before it began."""
    monkeypatch.setenv("MEMORY_GUILD_POLICIES", "rego")
    monkeypatch.setenv("MEMORY_GUILD_POLICIES_MAX_AGE_SECONDS", str(seconds))
    await superuser.execute("DELETE FROM memory_access_policies")
    changed_at = [(time.monotonic(), 0)]  # when version n was committed; even versions deny
    late: list[str] = []
    stop = False

    def rego(version: int) -> str:
        return f"package memory.access\n# {version}\nallow := {'true' if version % 2 else 'false'}\n"

    async def work() -> int:
        requests = 0
        while not stop:
            began = time.monotonic()
            async with guild.tenant_scope("acme", "me"):
                try:
                    await guild.remember(f"text {requests}", source_type="document")
                    allowed = True
                except AccessDeniedError:
                    allowed = False
            known = [version for at, version in changed_at if at <= began - seconds]
            newer = {version for at, version in changed_at if version >= (known[-1] if known else 0)}
            if allowed not in {version % 2 == 1 for version in newer}:
                late.append(f"{allowed} at {began}, {changed_at}")
            requests += 1
        return requests

    async with guild.connect(verbs_database_url, check_schema=False):
        async with guild.admin_scope("test"):
            await guild.policies.put("changing", rego(0))
        working = [asyncio.create_task(work()) for _ in range(3)]
        for version in range(1, 9):
            await asyncio.sleep(2 * seconds + 0.1)
            async with guild.admin_scope("test"):
                await guild.policies.put("changing", rego(version))
            changed_at.append((time.monotonic(), version))
        stop = True
        assert sum(await asyncio.gather(*working)) > 20
    await superuser.execute("DELETE FROM memory_access_policies")
    assert not late


async def test_the_worker_ends_with_the_pool(verbs_database_url: str) -> None:
    async with guild.connect(verbs_database_url, check_schema=False):
        async with guild.tenant_scope("acme"):
            await guild.policies.decide(INPUT)
        async with guild.admin_scope("test"):
            await guild.policies.put("a", ALLOW)
            engine = current_decider().engine
            process = engine._process  # type: ignore[attr-defined]
            await guild.policies.remove("a")
        assert process.poll() is None
    assert process.poll() is not None


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"MEMORY_GUILD_POLICIES": "on"}, "MEMORY_GUILD_POLICIES: must be off, rego or opa"),
        ({"MEMORY_GUILD_POLICIES": "opa"}, "MEMORY_GUILD_OPA_URL: is required where MEMORY_GUILD_POLICIES is opa"),
        (
            {"MEMORY_GUILD_POLICIES": "opa", "MEMORY_GUILD_OPA_URL": "localhost:8181"},
            "MEMORY_GUILD_OPA_URL: must begin with http:// or https://",
        ),
        (
            {"MEMORY_GUILD_POLICIES": "opa", "MEMORY_GUILD_OPA_URL": "http://user:secret@localhost:8181"},
            "MEMORY_GUILD_OPA_URL: must not contain a password",
        ),
    ],
)
async def test_settings_that_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], message: str
) -> None:
    if variables["MEMORY_GUILD_POLICIES"] == "opa":
        pytest.importorskip("httpx")  # without it, that is what is said
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        async with guild.connect():
            pass
    assert str(caught.value).startswith(message)


async def test_policies_on_an_opa_server_are_not_put_here(
    verbs_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("httpx")
    monkeypatch.setenv("MEMORY_GUILD_POLICIES", "opa")
    monkeypatch.setenv("MEMORY_GUILD_OPA_URL", "http://localhost:1")
    async with guild.connect(verbs_database_url, check_schema=False):
        async with guild.admin_scope("test"):
            with pytest.raises(PolicyEngineError, match="the policies are on the OPA server"):
                await guild.policies.put("a", ALLOW)
        async with guild.tenant_scope("acme", "me"):
            with pytest.raises(AccessDeniedError, match="the OPA server could not be asked"):
                await guild.remember("text", source_type="document")


@pytest.mark.parametrize(
    ("mode", "active", "told"),
    [
        ("off", None, ("ok", "off; 0 in the database, 0 active")),
        ("off", True, ("notice", "off, so nobody asks them; 1 in the database, 1 active")),
        ("rego", True, ("ok", "on (rego); 1 in the database, 1 active")),
        (
            "rego",
            False,
            ("notice", "on, and everything is denied, because none is active; 1 in the database, 0 active"),
        ),
        ("opa", None, ("ok", "the OPA server at http://localhost:1 decides")),
    ],
)
async def test_the_doctor_says_whether_policies_are_enforced(
    verbs_database_url: str,
    connected: None,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    active: bool | None,
    told: tuple[str, str],
) -> None:
    if active is not None:
        async with guild.admin_scope("test"):
            await guild.policies.put("a", ALLOW, is_active=active)
    if mode == "opa":
        pytest.importorskip("httpx")
    monkeypatch.setenv("MEMORY_GUILD_POLICIES", mode)
    monkeypatch.setenv("MEMORY_GUILD_OPA_URL", "http://localhost:1")
    (finding,) = [one for one in await guild.schema.doctor(verbs_database_url) if one.subject == "access policies"]
    assert (finding.level, finding.detail) == told
    assert bool(finding.mend) is (finding.level == "notice")


@pytest.mark.long
def test_an_event_loop_that_follows_another_has_an_engine_of_its_own(verbs_database_url: str) -> None:
    """Scripts and notebooks call asyncio.run() again and again, and eight tasks wait for the engine at once."""
    program = """
import asyncio
import os
import subprocess
import sys
from tortoise import Tortoise
import memory_guild as guild
from memory_guild.database.engine import client
from memory_guild.settings import TORTOISE_ORM

async def set_up():
    await Tortoise.init(config=TORTOISE_ORM)
    async with guild.admin_scope("test"):
        await guild.policies.put("of several loops", "package memory.access\\nallow := true\\n")
    return await work()

async def work():
    async def store(number):
        async with guild.tenant_scope("acme", "me"):
            await guild.remember(f"in several loops {number}", source_type="document")
            return next(iter(client().pool.deciders.values()))
    return set(await asyncio.gather(*map(store, range(8))))

deciders = [asyncio.run(work()) if number else asyncio.run(set_up()) for number in range(3)]
print([len(found) for found in deciders], len(set().union(*deciders)))

async def clean_up():
    async with guild.admin_scope("test"):
        await guild.policies.remove("of several loops")
asyncio.run(clean_up())
"""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("MEMORY_GUILD_")},
        "MEMORY_GUILD_DATABASE_URL": verbs_database_url,
        "MEMORY_GUILD_POLICIES": "rego",
    }
    finished = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert finished.stdout == "[1, 1, 1] 3\n", finished.stderr
