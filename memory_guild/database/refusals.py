"""What a caller cannot ask of Tortoise, as errors of the package."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType

from pypika_tortoise import exceptions as pypika
from tortoise.exceptions import (
    BaseORMException,
    ConfigurationError,
    DBConnectionError,
    FieldError,
    IntegrityError,
    NotExistOrMultiple,
    NoValuesFetched,
    OperationalError,
    ParamsError,
    UnSupportedError,
    ValidationError,
)

from memory_guild.errors import InvalidInputError, InvalidQueryError, MemoryGuildError

_UNSUITABLE = (
    *(AttributeError, LookupError, NotImplementedError, OverflowError, RecursionError, TypeError, ValueError),
    *(ConfigurationError, FieldError, ParamsError, UnSupportedError, ValidationError, OperationalError),
    *(pypika.QueryException, pypika.GroupingException, pypika.CaseException, pypika.JoinException),
    *(pypika.SetOperationException, pypika.FunctionException),
)
_NOT_ABOUT_ARGUMENTS = (MemoryGuildError, NotExistOrMultiple, NoValuesFetched, IntegrityError, DBConnectionError)

_NAME_MAX_BYTES = 63  # PostgreSQL cuts what is longer, and Tortoise would not find it in the row


class _Refusing(AbstractContextManager[None]):
    """Raises :class:`InvalidQueryError` for what Tortoise, its SQL builder or Python say of unsuitable arguments."""

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not isinstance(error, _UNSUITABLE) or isinstance(error, _NOT_ABOUT_ARGUMENTS):
            return
        if type(error) is OperationalError and error.__cause__ is not None:
            return  # what the server refused, in Tortoise's words
        # These messages name fields and types. Those of other errors may quote values, which no error of ours does.
        named = isinstance(error, (BaseORMException, AttributeError, NotImplementedError, RecursionError, TypeError))
        reason = str(error) if named else f"Tortoise raised {type(error).__name__}"
        raise InvalidQueryError(f"cannot be made from these arguments: {reason}") from None


refusing = _Refusing()
"""Goes around what makes a query of a caller's arguments. What the database says passes, and so does "not found"."""


def checked_name(field: str, name: object) -> str:
    """The name of a result: an identifier of at most 63 bytes."""
    if not isinstance(name, str) or not name.isidentifier():
        raise InvalidInputError(field, "is not an identifier; use letters, digits and underscores")
    if len(name.encode()) > _NAME_MAX_BYTES:
        raise InvalidInputError(field, f"is longer than {_NAME_MAX_BYTES} bytes, the most that PostgreSQL keeps of it")
    return name


def checked_text(field: str, text: str) -> str:
    """Text that the server can read. For any other it would end the scope."""
    if "\x00" in text:
        raise InvalidInputError(field, "contains a NUL character (U+0000), which PostgreSQL cannot store; remove it")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidInputError(field, "contains a lone surrogate; decode the text correctly first") from None
    return text
