"""The package's errors for arguments that Tortoise cannot use."""

from __future__ import annotations

from contextlib import AbstractContextManager
from types import TracebackType

from pypika_tortoise import exceptions as pypika
from tortoise import Model
from tortoise.context import get_current_context
from tortoise.exceptions import (
    BaseORMException,
    ConfigurationError,
    DBConnectionError,
    DoesNotExist,
    FieldError,
    IntegrityError,
    MultipleObjectsReturned,
    NoValuesFetched,
    ObjectDoesNotExistError,
    OperationalError,
    ParamsError,
    TransactionManagementError,
    UnSupportedError,
    ValidationError,
)

from memory_guild.errors import (
    ConnectionFailedError,
    ConstraintError,
    InvalidInputError,
    InvalidQueryError,
    MemoryGuildError,
    NotConnectedError,
    NotFetchedError,
    NotFoundError,
    SeveralFoundError,
    TransactionStateError,
)

_UNSUITABLE = (
    *(AttributeError, LookupError, NotImplementedError, OverflowError, RecursionError, TypeError, ValueError),
    *(ConfigurationError, FieldError, ParamsError, UnSupportedError, ValidationError, OperationalError),
    *(pypika.QueryException, pypika.GroupingException, pypika.CaseException, pypika.JoinException),
    *(pypika.SetOperationException, pypika.FunctionException),
)

_NAME_MAX_BYTES = 63  # PostgreSQL cuts what is longer, and Tortoise would not find it in the row


class _Refusing(AbstractContextManager[None]):
    """Raises the package's errors for those of Tortoise, and for what its SQL builder or Python say of arguments."""

    def __exit__(
        self, exc_type: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, ConfigurationError) and get_current_context() is None:
            raise NotConnectedError from None
        if isinstance(error, MemoryGuildError) or not isinstance(error, (*_UNSUITABLE, BaseORMException)):
            return
        if isinstance(error, BaseORMException) and (ours := _not_about_arguments(error)) is not None:
            raise ours from None
        # These messages name fields and types. Those of other errors may quote values, which no error of ours does.
        named = isinstance(error, (BaseORMException, AttributeError, NotImplementedError, RecursionError, TypeError))
        reason = str(error) if named else f"Tortoise raised {type(error).__name__}"
        raise InvalidQueryError(f"cannot be made from these arguments: {reason}") from None


refusing = _Refusing()
"""Goes around what makes a query of a caller's arguments, runs it and looks at its rows."""


def _not_about_arguments(error: BaseORMException) -> MemoryGuildError | None:
    """The error for what Tortoise says about rows and connections; None for everything else."""
    match error:
        case DoesNotExist() | ObjectDoesNotExistError():
            return NotFoundError(f"no {_name_of(error.model)} matches; check the conditions, or use get_or_none()")
        case MultipleObjectsReturned():
            return SeveralFoundError(
                f"several rows of {_name_of(error.model)} match; narrow the conditions, or use first()"
            )
        case NoValuesFetched():
            return NotFetchedError("the relation was not fetched; await it, or use relations= or prefetch_related()")
        case IntegrityError():
            return ConstraintError(str(error))
        case TransactionManagementError():
            return TransactionStateError(str(error))
        case DBConnectionError():
            return ConnectionFailedError(str(error))
        case _:
            return None


def _name_of(model: type[Model] | None) -> str:
    return "row" if model is None else model.__name__


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
