"""Calibrations: one module a method, each writes suites/calibration/METHOD.json."""
