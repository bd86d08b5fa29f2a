"""Recall: memories come back by what they and their neighbors say."""
