"""DatoCMS's own client judges the simulator."""
