"""An exported artifact as lm-evaluation-harness asks a model: by its own tokenizer, template and engine.

Source: ``lm_eval.api.model.TemplateLM`` of lm-evaluation-harness 0.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lm_eval.api.model import TemplateLM
from lm_eval.models.utils import maybe_truncate, normalize_gen_kwargs, postprocess_generated_text
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

from rlexp.runtimes.host import Host
from rlexp.runtimes.protocol import Sampling


class HostedLM(TemplateLM):
    """The harness's model object over a runtime in its process.

    Args:
        host: with the artifact.
        seed: of tasks that sample.
    """

    def __init__(self, host: Host, seed: int) -> None:
        super().__init__()
        self.host = host
        self.seed = seed

    @property
    def eot_token_id(self) -> int:
        return self.host.ends[0]

    @property
    def tokenizer_name(self) -> str:
        return str(self.host.spec.path)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        (ids,) = self.host.encode([string])
        if add_special_tokens is False:
            (added,) = self.host.encode([""])
            return ids[len(added) :]
        return ids

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True, **kwargs: Any
    ) -> str:
        if not add_generation_prompt:
            raise NotImplementedError("a task that begins the answer itself cannot be asked of an artifact")
        (text,) = self.host.render([chat_history])
        return text

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """Nothing: the runtime holds its own, and the harness only records this."""
        return None

    def _loglikelihood_tokens(self, requests: Sequence[Any], **kwargs: Any) -> list[tuple[float, bool]]:
        return [self._read(before, own) for _, before, own in requests]

    def _read(self, before: list[int], own: list[int]) -> tuple[float, bool]:
        """(log-probability of some tokens behind others, whether each is the most probable)."""
        ids = (before + own)[-self.host.spec.context + 1 :]
        rows = self.host.logprobs(ids, len(ids) - len(own))
        at = range(len(own))
        return float(rows[at, own].sum()), bool((rows.argmax(axis=-1) == own).all())

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        longest = self.host.spec.context - 1
        found = []
        for request in requests:
            ids = self.tok_encode(request.args[0])
            windows = get_rolling_token_windows(ids, self.prefix_token_id, longest, 1)
            found.append(sum(self._read(*make_disjoint_window(one))[0] for one in windows))
        return found

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        answers = []
        for number, request in enumerate(requests):
            context, given = request.args
            how = normalize_gen_kwargs(given)
            ids, limit = maybe_truncate(self.tok_encode(context), how["max_gen_toks"], self.host.spec.context)
            sampling = Sampling(limit, how["temperature"], how.get("top_p", 1.0), how.get("top_k", 0))
            (answer,) = self.host.generate([ids], sampling, self.seed + number)
            answers.append(postprocess_generated_text(self.host.decode(answer.ids), how["until"], None))
        return answers
