"""A call that runs beside others; a request of the training, and how it is ended when nobody waits for it any more."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

Answer = TypeVar("Answer")

ABORT_S = 90.0
"""Seconds that a request which nobody waits for may take to end, TRL's own retries included."""


def in_thread(call: Callable[[], Answer], name: str = "next completions") -> Future[Answer]:
    """Calls in a thread that ends with the process, whatever it waits for; the answer or the error is the future's."""
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future


def abort(waiting: Future[Any], client: Any, seconds: float = ABORT_S) -> None:
    """Has the server end its requests, and waits until this one has ended.

    Args:
        client: TRL's; the server's development endpoint ``/abort_requests`` is asked (again where TRL tries again).
    """
    import requests

    began = time.monotonic()
    while not waiting.done() and time.monotonic() - began < seconds:
        try:
            requests.post(f"{client.base_url}/abort_requests", json={}, timeout=5)
        except requests.RequestException as error:  # it has ended, and so does the request
            logging.getLogger(__name__).warning("the server does not answer: %s", error)
        try:
            waiting.exception(timeout=2)
        except TimeoutError:
            continue
