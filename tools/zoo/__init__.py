"""The lineage zoo: models whose ancestry is known because we made them, changed and served."""
