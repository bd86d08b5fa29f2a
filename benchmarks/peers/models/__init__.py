"""The specification's three memory tables as each ORM's own documentation would model them."""
