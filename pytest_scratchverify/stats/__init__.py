"""Pure functions on numbers and arrays: no pytest, no files, no decisions."""
