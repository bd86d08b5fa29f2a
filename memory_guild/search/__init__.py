"""Search: memories come back by their words, their neighbors' words and their meaning."""
