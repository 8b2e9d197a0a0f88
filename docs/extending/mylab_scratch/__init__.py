"""What a laboratory adds to pytest-scratchverify: see docs/extending.md."""
