"""The checks: each looks at one thing and says what it expected and found; none of them decides."""
