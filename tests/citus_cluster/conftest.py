"""Without a cluster nothing here runs."""

from pathlib import Path

import pytest

from tests import citus


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of this folder where there is no cluster."""
    if not citus.URL:
        for item in items:
            if item.path.is_relative_to(Path(__file__).parent):
                item.add_marker(pytest.mark.skip(reason="MEMORY_GUILD_TEST_CITUS_URL names no coordinator"))
