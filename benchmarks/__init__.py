"""Benchmarks: what the package costs beside doing the same by hand, as ratios measured in one run.

Each is a module to run from the repository's root, such as ``python -m benchmarks.tenancy``. ``docs/performance.md``
shows what they print.
"""
