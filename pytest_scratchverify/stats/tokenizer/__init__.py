"""Statistics of vocabularies: rank order and script profiles."""
