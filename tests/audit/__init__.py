"""Tests of the audit and of erasing."""
