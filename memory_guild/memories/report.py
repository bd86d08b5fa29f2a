"""The report of a batch: one outcome for each item, in a sequence that takes 17 bytes an item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, overload
from uuid import UUID

from memory_guild.errors import MemoryGuildError
from memory_guild.types import StoreOutcome

_OUTCOMES = tuple(StoreOutcome)
_CODES = {outcome: code for code, outcome in enumerate(_OUTCOMES)}
_ID_BYTES = 16
_NO_ID = bytes(_ID_BYTES)


class ItemOutcome(
    NamedTuple(
        "ItemOutcome",
        [("outcome", StoreOutcome), ("memory_id", UUID | None), ("error", MemoryGuildError | None)],
    )
):
    """The outcome of one item.

    Attributes:
        outcome: Created, existing, restored, held or refused.
        memory_id: The memory's id; None for a refused item.
        error: Why the item was refused; None for any other.
        redaction: Why the screen stored something else than was given; None where it did not.
    """

    redaction: str | None = None


class StoreReport(Sequence[ItemOutcome]):
    """One outcome for each item of a batch, in the order of the items.

    Attributes:
        errors: Why items were refused, by their numbers, from 0 on.
        redactions: Why the screen stored something else than was given, by the numbers of the items.
    """

    def __init__(self, redactions: dict[int, str] | None = None) -> None:
        self.redactions = {} if redactions is None else redactions
        self.errors: dict[int, MemoryGuildError] = {}
        self._codes = bytearray()
        self._ids = bytearray()

    @property
    def created(self) -> int:
        """How many items became new memories."""
        return self._codes.count(_CODES[StoreOutcome.CREATED])

    @property
    def existing(self) -> int:
        """How many were stored before, or occurred earlier in the same batch."""
        return self._codes.count(_CODES[StoreOutcome.EXISTING])

    @property
    def restored(self) -> int:
        """How many were forgotten, and are restored now."""
        return self._codes.count(_CODES[StoreOutcome.RESTORED])

    @property
    def held(self) -> int:
        """How many became new memories that are held in quarantine, because of the source that they came from."""
        return self._codes.count(_CODES[StoreOutcome.HELD])

    @property
    def refused(self) -> int:
        """How many could not be stored."""
        return self._codes.count(_CODES[StoreOutcome.REFUSED])

    def record(self, number: int, outcome: StoreOutcome, memory_id: UUID) -> None:
        """Record that an item is stored. Items can come in any order."""
        self._make_room(number)
        self.errors.pop(number, None)  # of an attempt that was rolled back
        self._codes[number] = _CODES[outcome]
        self._ids[number * _ID_BYTES : (number + 1) * _ID_BYTES] = memory_id.bytes

    def refuse(self, number: int, error: MemoryGuildError) -> None:
        """Record that an item is refused."""
        self._make_room(number)
        self._codes[number] = _CODES[StoreOutcome.REFUSED]
        # A traceback would keep the frames alive, and with them thousands of other items.
        error.__cause__ = error.__context__ = None
        self.errors[number] = error.with_traceback(None)

    def _make_room(self, number: int) -> None:
        missing = number + 1 - len(self._codes)
        if missing > 0:
            self._codes += bytes([_CODES[StoreOutcome.REFUSED]]) * missing
            self._ids += _NO_ID * missing

    def __len__(self) -> int:
        return len(self._codes)

    @overload
    def __getitem__(self, index: int) -> ItemOutcome: ...

    @overload
    def __getitem__(self, index: slice) -> list[ItemOutcome]: ...

    def __getitem__(self, index: int | slice) -> ItemOutcome | list[ItemOutcome]:
        """The outcome of an item, or of several."""
        numbers = range(len(self))[index]
        return [self._at(number) for number in numbers] if isinstance(numbers, range) else self._at(numbers)

    def __iter__(self) -> Iterator[ItemOutcome]:
        return map(self._at, range(len(self)))

    def __repr__(self) -> str:
        counts = {outcome: self._codes.count(code) for outcome, code in _CODES.items()}
        shown = [f"{name} {count}" for name, count in counts.items() if count or name is not StoreOutcome.HELD]
        return f"<{type(self).__name__}: {', '.join(shown)}>"

    def _at(self, number: int) -> ItemOutcome:
        outcome = _OUTCOMES[self._codes[number]]
        if outcome is StoreOutcome.REFUSED:
            return ItemOutcome(outcome, None, self.errors.get(number))
        memory_id = UUID(bytes=bytes(self._ids[number * _ID_BYTES : (number + 1) * _ID_BYTES]))
        stored = ItemOutcome(outcome, memory_id, None)
        if (redaction := self.redactions.get(number)) is not None:
            stored.__dict__["redaction"] = redaction
        return stored
