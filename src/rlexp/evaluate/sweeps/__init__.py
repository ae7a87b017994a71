"""A sweep that ran, read: its points, what each key did, the best setting and how far that is to be believed."""
