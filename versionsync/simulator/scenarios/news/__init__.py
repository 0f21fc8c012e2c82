"""A news site: its schema, staff, articles and a day of editing."""
