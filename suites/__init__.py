"""The shipped suites; in the wheel, ``pytest --pyargs pytest_scratchverify._suites``."""
