"""Measurements that take minutes: one command a table of the docs."""
