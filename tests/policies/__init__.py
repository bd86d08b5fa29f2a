"""Access policies: what they decide, what evaluates them, and that every verb asks them."""
