"""Lines of a file in UTF-8, whatever form it has: compressed files are unpacked, UTF-16 and UTF-32 are converted."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, TypeAlias

from memory_guild.errors import UnreadableFileError

_Unpack: TypeAlias = Callable[[BinaryIO], BinaryIO]

_COMPRESSED: dict[bytes, _Unpack] = {
    b"\x1f\x8b": lambda file: gzip.GzipFile(fileobj=file),  # type: ignore[dict-item,return-value]
    b"BZh": lambda file: bz2.BZ2File(file),  # type: ignore[dict-item,return-value]
    b"\xfd7zXZ\x00": lambda file: lzma.LZMAFile(file),  # type: ignore[dict-item,return-value] # noqa: SIM115
}
"""How a file is unpacked that begins with these bytes."""

_REFUSED = {
    b"PK\x03\x04": "is a ZIP archive; unpack it first",
    b"\x28\xb5\x2f\xfd": "is compressed with Zstandard; unpack it first",
    b"7z\xbc\xaf\x27\x1c": "is a 7z archive; unpack it first",
    b"SQLite format 3\x00": "is an SQLite database; export it as JSON lines first",
    b"PAR1": "is a Parquet file; export it as JSON lines first",
}
"""What is wrong with a file that begins with these bytes."""

_WIDE = {
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
    b"{\x00": "utf-16-le",
    b"\x00{": "utf-16-be",
}
"""The encoding of a file that begins with these bytes."""

_LAYERS = 3  # compressed twice is somebody's mistake, more often an attack


def read_lines(file: BinaryIO, limit: int) -> Iterator[bytes | None]:
    """The lines in UTF-8, without a byte order mark; None for a line of more than ``limit`` bytes.

    Such a line is skipped without being held in memory.

    Raises:
        UnreadableFileError: It cannot be read or unpacked, or it is of another kind. The lines before were yielded.
    """
    name = str(getattr(file, "name", "the file"))
    try:
        yield from _lines(file, limit, name, _LAYERS)
    except OSError as error:
        raise UnreadableFileError(name, error.strerror or str(error) or type(error).__name__) from None
    except EOFError:
        raise UnreadableFileError(name, "it is compressed and ends too early; get it again") from None
    except (zlib.error, lzma.LZMAError):
        raise UnreadableFileError(name, "it is compressed and damaged; get it again") from None
    except UnicodeDecodeError as error:
        raise UnreadableFileError(name, f"it is not valid {error.encoding.upper()}") from None


def _lines(file: BinaryIO, limit: int, name: str, layers: int) -> Iterator[bytes | None]:
    first = file.readline(limit + 1)
    for mark, reason in _REFUSED.items():
        if first.startswith(mark):
            raise UnreadableFileError(name, f"it {reason}")
    for mark, unpack in _COMPRESSED.items():
        if first.startswith(mark):
            if not layers:
                raise UnreadableFileError(name, "it is compressed again and again; unpack it first")
            yield from _lines(unpack(_whole(first, file)), limit, name, layers - 1)
            return
    for mark, encoding in _WIDE.items():
        if first.startswith(mark):
            text = io.TextIOWrapper(_whole(first, file), encoding=encoding, newline="\n")
            read = partial(_read_encoded, text)
            yield from _bounded(read(limit + 1), read, limit)
            return
    yield from _bounded(first.removeprefix(codecs.BOM_UTF8), file.readline, limit)


def _read_encoded(text: io.TextIOWrapper, size: int) -> bytes:
    return text.readline(size).encode()


def _bounded(first: bytes, read: Callable[[int], bytes], limit: int) -> Iterator[bytes | None]:
    line = first
    while line:
        too_long = len(line) > limit and not line.endswith(b"\n")
        piece = line
        while too_long and piece and not piece.endswith(b"\n"):
            piece = read(limit + 1)
        yield None if too_long else line
        line = read(limit + 1)


def _whole(first: bytes, file: BinaryIO) -> BinaryIO:
    """The file again, with what was read of it."""
    return io.BufferedReader(_Rejoined(first, file))


class _Rejoined(io.RawIOBase):
    """A beginning and the rest of a file as one; the file may be a pipe, which cannot go back."""

    def __init__(self, first: bytes, file: BinaryIO) -> None:
        self._first = first
        self._file = file

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Read what comes next into the buffer."""
        if self._first:
            taken, self._first = self._first[: len(buffer)], self._first[len(buffer) :]
        else:
            taken = self._file.read(len(buffer))
        buffer[: len(taken)] = taken
        return len(taken)
