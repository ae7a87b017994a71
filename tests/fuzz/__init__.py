"""A fuzzer of the command line: what is typed, what lies in conf/, what a lock or a manifest of others says."""
