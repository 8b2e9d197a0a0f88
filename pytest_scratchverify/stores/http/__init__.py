"""Reading ranges over HTTP: access, accounting, failures, resolution."""
