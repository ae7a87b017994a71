"""A stand-in until the package of that name is merged."""
