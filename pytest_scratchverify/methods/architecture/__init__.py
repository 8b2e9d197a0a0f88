"""Architecture: designs, parameter counts and published claims."""
