"""A chat model judges the completion: any endpoint that speaks OpenAI's chat completions (vLLM, SGLang, a provider).

After LLM-as-a-judge, Zheng et al. 2023 (https://huggingface.co/papers/2306.05685): one completion, one number. Replies
are kept on disk by everything that was sent, so that nothing is asked twice and a repeated run on the same machine gets
the same scores; on another machine the judge is asked again. A request that fails for good raises: it is no score of 0.

A judge can be talked into things: look at the completions that it likes best, and keep a term beside it that cannot be.
"""

import asyncio
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx

version = 2
bounds = (0.0, 1.0)

PLACE = re.compile(r"\{(prompt|completion|answer)\}")
NUMBER = r"(-?\d+(?:\.\d+)?)"
RATING = re.compile(rf"\bscore[\s:=*_`'\"]*{NUMBER}", re.IGNORECASE)
ALONE = re.compile(rf"\s*{NUMBER}(?:\s*/\s*\d+)?[\s.]*")
LONGEST_WAIT = 60.0
"""Seconds before a request is tried again, at most."""
asked = 0
"""Requests sent by this process."""


async def score(
    completions: list[str],
    prompts: list[str],
    answer: list[str] | None = None,
    *,
    base_url: str,
    model: str,
    template: str,
    scale: tuple[float, float] = (1, 10),
    request: dict[str, Any] | None = None,
    api_key_variable: str | None = None,
    timeout: float = 60.0,
    concurrency: int = 8,
    retries: int = 5,
    backoff: float = 1.0,
    max_requests: int = 10_000,
    cache_folder: str | None = None,
) -> list[float | None]:
    """The judge's number in [0, 1] a completion; None where it gave none, twice.

    Args:
        base_url: what stands before ``/chat/completions``, such as ``http://localhost:8000/v1``.
        template: the judge's instructions with ``{completion}``, and ``{prompt}`` and ``{answer}`` where it needs them.
            It must ask for a line ``Score: NUMBER``; the last such line of the reply counts.
        scale: the lowest and the highest number that it is asked for; others are clamped, and the range becomes 0 to 1.
        request: further fields of the request, such as ``{temperature: 0, max_tokens: 512}``.
        api_key_variable: the environment variable that holds the key; the key itself is kept nowhere.
        timeout: seconds for one request.
        concurrency: requests under way at a time.
        retries: how often a request is repeated after a 429, a 5xx, a time-out or a lost connection.
        backoff: seconds before the first of them, doubled every time; ``Retry-After`` goes before.
        max_requests: the budget of this process, repeated requests included.
        cache_folder: where replies are kept; null: the user's cache folder.

    Raises:
        ValueError: a parameter makes no sense, or the environment variable is not set.
        RuntimeError: a request failed for good, the judge's answer is no chat completion, or the budget is spent.
    """
    low, high = scale
    if "{completion}" not in template or not low < high or concurrency < 1:
        raise ValueError("the template must have {completion}, scale the lower number first, concurrency 1 or more")
    if answer is None and "{answer}" in template:
        raise ValueError("the template has {answer}, and the data set no column answer")
    judge = Judge(f"{base_url.rstrip('/')}/chat/completions", concurrency, max_requests, _replies(cache_folder))
    judge.waits = [backoff * 2**number for number in range(retries)]
    headers = _headers(api_key_variable)
    rows = zip(completions, prompts, answer or [""] * len(prompts), strict=True)
    texts = [
        # A judge that is to compare with an answer says nothing of a row that has none.
        None
        if a is None and "{answer}" in template
        else _filled(template, {"completion": c, "prompt": p, "answer": str(a)})
        for c, p, a in rows
    ]
    different = [text for text in dict.fromkeys(texts) if text is not None]
    bodies = [{"model": model, "messages": [{"role": "user", "content": t}], **(request or {})} for t in different]
    async with httpx.AsyncClient(headers=headers, timeout=timeout) as judge.client:
        ratings: dict[str | None, float | None] = {None: None}
        ratings |= dict(zip(different, await judge.ratings(bodies), strict=True))
    return [None if (r := ratings[text]) is None else (min(max(r, low), high) - low) / (high - low) for text in texts]


class Judge:
    """An endpoint, how patient to be with it, and what it replied before."""

    client: httpx.AsyncClient
    waits: list[float]
    """Seconds to wait before each repetition of a request."""

    def __init__(self, url: str, concurrency: int, max_requests: int, replies: Any) -> None:
        self.url, self.max_requests, self.replies = url, max_requests, replies
        self.slots = asyncio.Semaphore(concurrency)

    async def ratings(self, bodies: list[dict[str, Any]]) -> list[float | None]:
        """The number in the reply to each request; the first failure ends all of them."""
        tasks = [asyncio.create_task(self.rating(body)) for body in bodies]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def rating(self, body: dict[str, Any]) -> float | None:
        """The number in the reply, which is asked for twice where it has none, and kept either way."""
        name = json.dumps([self.url, body], sort_keys=True)
        reply = self.replies.get(name)
        if reply is None:
            async with self.slots:
                reply = await self.reply(body)
                if _rating(reply) is None:
                    reply = await self.reply(body)
            self.replies.set(name, reply)
        return _rating(reply)

    async def reply(self, body: dict[str, Any]) -> str:
        """The text that the judge wrote."""
        response = await self.sent(body)
        try:
            return response.json()["choices"][0]["message"]["content"] or ""
        except (ValueError, LookupError, TypeError) as error:
            raise RuntimeError(f"{self.url} answered no chat completion: {response.text[:200]!r}") from error

    async def sent(self, body: dict[str, Any]) -> httpx.Response:
        """The response to the request, sent again while that may help."""
        global asked
        for wait in (*self.waits, None):
            if asked >= self.max_requests:
                raise RuntimeError(f"the judge's budget of max_requests={self.max_requests} is spent")
            asked += 1
            try:
                response = await self.client.post(self.url, json=body)
            except httpx.TransportError as error:
                problem, after = f"{type(error).__name__} {error}".strip(), 0.0
            else:
                if response.is_success:
                    return response
                problem, after = f"{response.status_code} {response.text[:200]!r}", _retry_after(response)
                if response.status_code != 429 and not response.is_server_error:
                    break
            if wait is not None:
                await asyncio.sleep(min(max(wait, after), LONGEST_WAIT))
        raise RuntimeError(f"{self.url} failed for good: {problem}")


def _rating(reply: str) -> float | None:
    """The number that the judge gave; None where it gave none."""
    found = RATING.findall(reply)
    alone = ALONE.fullmatch(reply)
    return float(found[-1]) if found else float(alone[1]) if alone else None


def _filled(template: str, values: dict[str, str]) -> str:
    # At once, so that a completion that says {answer} is not given it.
    return PLACE.sub(lambda place: values[place[1]], template)


def _retry_after(response: httpx.Response) -> float:
    """Seconds that the endpoint asks for; 0 where it says none, or a date."""
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else 0.0


def _headers(key_variable: str | None) -> dict[str, str]:
    if not key_variable:
        return {}
    if not os.environ.get(key_variable):
        raise ValueError(f"the environment variable {key_variable}, which should hold the judge's key, is not set")
    return {"Authorization": f"Bearer {os.environ[key_variable]}"}


@cache
def _replies(folder: str | None) -> Any:
    import diskcache
    import platformdirs

    path = Path(folder) if folder else Path(platformdirs.user_cache_dir("rlexp")) / "judge"
    return diskcache.Cache(path, disk=diskcache.JSONDisk, eviction_policy="none")


# It needs an endpoint: tests/rewards/test_judge.py tries it against one of its own.
cases: list[dict[str, Any]] = []
