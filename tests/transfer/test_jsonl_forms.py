"""Files in other forms, keys that stand twice, all problems of a line, defaults, and an end too early."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
from collections.abc import Iterator

import pytest

from memory_guild.errors import InvalidInputError, UnreadableFileError
from memory_guild.models import MemoryRecord
from memory_guild.serializers import MemoryRecordCreate
from memory_guild.transfer.jsonl import BadLine, IngestReport, Line, ingest, read_records
from tests.transfer.lines import line, read

TEXTS = ["one", "zwei \u2028 \x85", "\U0001f40d"]
PLAIN = "\n".join(json.dumps(json.loads(line(text)), ensure_ascii=False) for text in TEXTS)
FORMS = {
    "gzip": gzip.compress(PLAIN.encode()),
    "bzip2": bz2.compress(PLAIN.encode()),
    "xz": lzma.compress(PLAIN.encode()),
    **{encoding: PLAIN.encode(encoding) for encoding in ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")},
    "gzip of utf-16": gzip.compress(PLAIN.encode("utf-16")),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_is_read(form: bytes) -> None:
    records = list(read_records(io.BytesIO(form)))
    assert [record.content_text for record in records if isinstance(record, MemoryRecordCreate)] == TEXTS


@pytest.mark.parametrize("form", ["gzip", "bzip2", "xz", "utf-16"])
def test_a_file_that_ends_too_early_says_so(form: str) -> None:
    with pytest.raises(UnreadableFileError):
        list(read_records(io.BytesIO(FORMS[form][:-5])))


def test_an_archive_says_what_it_is() -> None:
    with pytest.raises(UnreadableFileError, match="ZIP archive"):
        list(read_records(io.BytesIO(b"PK\x03\x04" + bytes(100))))


@pytest.mark.parametrize("key", ["tenant_id", "content_text", "agent_id"])
def test_a_key_that_stands_twice_is_refused(key: str) -> None:
    (bad,) = read(line()[:-1] + f', "{key}": "other"}}'.encode())
    assert bad == BadLine(1, f"{key}: stands in one object twice")


def test_a_key_that_stands_twice_in_the_metadata_is_refused() -> None:
    (bad,) = read(line(metadata={"a": [{"b": 1}]}).replace(b'"b": 1', b'"b": 1, "c": 2, "b": 3'))
    assert bad == BadLine(1, "b: stands in one object twice")


def test_all_problems_of_a_line_are_listed_up_to_ten() -> None:
    two, many = read(
        line(tenant_id=..., source_type="rumour"), line("text", **{f"k{number}": 1 for number in range(25)})
    )
    assert isinstance(two, BadLine)
    assert isinstance(many, BadLine)
    assert "tenant_id: Field required" in two.reason
    assert "source_type: " in two.reason
    assert many.reason.count("Extra inputs") == 10
    assert many.reason.endswith("and 15 more problems")


def test_tenant_and_agent_of_lines_that_name_none() -> None:
    lines = b"\n".join([line(tenant_id=..., agent_id=...), line(agent_id="own"), line(tenant_id="bolt")])
    first, second, other = read_records(io.BytesIO(lines), tenant_id="acme", agent_id="scribe")
    assert isinstance(first, MemoryRecordCreate)
    assert isinstance(second, MemoryRecordCreate)
    assert (first.tenant_id, first.agent_id, second.agent_id) == ("acme", "scribe", "own")
    assert other == BadLine(3, "tenant_id: is not the tenant that all lines are stored for")
    with pytest.raises(InvalidInputError):
        read_records(io.BytesIO(lines), tenant_id="")


async def test_the_report_of_an_end_too_early_says_what_is_stored(tables: str) -> None:
    def breaks() -> Iterator[Line]:
        yield from read(*[line(str(number)) for number in range(5)], b"{")
        raise UnreadableFileError("a pipe", "it broke")

    report = IngestReport()
    with pytest.raises(UnreadableFileError):
        await ingest(breaks(), batch_size=2, report=report)
    assert (report.read, report.stored, report.bad_count) == (6, 5, 1)
    assert await MemoryRecord.all().count() == 5


async def test_lines_keep_their_time_and_may_merge_metadata(tables: str) -> None:
    time = "2019-05-04T12:00:00+00:00"
    await ingest(read(line("one", created_at=time, metadata={"a": 1})))
    await ingest(read(line("one", metadata={"b": 1e23})), on_existing="merge")
    (memory,) = await MemoryRecord.all()
    assert memory.metadata == {"a": 1, "b": 1e23}
    assert memory.created_at is not None
    assert memory.created_at.isoformat() == time
