"""Trackers: each in a process of its own that follows the run folder, so that none can stop a run or change it."""
