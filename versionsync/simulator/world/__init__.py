"""The simulated project: its state and what people do to it."""
