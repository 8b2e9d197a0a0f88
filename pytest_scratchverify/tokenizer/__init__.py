"""Reading vocabularies of any format into one canonical form, and comparing them.

Nothing here runs code that came with a model, and nothing here decides a verdict.
"""
