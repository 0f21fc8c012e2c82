"""What needs nothing but the code."""
