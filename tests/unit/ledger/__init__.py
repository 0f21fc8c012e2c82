"""The rules, by example, by property and by a machine that plays upstream and mirror."""
