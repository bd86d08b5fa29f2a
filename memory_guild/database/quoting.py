"""Text and names as SQL, for the statements that cannot have parameters."""


def quote_literal(text: str) -> str:
    """The text as an SQL literal, whatever ``standard_conforming_strings`` says.

    Source: PostgreSQL's own ``quote_literal``.
    """
    quoted = text.replace("'", "''")
    return "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in text else f"'{quoted}'"


def quote_identifier(name: str) -> str:
    """The name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
