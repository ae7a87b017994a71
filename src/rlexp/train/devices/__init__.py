"""A run on several devices: one process each, started, watched and ended by the command that was typed."""
