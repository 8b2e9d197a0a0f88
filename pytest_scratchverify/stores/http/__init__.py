"""HTTP range requests: access, traffic accounting, failures, revision resolution."""
