"""The rules of a policy: the shape of ``policy_rules``, and what the source must be before an engine sees it."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from memory_guild.errors import PolicyError
from memory_guild.policies.names import check_names
from memory_guild.policies.tokens import CLOSING, OPENING, Token, policy_error_at, tokens_of

PACKAGE = "memory.access"
MAX_CHARACTERS = 32_768
_MAX_DEPTH = 64


class PolicyRules(BaseModel):
    """What ``policy_rules`` holds.

    Attributes:
        rego: The source, a module of the package ``memory.access`` with the rules ``allow`` and ``deny``.
        version: The version of this shape.
    """

    model_config = ConfigDict(extra="forbid")

    rego: str = Field(min_length=1, max_length=MAX_CHARACTERS)
    version: Literal["v1"] = "v1"


def check_source(rego: str) -> None:
    """Refuse what no engine is to see.

    Raises:
        PolicyError: It is too long, in another package, nested too deeply, written in the old language, in which rules
            need no ``if``, or names what it defines nowhere.
    """
    if len(rego) > MAX_CHARACTERS:
        raise PolicyError(f"has more than {MAX_CHARACTERS:,} characters")
    if (nul := rego.find("\0")) >= 0:
        raise policy_error_at(rego, nul, "contains a NUL character")
    tokens = list(tokens_of(rego))
    if [token.text for token in tokens[:4]] != ["package", "memory", ".", "access"] or (
        len(tokens) > 4 and (tokens[4].text in (".", "[") or "\n" not in rego[tokens[3].position : tokens[4].position])
    ):
        raise PolicyError(f"must begin with: package {PACKAGE}", line=1, column=1)
    depth, is_every = 0, False
    for before, token in pairwise(tokens):
        if token.kind == "mark" and token.text in OPENING:
            if token.text == "{" and depth == 0 and _ends_a_head(before) and not is_every:
                raise policy_error_at(rego, token.position, "is a body without `if`: write rules as in OPA 1.0")
            is_every = is_every and token.text != "{"
            depth += 1
            if depth > _MAX_DEPTH:
                raise policy_error_at(rego, token.position, f"is nested more than {_MAX_DEPTH} levels deep")
        elif token.kind == "mark" and token.text in CLOSING:
            depth -= 1
        is_every |= token.text == "every"
    check_names(rego, tokens[4:])


def _ends_a_head(token: Token) -> bool:
    """Whether a brace after it, outside all others, would be the body of a rule in the old language."""
    if token.kind == "word":
        return token.text not in ("as", "contains", "if", "in", "not")
    return token.kind in ("string", "number") or token.text in CLOSING
