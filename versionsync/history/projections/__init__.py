"""Projections: what follows from the core tables, kept in tables of its own so that questions are answered at once.

`intervals`, `titles` and `changes` compute the rows, `filling` keeps them up to date, `reading` computes those of one
record in memory and says how far the tables are filled.
"""
