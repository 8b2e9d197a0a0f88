"""Types of evidence and verdict. No pytest, no network, no numpy."""
