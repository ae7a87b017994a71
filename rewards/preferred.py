"""A chat model says which of two answers is better: any endpoint that speaks OpenAI's chat completions.

After the pairwise comparison of LLM-as-a-judge, Zheng et al. 2023 (https://huggingface.co/papers/2306.05685). A judge
prefers the answer that it reads first: a task of pairs asks in both orders, and says how often they agree. Replies are
kept on disk by everything that was sent, so that nothing is asked twice. A request that fails for good raises.
"""

import asyncio
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx

version = 1
bounds = (0.0, 1.0)

PLACE = re.compile(r"\{(prompt|completion|other)\}")
VERDICTS = {"a": 1.0, "tie": 0.5, "b": 0.0}
VERDICT = re.compile(r"\bbetter[\s*_`'\"]*[:=][\s*_`'\"]*(a|b|tie)\b", re.IGNORECASE)
ALONE = re.compile(r"[\s*_`'\"]*(a|b|tie)[\s.*_`'\"]*", re.IGNORECASE)
LONGEST_WAIT = 60.0
"""Seconds before a request is tried again, at most."""
asked = 0
"""Requests sent by this process."""


async def score(
    completions: list[str],
    prompts: list[str],
    other: list[str],
    *,
    base_url: str,
    model: str,
    template: str,
    request: dict[str, Any] | None = None,
    api_key_variable: str | None = None,
    timeout: float = 60.0,
    concurrency: int = 8,
    retries: int = 5,
    backoff: float = 1.0,
    max_requests: int = 10_000,
    cache_folder: str | None = None,
) -> list[float | None]:
    """1 where the completion is better than the other answer, 0 where it is worse, 0.5 for a tie; None without verdict.

    Two equal answers are a tie, and nobody is asked.

    Args:
        other: the answer that each completion is held against.
        base_url: what stands before ``/chat/completions``, such as ``http://localhost:8000/v1``.
        template: the judge's instructions with ``{completion}`` as the answer A, ``{other}`` as B, and ``{prompt}``. It
            must ask for a line ``Better: A``, ``Better: B`` or ``Better: tie``; the last such line of the reply counts.
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
    if not {"completion", "other"} <= {*PLACE.findall(template)} or concurrency < 1:
        raise ValueError("the template must have {completion} and {other}, concurrency 1 or more")
    if api_key_variable and not os.environ.get(api_key_variable):
        raise ValueError(f"the environment variable {api_key_variable}, which should hold the judge's key, is not set")
    headers = {"Authorization": f"Bearer {os.environ[api_key_variable]}"} if api_key_variable else {}
    pairs = list(zip(prompts, completions, other, strict=True))
    texts = {
        pair: _filled(template, dict(zip(("prompt", "completion", "other"), pair, strict=True)))
        for pair in pairs
        if pair[1].strip() != pair[2].strip()
    }
    bodies = [{"model": model, "messages": [{"role": "user", "content": t}], **(request or {})} for t in texts.values()]
    judge = Judge(f"{base_url.rstrip('/')}/chat/completions", concurrency, max_requests, _replies(cache_folder))
    judge.waits = [backoff * 2**number for number in range(retries)]
    async with httpx.AsyncClient(headers=headers, timeout=timeout) as judge.client:
        found = dict(zip(texts, await judge.verdicts(bodies), strict=True))
    return [found.get(pair, VERDICTS["tie"]) for pair in pairs]


class Judge:
    """An endpoint, how patient to be with it, and what it replied before."""

    client: httpx.AsyncClient
    waits: list[float]
    """Seconds to wait before each repetition of a request."""

    def __init__(self, url: str, concurrency: int, max_requests: int, replies: Any) -> None:
        self.url, self.max_requests, self.replies = url, max_requests, replies
        self.slots = asyncio.Semaphore(concurrency)

    async def verdicts(self, bodies: list[dict[str, Any]]) -> list[float | None]:
        """The verdict in the reply to each request; the first failure ends all of them."""
        tasks = [asyncio.create_task(self.verdict(body)) for body in bodies]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def verdict(self, body: dict[str, Any]) -> float | None:
        """The verdict in the reply, which is asked for twice where it has none, and kept either way."""
        name = json.dumps([self.url, body], sort_keys=True)
        reply = self.replies.get(name)
        if reply is None:
            async with self.slots:
                reply = await self.reply(body)
                if _verdict(reply) is None:
                    reply = await self.reply(body)
            self.replies.set(name, reply)
        return _verdict(reply)

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
                said = response.headers.get("Retry-After", "")
                problem = f"{response.status_code} {response.text[:200]!r}"
                after = float(said) if said.isdecimal() else 0.0
                if response.status_code != 429 and not response.is_server_error:
                    break
            if wait is not None:
                await asyncio.sleep(min(max(wait, after), LONGEST_WAIT))
        raise RuntimeError(f"{self.url} failed for good: {problem}")


def _verdict(reply: str) -> float | None:
    """What the judge decided; None where it did not."""
    found, alone = VERDICT.findall(reply), ALONE.fullmatch(reply)
    word = found[-1] if found else alone[1] if alone else None
    return VERDICTS[word.lower()] if word else None


def _filled(template: str, values: dict[str, str]) -> str:
    # At once, so that an answer that says {prompt} is not given it.
    return PLACE.sub(lambda place: values[place[1]], template)


@cache
def _replies(folder: str | None) -> Any:
    import diskcache
    import platformdirs

    path = Path(folder) if folder else Path(platformdirs.user_cache_dir("rlexp")) / "judge"
    return diskcache.Cache(path, disk=diskcache.JSONDisk, eviction_policy="none")


# It needs an endpoint: tests/rewards/test_preferred.py tries it against one of its own.
cases: list[dict[str, Any]] = []
