"""Bounded readers of hostile bytes: each gives a value or raises `Malformed`, and never reads one input two ways."""
