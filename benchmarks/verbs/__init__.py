"""How fast the verbs are, beside the same work by hand and by the peers: ``python -m benchmarks``."""
