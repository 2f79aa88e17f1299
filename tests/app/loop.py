"""Coroutines in tests: the browser of other tests may keep an event loop in their thread."""

import asyncio
from concurrent.futures import ThreadPoolExecutor


def in_thread(coroutine):
    """What the coroutine returns."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
