"""Fuzzing of every reader: `make fuzz` for hours, a few inputs each in the tests."""
