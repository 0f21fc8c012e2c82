"""What a release is made of, and what is proven of it: single commands, too long for the ordinary suite.

`python -m tests.release` lists them. They need the extra `release`, and a package registry.
"""
