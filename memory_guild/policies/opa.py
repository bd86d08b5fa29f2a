"""An OPA server that holds the policies: ``POST /v1/data/memory/access``, one request for each input.

Source: https://www.openpolicyagent.org/docs/latest/rest-api/#get-a-document-with-input
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from memory_guild.errors import PolicyEngineError, SettingsError
from memory_guild.policies.decisions import Answer, Decision, combined, failed
from memory_guild.policies.loading import Policy

if TYPE_CHECKING:
    import httpx

_NAME = "of the OPA server"
_REQUESTS_AT_ONCE = 16


class OpaEngine:
    """The engine on an OPA server.

    Args:
        url: The server, such as ``http://localhost:8181``.
        token: What the server asks for as a bearer token; None where it asks for none.
        timeout_seconds: How long one request may take.
    """

    def __init__(self, url: str, *, token: str | None = None, timeout_seconds: float = 1.0) -> None:
        try:
            import httpx
        except ImportError:
            raise SettingsError(
                "MEMORY_GUILD_POLICIES", "needs the extra opa: pip install 'memory-guild[opa]'"
            ) from None
        self._address = url.rstrip("/") + "/v1/data/memory/access"
        self._timeout_seconds = timeout_seconds
        self._client = httpx.AsyncClient(
            timeout=timeout_seconds, headers={} if token is None else {"Authorization": f"Bearer {token}"}
        )
        self._places = asyncio.Semaphore(_REQUESTS_AT_ONCE)

    async def check(self, rego: str) -> None:
        """Policies are written to the server, not here.

        Raises:
            PolicyEngineError: Always.
        """
        raise PolicyEngineError("the policies are on the OPA server; change them there")

    async def decide(self, policies: Sequence[Policy], inputs: Sequence[Mapping[str, Any]]) -> list[Decision]:
        """Decide about inputs. It raises nothing: what fails denies."""
        return list(await asyncio.gather(*map(self._decide, inputs)))

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _decide(self, given: Mapping[str, Any]) -> Decision:
        try:
            async with self._places, asyncio.timeout(self._timeout_seconds):
                response = await self._client.post(self._address, json={"input": given})
                return _decision(response)
        except TimeoutError:
            return failed("the OPA server did not answer in time")
        except Exception as error:
            return failed(f"the OPA server could not be asked ({type(error).__name__})")


def _decision(response: httpx.Response) -> Decision:
    if response.status_code != 200:
        return failed(f"the OPA server refused the request (HTTP {response.status_code})")
    answer = response.json()
    result = answer.get("result", {}) if isinstance(answer, dict) else None
    if not isinstance(result, dict):
        return failed("the OPA server's answer is no document of rules")
    allow, deny = (tuple(result[rule] for rule in (name,) if rule in result) for name in ("allow", "deny"))
    return combined([Answer(_NAME, allow, deny)])
