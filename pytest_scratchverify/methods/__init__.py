"""Turn artifacts into findings, one module per verification method."""
