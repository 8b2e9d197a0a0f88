"""The aggregation of findings into verdicts: fold, multiplicity, policies, the run and its JSON."""
