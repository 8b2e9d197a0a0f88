"""Statistics of answers: agreement, dependence of probes, trees."""
