"""Answers about the past, from the mirror alone: who changed what, when, and what did it say."""
