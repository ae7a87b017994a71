"""The report of a run, of a sweep, or of several runs: one HTML file that opens from the disk and asks no network."""
