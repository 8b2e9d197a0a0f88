"""Tests the claim that an open-weight model was trained from scratch."""
