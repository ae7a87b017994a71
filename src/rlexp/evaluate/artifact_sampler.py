"""Samples from an exported artifact, in its own runtime and in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence

from rlexp.backend.prompts import Dialogue
from rlexp.compose.run import Run
from rlexp.compose.schema import Device
from rlexp.evaluate.sampler import Completion, Sampling
from rlexp.record.exports import Artifact
from rlexp.runtimes import protocol
from rlexp.runtimes.host import Host
from rlexp.runtimes.protocol import ON_CPU, Spec

TOGETHER = 16
"""Requests at once, at most."""


def spec_of(artifact: Artifact, run: Run) -> Spec:
    """How an artifact is loaded on the machine that a run names."""
    runtime = artifact.content["runtime"]
    together = max(1, min(run.hardware.sequences_per_device or 4, TOGETHER))
    return Spec(
        runtime,
        artifact.path,
        device="cuda" if run.hardware.device is Device.cuda and runtime not in ON_CPU else "cpu",
        context=run.model.max_seq_length,
        together=together,
        template_kwargs=artifact.content["template_kwargs"],
    )


class ArtifactSampler:
    """A ``Sampler`` over a runtime.

    Args:
        host: with the artifact.
    """

    def __init__(self, host: Host) -> None:
        self.host = host

    def sample(
        self, dialogues: Sequence[Dialogue], n: int, sampling: Sampling, seed: int, logprobs: bool = False
    ) -> list[list[Completion]]:
        """Does as ``Sampler.sample``; log-probabilities are not handed back."""
        told = iter(self.host.render([one for one in dialogues if not isinstance(one, str)]))
        texts = [one if isinstance(one, str) else next(told) for one in dialogues]
        prompts = [ids for ids in self.host.encode(texts) for _ in range(n)]
        how = protocol.Sampling(sampling.max_new_tokens, sampling.temperature, sampling.top_p, sampling.top_k)
        answers = self.host.generate(prompts, how, seed, self.host.spec.together)
        found = [Completion(one.ids, self.host.decode(one.ids), not one.ended) for one in answers]
        return [found[start : start + n] for start in range(0, len(found), n)]
