"""Turn artifacts into findings, one package per verification method."""
