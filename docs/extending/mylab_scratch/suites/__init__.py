"""The laboratory's tests: ``pytest suites/ --pyargs mylab_scratch.suites``."""
