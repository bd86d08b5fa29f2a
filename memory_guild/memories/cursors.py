"""Positions in the order of ``find``, and the cursors that carry them from one page to the next."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from memory_guild.errors import InvalidInputError
from memory_guild.models import MemoryRecord
from memory_guild.moments import DistantMoment, microseconds_of, moment_at

_FROM_1970_TO_2000 = 946_684_800_000_000  # microseconds: cursors count from 1970
_TIME_BYTES = 8
_DISTANT_BYTES = 9  # outside the years 1 to 9999: counted from 1970, the last of them do not fit in eight bytes
_ID_BYTES = 16


class Position(NamedTuple):
    """A place in the order of ``find``: newest first, memories without a ``created_at`` last.

    Attributes:
        created_at: The time of the memory before it; None among the memories without one.
        memory_id: The id of the memory before it; None at the beginning.
    """

    created_at: datetime | None
    memory_id: UUID | None


BEGINNING = Position(None, None)
"""Before the newest memory."""


def cursor_after(memory: MemoryRecord) -> str:
    """The cursor for what follows a memory: the microseconds of its time, if it has one, and its id, in base64."""
    moment = b""
    if memory.created_at is not None:
        size = _DISTANT_BYTES if isinstance(memory.created_at, DistantMoment) else _TIME_BYTES
        moment = (microseconds_of(memory.created_at) + _FROM_1970_TO_2000).to_bytes(size, signed=True)
    return base64.urlsafe_b64encode(moment + memory.memory_id.bytes).decode()


def read_cursor(cursor: str) -> Position:
    """The position that a cursor carries.

    Raises:
        InvalidInputError: It is not a cursor.
    """
    try:
        position = base64.b64decode(cursor, altchars=b"-_", validate=True)
        moment, memory_id = position[:-_ID_BYTES], UUID(bytes=position[-_ID_BYTES:])
        if not moment:
            return Position(None, memory_id)
        created_at = moment_at(int.from_bytes(moment, signed=True) - _FROM_1970_TO_2000)
        if len(moment) != (_DISTANT_BYTES if isinstance(created_at, DistantMoment) else _TIME_BYTES):
            raise ValueError
        return Position(created_at, memory_id)
    except (TypeError, ValueError, OverflowError, binascii.Error):
        raise InvalidInputError("cursor", "is not a cursor; pass the next_cursor of a page, or leave it out") from None
