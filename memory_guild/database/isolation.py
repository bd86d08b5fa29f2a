"""Whether tenants are really isolated: one query of the catalog, and what it means for this login."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from memory_guild.database.engine import client
from memory_guild.database.statements import statement
from memory_guild.errors import IsolationError


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check.

    Attributes:
        level: ``ok``; ``notice`` for what works but deserves attention; ``broken`` for what lets tenants see each other
            or keeps scopes from working.
        subject: What was looked at.
        detail: What was found.
        mend: What to do; empty where nothing needs to be done.
        group: The group of tenants that it is about; None where it is about the database, or there is one group.
    """

    level: Literal["ok", "notice", "broken"]
    subject: str
    detail: str
    mend: str = ""
    group: str | None = None


async def check_isolation() -> None:
    """Verify, in one round trip, that scopes of this login isolate tenants.

    Raises:
        IsolationError: They do not; the error lists why.
    """
    problems = [finding.detail for finding in findings(await isolation_facts()) if finding.level == "broken"]
    if problems:
        raise IsolationError(problems)


async def isolation_facts() -> dict[str, Any]:
    """What the catalog says, by the names of ``sql/isolation_facts.sql``, and whether this process has a key."""
    (facts,) = await client().execute_query_dict(statement("database/isolation_facts"))
    return dict(facts) | {"has_seal_key": client().pool.seal.key is not None}


def findings(facts: dict[str, Any]) -> Iterator[Finding]:
    """What follows from the facts."""
    yield from _roles(facts)
    yield from _tables(facts)
    yield from _seal(facts)
    yield _login(facts)
    yield from _other_roles(facts)
    yield _backup(facts)
    yield _plans(facts)


def _roles(facts: dict[str, Any]) -> Iterator[Finding]:
    roles = _list(
        "roles", facts["missing_roles"], "the server lacks the roles {}", "CREATE ROLE {} NOLOGIN", "both roles exist"
    )
    if roles.mend:
        roles = replace(roles, mend=f"{roles.mend}; -- or run `memory-guild upgrade`, which grants what they need too")
    yield roles
    yield _list(
        "roles' attributes",
        facts["roles_above_row_security"],
        "row-level security does not apply to {}",
        "ALTER ROLE {} NOSUPERUSER NOBYPASSRLS",
        "row-level security applies to both roles",
    )
    login = facts["login"]
    if facts["may_become_app"]:
        yield Finding("ok", "application role", f"the login {login} may become memory_guild_app")
    else:
        yield Finding(
            "notice" if facts["may_become_admin"] else "broken",  # a maintenance login needs no tenant_scope()
            "application role",
            f"the login {login} may not become memory_guild_app",
            f"GRANT memory_guild_app TO {login}",
        )
    if not facts["may_become_admin"]:
        yield Finding(
            "ok", "maintenance role", f"the login {login} has no admin_scope(), as an agent's login should be"
        )
    else:
        yield Finding("notice", "maintenance role", f"the login {login} may open admin_scope(), which sees all tenants")


def _tables(facts: dict[str, Any]) -> Iterator[Finding]:
    upgrade = "run `memory-guild validate`, and bring the tables back to what the migrations make"
    yield _list(
        "row-level security",
        facts["tables_without_row_security"],
        "row-level security is not enabled and forced on {}",
        "ALTER TABLE {} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        "enabled and forced on the three tenant tables",
    )
    yield _list(
        "policies", facts["tables_without_policy"], "no policy isolates {}", upgrade, "each table has its policy"
    )
    yield _list(
        "other policies",
        facts["foreign_policies"],
        "a policy that is not ours lets more rows through: {}",
        "DROP POLICY {}",
        "no other policy lets rows through",
    )
    yield _list("guards", facts["missing_guards"], "a guard trigger is missing or disabled: {}", upgrade, "all enabled")
    yield _list(
        "grants",
        facts["tables_without_grants"],
        "memory_guild_app lacks grants on {}",
        "run `memory-guild upgrade`, which grants them again",
        "as the migration gave them",
    )
    yield _list(
        "TRUNCATE",
        facts["tables_with_truncate"],
        "memory_guild_app may TRUNCATE {}, which no policy restricts",
        "REVOKE TRUNCATE ON {} FROM memory_guild_app, PUBLIC",
        "memory_guild_app may not TRUNCATE",
    )


def _list(subject: str, wrong: list[str], problem: str, mend: str, fine: str) -> Finding:
    if wrong:
        mends = dict.fromkeys(mend.format(name) for name in wrong)
        return Finding("broken", subject, problem.format(", ".join(wrong)), "; ".join(mends))
    return Finding("ok", subject, fine)


def _seal(facts: dict[str, Any]) -> Iterator[Finding]:
    if not facts["is_sealed"]:
        yield Finding(
            "notice",
            "seal",
            "not sealed: the tenant is a setting, and a statement that changes it reaches another tenant",
            "memory-guild seal, and give agents the key that it prints as MEMORY_GUILD_SEAL_KEY",
        )
    elif not facts["has_seal_key"] and facts["may_become_app"]:
        yield Finding(
            "broken",
            "seal",
            "the database is sealed, and this process has no key",
            "set MEMORY_GUILD_SEAL_KEY to what `memory-guild seal` prints",
        )
    else:
        yield Finding("ok", "seal", "sealed: no statement can become another tenant, whatever its text")
    if facts["seals_in_reach"]:
        yield _list(
            "the seal's privileges",
            facts["seals_in_reach"],
            "memory_guild_app has privileges on {}, which prove what a transaction was opened for",
            "REVOKE ALL ON {} FROM memory_guild_app, PUBLIC",
            "",
        )


def _other_roles(facts: dict[str, Any]) -> Iterator[Finding]:
    """The roles that a statement could switch to with ``SET ROLE``. A superuser can become any role."""
    if facts["may_become_too"] and not facts["login_is_superuser"]:
        roles = ", ".join(facts["may_become_too"])
        yield Finding(
            "notice",
            "other roles",
            f"a statement can leave a scope's role for {roles}, of which {facts['login']} is a member",
            f"REVOKE {roles} FROM {facts['login']}",
        )


def _login(facts: dict[str, Any]) -> Finding:
    login, own = facts["login"], "CREATE ROLE agents LOGIN IN ROLE memory_guild_app, and connect as that role"
    if facts["login_is_superuser"]:
        return Finding("notice", "login", f"{login} is a superuser: outside scopes it sees every tenant", own)
    if facts["login_bypasses_row_security"]:
        return Finding(
            "notice", "login", f"{login} bypasses row-level security: outside scopes it sees every tenant", own
        )
    if facts["login_owns_tables"]:
        return Finding("notice", "login", f"{login} owns the tables: it could switch the isolation off", own)
    return Finding("ok", "login", f"{login} is neither superuser nor owner")


def _backup(facts: dict[str, Any]) -> Finding:
    if facts["backup_roles"]:
        return Finding("ok", "backup role", f"{', '.join(facts['backup_roles'])} can dump every tenant's rows")
    return Finding(
        "notice",
        "backup role",
        "only a superuser can dump every tenant's rows; pg_dump as the owner fails, rather than dump none",
        "CREATE ROLE backup LOGIN BYPASSRLS IN ROLE pg_read_all_data",
    )


def _plans(facts: dict[str, Any]) -> Finding:
    if facts["plan_cache_mode"] == "force_generic_plan":
        return Finding(
            "notice",
            "plan_cache_mode",
            "force_generic_plan lets a large tenant's plan serve a small one outside scopes",
            f"ALTER ROLE {facts['login']} SET plan_cache_mode = auto",
        )
    return Finding("ok", "plan_cache_mode", f"{facts['plan_cache_mode']}; scopes plan lists for their tenant")
