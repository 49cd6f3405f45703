"""The command `provgate`."""

from gateway.cli.main import main

__all__ = ["main"]
