"""Where the commands print: results to standard output, errors and progress to standard error."""

from __future__ import annotations

import sys

from rich.console import Console

# A pipe or a log has no width, and in rich's default of 80 columns the definitions in a table could not be read.
_WIDE_ENOUGH_FOR_A_TABLE = 200

output = Console(soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE_ENOUGH_FOR_A_TABLE)
errors = Console(stderr=True, soft_wrap=True)
