"""Ready-made projects for the simulator."""
