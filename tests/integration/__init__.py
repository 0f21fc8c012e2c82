"""What needs a database or the simulator."""
