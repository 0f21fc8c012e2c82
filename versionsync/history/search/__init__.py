"""Full-text search over changed values: words, passages, patterns. Pure.

`words` says what a word is, `passages` which texts a content has, `patterns` what is searched for.
"""
