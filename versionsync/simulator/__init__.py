"""A faithful local DatoCMS for demos, tests and rehearsals."""
