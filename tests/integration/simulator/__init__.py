"""The simulated DatoCMS over HTTP."""
