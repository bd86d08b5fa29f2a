"""From the pool to a statement: connections, transactions, scopes and errors; it knows no model."""
