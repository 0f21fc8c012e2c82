"""Show a diff: in a terminal, as a page, as JSON."""
