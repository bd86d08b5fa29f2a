"""What operators do: create and upgrade the tables, and look whether they are right."""
