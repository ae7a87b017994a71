"""The card of a model: what a person must know before using it, all of it from the record."""
