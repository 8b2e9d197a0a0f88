"""Statistics of weights: permutations, matchings, recognition, merges."""
