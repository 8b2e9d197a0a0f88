"""What all tests of this checkout share. Short options come from pyproject.toml's addopts."""

pytest_plugins = ["pytester"]
