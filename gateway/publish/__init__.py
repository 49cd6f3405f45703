"""The one path of a publish, as numbered steps, and what settles it after a crash."""
