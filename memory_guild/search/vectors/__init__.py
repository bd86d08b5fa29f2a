"""Vectors, and the stores that mirror those of PostgreSQL."""
