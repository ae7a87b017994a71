"""One-step-off-policy: the completions of step t+1 are sampled by the policy before the update of step t.

``method.off_policy_steps=1``. A step begins so: the completions of step t are taken (waited for), then those of t+1 are
asked for, then t is scored and trained. With ``rollout=server`` the request runs in a thread while t is trained, after
the weights were sent: they are never sent into a running request. Every other rollout samples first and trains then:
the same algorithm with the same staleness, and no time gained. The first step is on-policy, the last asks for nothing.

Probability ratios are against the policy that sampled. Its log-probabilities (the old ones) come

- with transformers' generate, and for RLOO from an engine in the process, from a pass with the weights that sampled;
- else from vLLM, which reports what it sampled with. The ratio then holds the staleness and what vLLM and the trainer
  differ by, clipped as one (verl's bypass mode; TRL's correction is left out), and there is no pass of its own.

They travel with the micro-batch: as TRL's ``old_per_token_logps``; in Unsloth's rewritten trainer, which lays tokens
out otherwise, as ``sampling_per_token_logps``, which its loss is given for the old ones, too; for RLOO as the answer to
the pass that it would compute them by. Only how completions are sampled is changed: TRL counts, scores and logs those
of step t in step t. The completions that wait are part of a checkpoint: a resumed training goes on with the same ones.

``trl.experimental.async_grpo`` does not fit: a trainer of its own for GRPO alone, without KL term or a CPU, that scores
in a child process; its staleness is a bound, so that what is learned depends on timing; of what is sampled but not yet
trained on, a checkpoint keeps nothing.

Source: https://arxiv.org/abs/2410.18252 (asynchronous RLHF, one step off-policy);
``trl.GRPOTrainer._generate_and_score_completions``; ``trl.trainer.utils.RepeatSampler`` for the order of prompts.
"""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rlexp.backend import logprobs
from rlexp.backend.engine import request
from rlexp.backend.logprobs import Lists
from rlexp.backend.patches import importance_ratio
from rlexp.backend.patches.patch import APPLIED, Outcome, Patch
from rlexp.backend.prompt_order import Sampled, batches, prompts_digest

if TYPE_CHECKING:
    from rlexp.backend.trainers.protocol import OnlineTrainer

FILE = "off_policy.json"
"""The completions that wait, in a checkpoint's folder; written before ``trainer_state.json``, which makes it whole."""

PATCH = Patch(
    name="off_policy",
    target="_generate_single_turn, _generate_and_score_completions, _get_per_token_logps_and_entropies, train and "
    "the checkpoints of the random state of a trl.GRPOTrainer or RLOOTrainer; sync_weights of its VLLMGeneration",
    reason="method.off_policy_steps=1 samples a step's completions while the step before it trains.",
    gain="4.123 -> 3.133 s a step at 4B with a server on a second H100 (perf/results/2026-11-25_4b_h100.md); none "
    "elsewhere",
    upstream="https://github.com/huggingface/trl/issues/4766",
    made_for={"trl": "1.15", "unsloth": "2026.10", "transformers": "5.17"},
    expires="when TRL's trainers sample ahead by a fixed number of steps, and checkpoint what waits",
    needed_for="method.off_policy_steps=1",
)


def apply(trainer: OnlineTrainer) -> Outcome:
    """Has the trainer sample one step ahead."""
    OffPolicy(trainer).install()
    return APPLIED


class OffPolicy:
    """Has a ``trl.GRPOTrainer`` or ``trl.RLOOTrainer`` (or what Unsloth made of one) sample one step ahead."""

    def __init__(self, trainer: OnlineTrainer) -> None:
        self.trainer = trainer
        self.generation: Any = getattr(trainer, "vllm_generation", None)
        self.overlaps = getattr(self.generation, "mode", None) == "server"
        self.grpo = importance_ratio.is_grpo(trainer)
        self.waiting: Future[Sampled] | None = None
        """The completions of the next step, there or under way."""
        self.batches: Iterator[list[Any]] | None = None
        self.unanswered: Lists | None = None
        """RLOO's old log-probabilities, until it asks for them."""
        self.sample = trainer._generate_single_turn

    def install(self) -> None:
        """Wraps the trainer's methods."""
        trainer: Any = self.trainer
        trainer._generate_single_turn = self._taking(self.sample)
        trainer._save_rng_state = _before(trainer._save_rng_state, self.save)
        trainer._load_rng_state = _before(trainer._load_rng_state, self.restore)
        trainer.train = self._ending(trainer.train)
        if self.overlaps:
            self.generation.logprobs = 0  # those of the sampled tokens; RLOO asks for none
            self.generation.sync_weights = _before(self.generation.sync_weights, self._settle)
        if not self.grpo:
            trainer._get_per_token_logps_and_entropies = self._answering(trainer._get_per_token_logps_and_entropies)
        elif importance_ratio.is_rewritten(trainer):
            importance_ratio.replace_loss(trainer, _Loss, PATCH.name)
            trainer._generate_and_score_completions = importance_ratio.uncorrected(trainer)
        else:
            trainer.vllm_importance_sampling_correction = False
            trainer._generate_and_score_completions = self._with_old(trainer._generate_and_score_completions)

    def save(self, checkpoint_dir: str) -> None:
        """Writes the completions that wait into a checkpoint; those under way are waited for."""
        if self.waiting is not None:
            (Path(checkpoint_dir) / FILE).write_text(json.dumps(asdict(self.waiting.result())))

    def restore(self, checkpoint_dir: str | None) -> None:
        """Takes them from a checkpoint, where they answer the prompts that come next: those of a fork may be others,
        and from an on-policy training there are none to take."""
        file = Path(checkpoint_dir or "") / FILE
        if not checkpoint_dir or not file.is_file():
            return
        kept = Sampled(**json.loads(file.read_text()))
        rows = next(itertools.islice(batches(self.trainer), self.trainer.state.global_step, None), [])
        prompt_ids = self.trainer._tokenize_prompts([row["prompt"] for row in rows])[0] if rows else []
        if kept.prompts == prompts_digest(prompt_ids):
            self.waiting = Future()
            self.waiting.set_result(kept)

    def end(self) -> None:
        """Ends what is under way: nobody will train on it."""
        waiting, self.waiting = self.waiting, None
        if waiting is not None and not waiting.done():
            request.abort(waiting, self.generation.vllm_client)

    def _taking(self, sample: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(sample)
        def take(prompt_ids: Lists, images: Any, fields: Any, *rest: Any) -> Any:
            if not self.trainer.model.training:  # an evaluation
                return sample(prompt_ids, images, fields, *rest)
            waiting, self.waiting = self.waiting, None
            if waiting is None:  # the first step
                waiting = self._request(prompt_ids, images, fields, *rest)
            self.waiting = waiting  # an interrupted wait leaves it to be ended
            taken = waiting.result()
            self.waiting = None
            if taken.prompts != prompts_digest(prompt_ids):
                raise RuntimeError("the completions that wait were sampled for other prompts than those of this step")
            state = self.trainer.state
            if state.global_step + 1 < state.max_steps:
                self.waiting = self._request(*self._next_prompts(), *rest)
            if self.grpo:
                return taken.ids, taken.logprobs
            self.unanswered = taken.logprobs
            return taken.ids

        return take

    def _next_prompts(self) -> tuple[Lists, Any, Any]:
        """The tokenized prompts of the next step."""
        if self.batches is None:
            self.batches = itertools.islice(batches(self.trainer), self.trainer.state.global_step + 1, None)
        return self.trainer._tokenize_prompts([row["prompt"] for row in next(self.batches)])

    def _request(self, prompt_ids: Lists, images: Any, fields: Any, *rest: Any) -> Future[Sampled]:
        """The completions of these prompts by the policy as it is now."""
        trainer = self.trainer
        if not self.overlaps:
            done: Future[Sampled] = Future()
            answer = self.sample(prompt_ids, images, fields, *rest)
            ids, sampled = answer if self.grpo else (answer, None)
            old = sampled or logprobs.of_completions(trainer, prompt_ids, ids)
            done.set_result(Sampled(prompts_digest(prompt_ids), ids, logprobs.numbers(old)))
            return done
        if trainer.state.global_step != trainer._last_loaded_step:
            self.generation.sync_weights()
            trainer._last_loaded_step = trainer.state.global_step

        def generated() -> Sampled:
            _, ids, sampled, _ = self.generation.generate(prompt_ids, images, trainer.num_generations)
            first = [[token[0] for token in row] for row in sampled]
            return Sampled(prompts_digest(prompt_ids), ids, logprobs.numbers(first))

        return request.in_thread(generated)

    def _settle(self) -> None:
        """Waits until no request runs; its error is raised where its completions are taken."""
        if self.waiting is not None:
            self.waiting.exception()

    def _with_old(self, score: Callable[..., Any]) -> Callable[..., Any]:
        """TRL's GRPO takes the sampler's log-probabilities as the old ones."""

        @functools.wraps(score)
        def scored(inputs: Any) -> Any:
            batch = score(inputs)
            if self.trainer.model.training:
                old = batch.pop("sampling_per_token_logps")
                if old.isnan().any():
                    old = old.where(~old.isnan(), logprobs.of_batch(self.trainer, batch))
                batch["old_per_token_logps"] = old
            return batch

        return scored

    def _answering(self, compute: Callable[..., Any]) -> Callable[..., Any]:
        """RLOO takes them as its old ones, and so computes its KL penalty from them."""

        @functools.wraps(compute)
        def answer(model: Any, input_ids: Any, *args: Any, **kwargs: Any) -> Any:
            if self.unanswered is None:
                return compute(model, input_ids, *args, **kwargs)
            import torch

            rows, self.unanswered = self.unanswered, None
            old = torch.zeros(input_ids.shape[0], args[1], device=input_ids.device)
            for number, row in enumerate(rows):
                old[number, : len(row)] = torch.tensor(row)
            if old.isnan().any():
                old = old.where(~old.isnan(), compute(model, input_ids, *args, **kwargs)[0])
            return old, None, None

        return answer

    def _ending(self, train: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(train)
        def trained(*args: Any, **kwargs: Any) -> Any:
            try:
                return train(*args, **kwargs)
            finally:
                self.end()

        return trained


class _Loss(importance_ratio.Loss):
    """Unsloth's loss function, given the sampler's log-probabilities for the old ones.

    It has them twice, so the correction by their ratio is 1, and the difference that it logs 0.
    """

    def apply(self, new: Any, old: Any, reference: Any, sampling: Any, *rest: Any) -> Any:
        """Does as ``torch.autograd.Function.apply``; all [sequences, tokens]. A token without has a ratio of 1."""
        if old is None and sampling is not None:
            old = sampling.where(~sampling.isnan(), new.detach())
        return self.loss.apply(new, old, reference, sampling, *rest)


def _before(method: Callable[..., Any], first: Callable[..., None]) -> Callable[..., Any]:
    """The method, with ``first`` called before it with the same arguments."""

    @functools.wraps(method)
    def both(*args: Any) -> Any:
        first(*args)
        return method(*args)

    return both
