"""The log of the program: for people, for programs and for systemd's journal."""
