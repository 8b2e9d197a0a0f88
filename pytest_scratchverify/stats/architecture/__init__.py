"""Statistics of designs: distances between configurations."""
