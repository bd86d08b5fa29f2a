"""The models of an application that uses Tortoise for itself."""

from __future__ import annotations

from tortoise import Model, fields


class Note(Model):
    """One of its rows."""

    id = fields.IntField(primary_key=True)
    text = fields.TextField()
