"""Mutation testing: `python -m tests.mutation` changes the program in small ways, and reports what no test notices."""
