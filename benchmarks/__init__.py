"""Benchmarks: what the package costs beside doing the same by hand, as ratios measured in one run.

Each is a module to run from the repository's root: ``python -m benchmarks`` for the verbs, ``python -m
benchmarks.tenancy`` for isolation. ``benchmarks/results.md`` has what they print.
"""
