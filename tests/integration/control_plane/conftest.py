from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.support.control_plane import Running, running


@pytest_asyncio.fixture
async def plane(database_url: str, redis_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    """A control plane with empty stores."""
    async with running(database_url, redis_url, tmp_path) as it:
        yield it
