"""An OpenAI-compatible endpoint: requests with patience, and every way in which it fails as one message.

Source: https://platform.openai.com/docs/api-reference, as vLLM, SGLang and llama.cpp serve it.
"""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from rlexp.errors import RunError, printable
from rlexp.secrets import masked

KEY = "OPENAI_API_KEY"
"""The environment variable of the key; the key itself is kept nowhere."""
WAITS = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each repetition of a request that may succeed later."""
LONGEST_WAIT = 60.0
"""Seconds that an endpoint may ask for."""
TIMEOUT = httpx.Timeout(600.0, connect=10.0)
REFUSED, NOT_FOUND = (401, 403), 404


def checked(url: str) -> str:
    """The URL without a slash at its end, where it names an endpoint and nothing secret.

    Raises:
        RunError: it has a user or password, a query, or no host.
    """
    try:
        parts = urlsplit(url)
        host, secret = parts.hostname, parts.username is not None or parts.password is not None
        _ = parts.port
    except ValueError:
        host, secret, parts = None, False, urlsplit("")
    where = f"evaluate {printable(masked(url))}"
    if secret or parts.query:
        raise RunError(
            "what a URL holds is written into the record, and this one may hold a key",
            where=f"evaluate {parts.scheme}://***",
            hint=f"put the key into the environment variable {KEY}, and type {parts.scheme}://HOST/v1#MODEL",
        )
    if not host:
        raise RunError("this is no URL of an endpoint", where=where, hint="type http://HOST:PORT/v1#MODEL")
    return url.rstrip("/").removesuffix("/chat/completions")


class Endpoint:
    """An endpoint that is spoken to, by several threads at once.

    Args:
        url: what stands before ``/chat/completions``.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._over = threading.Event()
        self._met = False
        key = os.environ.get(KEY)
        self._client = httpx.Client(headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._client.close()

    def stop(self) -> None:
        """Ends every wait: no request is repeated any more."""
        self._over.set()

    def served(self) -> str:
        """The name of the one model that it serves.

        Raises:
            RunError: it is not there, or serves several models or none.
        """
        said = self._sent("GET", "models", None)
        found = said.get("data")
        listed = [one.get("id") for one in found if isinstance(one, dict)] if isinstance(found, list) else []
        names = [printable(name) for name in listed if isinstance(name, str)]
        if len(names) == 1:
            return names[0]
        shown = ", ".join(names[:20])
        raise RunError(
            f"the endpoint serves {f'several models: {shown}' if names else 'no model that it names'}",
            where=f"{self.url}/models",
            hint=f"type {self.url}#{names[0] if names else 'MODEL'}",
        )

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What it answers to a request.

        Raises:
            RunError: it is not there, or failed for good.
        """
        return self._sent("POST", path, body)

    def _sent(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        for wait in (*WAITS, None):
            after = 0.0
            try:
                response = self._client.request(method, f"{self.url}/{path}", json=body)
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
                problem = f"{type(error).__name__} {error}".strip()
                # Nobody ever answered: a wrong URL, rather than a server that has much to do.
                gone = not isinstance(error, httpx.TransportError)
                if gone or (isinstance(error, httpx.ConnectError) and not self._met):
                    break
            else:
                self._met = True
                if response.is_success:
                    return self._read(response, path)
                problem = f"{response.status_code} {response.text[:200]}".strip()
                if response.status_code != 429 and not response.is_server_error:
                    raise self._refused(response.status_code, problem, path)
                said = response.headers.get("Retry-After", "")
                after = float(said) if said.isascii() and said.isdecimal() else 0.0
            if wait is None or self._over.wait(min(max(wait, after), LONGEST_WAIT)):
                break
        raise RunError(
            f"the endpoint does not answer: {_shown(problem)}",
            where=f"{self.url}/{path}",
            hint="start it, or name the one that runs: python -m rlexp evaluate http://HOST:PORT/v1#MODEL; "
            "what was measured before is kept",
        )

    def _read(self, response: httpx.Response, path: str) -> dict[str, Any]:
        try:
            found = response.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise self.odd(response.text, path)
        return found

    def _refused(self, status: int, problem: str, path: str) -> RunError:
        hint = f"look what {self.url}/models lists, and type {self.url}#MODEL"
        if status in REFUSED:
            known = os.environ.get(KEY)
            hint = f"put {'another' if known else 'a'} key of it into the environment variable {KEY}"
            hint += ": it refuses the one that is there" if known else ""
        elif status == NOT_FOUND and not urlsplit(self.url).path:
            hint = f"type {self.url}/v1"
        elif path != "models" and status != NOT_FOUND:
            hint = "change what it refuses: eval.TASK.max_new_tokens=NUMBER, eval.TASK.temperature=NUMBER and the like"
        return RunError(f"the endpoint refuses: {_shown(problem)}", where=f"{self.url}/{path}", hint=hint)

    def odd(self, said: Any, path: str) -> RunError:
        """The message of an answer that is none."""
        return RunError(
            f"the endpoint answers something else than OpenAI's: {_shown(str(said)[:200])}",
            where=f"{self.url}/{path}",
            hint="look whether that is its URL (http://HOST:PORT/v1#MODEL); the same command goes on where it stopped",
        )


def _shown(text: str) -> str:
    return printable(masked(text))
