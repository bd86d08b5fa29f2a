"""How the driver reads and writes ``timestamptz``: exactly, also the moments that Python's datetime cannot hold.

PostgreSQL has the years -4713 to 294276 and both infinities, Python the years 1 to 9999. asyncpg's own codec raises an
OverflowError for the rest, so one such row would make its tenant unreadable, and returns infinity without a time zone.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from struct import Struct
from typing import Any

TIMESTAMPTZ_OID = 1184

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_INT64 = Struct("!q")
_INFINITY, _MINUS_INFINITY = 2**63 - 1, -(2**63)
_POSTGRESQL_FIRST, _POSTGRESQL_END = -211_813_488_000_000_000, 9_223_371_331_200_000_000
"""Microseconds since 2000 from 4714-11-24 BC on, and before the year 294277.

Source: ``MIN_TIMESTAMP`` and ``END_TIMESTAMP`` in PostgreSQL's ``datatype/timestamp.h``.
"""


class DistantMoment(datetime):
    """A moment outside of the years 1 to 9999: it reads as the first or last moment that Python has.

    Sent to the database again, it is the exact moment that was read.

    Attributes:
        microseconds: The exact moment, as :func:`microseconds_of` returns it.
    """

    microseconds: int


def microseconds_of(moment: datetime) -> int:
    """The exact microseconds since 2000 of an aware moment, as PostgreSQL stores them; infinities are the extremes."""
    if isinstance(moment, DistantMoment):
        return moment.microseconds
    return (moment - _EPOCH) // _MICROSECOND


def moment_at(microseconds: int) -> datetime:
    """The moment in UTC, see :func:`microseconds_of`.

    Raises:
        OverflowError: PostgreSQL has no such moment.
    """
    if not _POSTGRESQL_FIRST <= microseconds < _POSTGRESQL_END and microseconds not in (_INFINITY, _MINUS_INFINITY):
        raise OverflowError
    return decode(_INT64.pack(microseconds))


def decode(
    data: bytes,
    # As defaults they are local names: this runs for every moment of every row.
    epoch: datetime = _EPOCH,
    span: type[timedelta] = timedelta,
    unpack: Any = _INT64.unpack,
) -> datetime:
    """What the server sends: eight bytes. It is as fast as the driver's own codec."""
    try:
        return epoch + span(0, 0, unpack(data)[0])
    except OverflowError:
        microseconds: int = unpack(data)[0]
        nearest = _LAST if microseconds > 0 else _FIRST
        distant = DistantMoment.combine(nearest.date(), nearest.timetz())
        distant.microseconds = microseconds
        return distant


def encode(value: object) -> bytes:
    """What the server is sent. As with the driver's own codec, a naive datetime and a date are local times.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            if value == datetime.max:  # what the driver itself takes, and returns, for infinity
                return _INT64.pack(_INFINITY)
            if value == datetime.min:
                return _INT64.pack(_MINUS_INFINITY)
            value = value.astimezone(UTC)
        return _INT64.pack(microseconds_of(value))
    if isinstance(value, date):
        return encode(datetime(value.year, value.month, value.day).astimezone())
    raise TypeError(f"expected a datetime.date or datetime.datetime instance, got {type(value).__name__!r}")
