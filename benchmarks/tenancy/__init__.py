"""What isolation costs: ``python -m benchmarks.tenancy``."""
