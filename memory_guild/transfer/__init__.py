"""Memories into the database and out of it, as files."""
