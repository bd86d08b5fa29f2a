"""Prints what the proof has run, also where pytest-xdist spreads it over processes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tenancy.count import COUNT


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Where pytest-xdist spreads the tests, hand this process's count to the one that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["tenancy"] = (COUNT.operations, COUNT.leaks)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Add up what the processes have counted."""
    operations, leaks = node.workeroutput.get("tenancy", (0, [])) if hasattr(node, "workeroutput") else (0, [])
    COUNT.operations += operations
    COUNT.leaks += leaks


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line for all that ran, and one for each leak."""
    if COUNT.operations:
        terminalreporter.write_line(
            f"tenancy: {COUNT.operations:,} operations against other tenants, {len(COUNT.leaks)} leaks"
        )
        for leak in COUNT.leaks:
            terminalreporter.write_line(f"  {leak}")
