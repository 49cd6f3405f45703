"""`Access`: functions of rows, run by the database's threads and awaited."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from typing import TypeVar

from gateway.errors import Malformed, StoreError
from gateway.store.sqlite.database import Database

T = TypeVar("T")


class Access:
    """Gives an interface its way to the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def _write(self, run: Callable[[sqlite3.Connection], T]) -> T:
        return await asyncio.wrap_future(self._database.write(run))

    async def _read(self, run: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await asyncio.wrap_future(self._database.read(run))
        except Malformed as error:
            raise StoreError(f"the record: {error}") from error
