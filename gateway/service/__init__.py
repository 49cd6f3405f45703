"""The composition root: a gateway made of its parts, and the parts made of one settings file."""
