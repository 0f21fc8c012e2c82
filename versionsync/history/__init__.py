"""What the mirror answers: who changed what, when, and what a record said. Reads the mirror alone."""
