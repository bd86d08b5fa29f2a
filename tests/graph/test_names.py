"""Which names are found in a text, and which texts share a rare one."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_guild.graph.names import SharedNames, names_in


@pytest.mark.parametrize(
    ("text", "sure", "unsure"),
    [
        ("The prize went to Carl Rogers.", {"Carl Rogers"}, set()),
        ("Carl Rogers was born there.", {"Carl Rogers"}, set()),
        ("Paris is large.", set(), {"Paris"}),
        ("We saw it. Then we left Paris.", {"Paris"}, {"Then"}),
        ("At the University of Chicago", {"University of Chicago"}, set()),
        ("with Ann Lee of the City of Rome", {"Ann Lee", "City of Rome", "Ann Lee of the City of Rome"}, set()),
        ("by George T. Solomon and Dr. Ann Lee", {"George T Solomon", "Dr Ann Lee"}, set()),
        ("in Germany's south, and Ann\u2019s", {"Germany", "Ann"}, set()),
        ("I'm here in May, on a Monday", set(), set()),
        ("the Zürich of Élodie Šimić-Łoś", {"Élodie Šimić-Łoś", "Zürich of Élodie Šimić-Łoś"}, set()),
        ("Person-centered therapy (film)\nIt is.", {"Person-centered therapy"}, {"Person-centered"}),
        ("of the", set(), set()),
        ("", set(), set()),
        ("\n\nOslo", set(), {"Oslo"}),
    ],
)
def test_names_are_sequences_of_capitalized_words(text: str, sure: set[str], unsure: set[str]) -> None:
    found = names_in(text)
    assert found.sure >= sure
    assert all(name in sure or any(name in whole for whole in sure) for name in found.sure)
    assert found.unsure == unsure


TEXTS = st.lists(
    st.one_of(
        st.sampled_from(
            ["Ann", "Lee", "of", "the", "The", "city", ". ", ".", "\n", "'s", "T", "?", "(x)", "\u00df", "ǅ"]
        ),
        st.text(max_size=4),
    ),
    max_size=20,
).map(" ".join)


@given(TEXTS)
@pytest.mark.long
def test_a_name_stands_in_the_text(text: str) -> None:
    found = names_in(text)
    for name in found.sure | found.unsure:
        assert 3 <= len(name) <= 100
        assert all(word in text for word in name.split(" "))


@given(st.lists(TEXTS, max_size=8), st.integers(2, 5), st.integers(1, 3))
def test_pairs_share_a_name_that_few_have(texts: list[str], most_memories: int, most_of_one: int) -> None:
    shared, again = SharedNames(most_memories), SharedNames(most_memories)
    names = {UUID(int=number): names_in(text) for number, text in enumerate(texts)}
    for number, text in enumerate(texts):
        shared.add(UUID(int=number), text)
    for number, text in reversed(list(enumerate(texts))):
        again.add(UUID(int=number), text)
    pairs = shared.pairs(most_of_one)
    assert pairs == again.pairs(most_of_one)
    assert len(set(pairs)) == len(pairs)
    assert all(count <= most_of_one for count in Counter(end for pair in pairs for end in pair).values())
    sure = {name for found in names.values() for name in found.sure}
    for one, other in pairs:
        assert one < other
        both = (names[one].sure | names[one].unsure) & (names[other].sure | names[other].unsure) & sure
        having = [sum(name in found.sure | found.unsure for found in names.values()) for name in both]
        assert any(number <= most_memories for number in having)
