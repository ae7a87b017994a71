"""The moment that chat templates take for now (``strftime_now``): that of the run, and on replay that of the lock.

Llama 3.x writes the date into every prompt, so that the same run is another one tomorrow, and one whose template writes
minutes changes while it trains. Source: ``_cached_compile_jinja_template`` of transformers 5.17, which asks the clock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, tzinfo
from typing import Any

OTHER = timedelta(days=1003, hours=5, minutes=7)
"""To another day of the week and month, another year and another minute."""


def freeze(moment: datetime) -> None:
    """Has every chat template of this process take ``moment`` for now; transformers is imported."""
    from transformers.utils import chat_template_utils

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return moment.astimezone(tz) if tz else moment

    library: Any = chat_template_utils
    library.datetime = Stopped


def now() -> datetime:
    """The moment that chat templates take for now."""
    from transformers.utils import chat_template_utils

    library: Any = chat_template_utils
    return library.datetime.now()


@contextlib.contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Has chat templates take ``moment`` for now within the block."""
    from transformers.utils import chat_template_utils

    library: Any = chat_template_utils
    before = library.datetime
    freeze(moment)
    try:
        yield
    finally:
        library.datetime = before


def written(render: Callable[[], str]) -> tuple[str, str] | None:
    """What a rendering is now, and at another time, where the two differ; else None."""
    moment = now()
    with at(moment):
        first = render()
    with at(moment + OTHER):
        second = render()
    return (first, second) if first != second else None
