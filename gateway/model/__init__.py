"""The nouns: frozen values without I/O. What is claimed and what is proved never share a type."""
