"""Real runs on a GPU: ``pytest -m gpu`` on a machine that has one and the extra ``gpu``. CI has none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rlexp import nvidia
from rlexp.backend.engine import server_command
from tests.conftest import rlexp

pytestmark = pytest.mark.gpu
SHORT = ("method.max_steps=4", "held_out.rows=16", "held_out.samples=1")


LARGE_STEPS = ("rollout.enforce_eager=true", "method.learning_rate=1e-3")
"""So that weights of the step before would be told from those of the step."""


def manifest(project: Path, where: str, *arguments: str) -> dict[str, Any]:
    """The record of a finished run in the folder ``where``."""
    done = rlexp(project, f"hydra.run.dir={where}", *arguments, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((project / where / "manifest.json").read_text())


def apart(where: Path) -> list[float]:
    """Means of the distance between vLLM's log-probabilities and the trainer's, by step: of the same weights it is the
    rounding of bfloat16; of those of the step before it would grow with every step."""
    lines = [json.loads(line) for line in (where / "metrics.jsonl").read_text().splitlines()]
    found = [line[key] for line in lines for key in line if key.endswith("sampling_logp_difference/mean")]
    assert found
    return found


def test_the_main_job_raises_the_held_out_reward_on_a_gpu(shared_project):
    said = manifest(shared_project, "outputs/main")
    reward = said["held_out"]["reward"]
    assert reward["after"] >= 1.4 * reward["before"] > 0
    assert said["machine"]["gpus"]


def test_a_run_after_a_smoke_is_replayed_to_the_last_bit(shared_project):
    said = manifest(shared_project, "outputs/smoked", "preflight.smoke=always", *SHORT)
    assert said["smoke"]["on_device"] and said["health"] == {}
    again = rlexp(shared_project, "replay", "outputs/smoked", timeout=600)
    assert again.returncode == 0 and "trajectory identical" in again.stdout, again.stdout + again.stderr


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("unsloth", ("rollout=unsloth",)),
        ("own_weights", ("rollout=colocate", "rollout.loader=unsloth")),
        ("colocate", ("rollout=colocate",)),
    ],
)
def test_completions_can_come_from_a_vllm_in_the_process_that_has_the_weights_of_every_step(
    shared_project, name, typed
):
    where = f"outputs/vllm_{name}"
    said = manifest(shared_project, where, *typed, "rollout.gpu_memory_utilization=0.3", *LARGE_STEPS, *SHORT)
    assert said["status"] == "finished"
    assert max(apart(shared_project / where)) < 0.05


@pytest.mark.skipif(len(nvidia.visible()) < 2, reason="needs two GPUs")
@pytest.mark.parametrize("loader", ["unsloth", "transformers"])
def test_completions_can_come_from_a_server_that_has_the_weights_of_every_step(shared_project, loader):
    where = f"outputs/server_{loader}"
    engine = ("rollout=server", f"rollout.loader={loader}", "preflight.smoke=always")
    said = manifest(shared_project, where, *engine, *LARGE_STEPS, *SHORT)
    assert said["status"] == "finished" and said["step_time_s"]["weight_sync"] > 0
    assert max(apart(shared_project / where)) < 0.05
    assert (shared_project / where / "server.log").stat().st_size
    assert server_command.is_free(8000) and server_command.is_free(51216)


TWO = pytest.mark.skipif(len(nvidia.visible()) < 2, reason="needs two GPUs")


@pytest.mark.parametrize(
    ("method", "rollout"),
    [
        *(("grpo", "generate"), ("grpo", "unsloth"), ("grpo", "colocate"), ("rloo", "generate")),
        *(pytest.param(method, "server", marks=TWO) for method in ("grpo", "rloo")),
    ],
)
def test_completions_can_be_sampled_one_step_ahead(shared_project, method, rollout):
    where = f"outputs/ahead_{method}_{rollout}"
    ahead = ("method.off_policy_steps=1", f"method={method}", f"rollout={rollout}", "rollout.enforce_eager=true")
    share = () if rollout == "generate" else ("rollout.gpu_memory_utilization=0.3",)
    assert manifest(shared_project, where, *ahead, *share, "preflight.smoke=always", *SHORT)["status"] == "finished"
    lines = [json.loads(line) for line in (shared_project / where / "metrics.jsonl").read_text().splitlines()]
    # The first step is on-policy: with old log-probabilities of other tokens most would be clipped. RLOO clips whole
    # completions, for which the rounding of vLLM's adds up.
    if clipped := [line["clip_ratio/region_mean"] for line in lines if "clip_ratio/region_mean" in line]:
        assert clipped[0] < (0.5 if (method, rollout) == ("rloo", "server") else 0.1)


@pytest.mark.parametrize(
    ("method", "dataset"),
    [
        ("dpo", "arithmetic_preferences"),
        ("orpo", "arithmetic_preferences"),
        ("kto", "arithmetic_judged"),
        ("sft", "arithmetic_demonstrations"),
        ("rloo", "arithmetic"),
    ],
)
def test_every_method_trains_on_a_gpu(shared_project, method, dataset):
    manifest(shared_project, f"outputs/{method}", f"method={method}", f"dataset={dataset}", *SHORT)


PACKED = """
import unsloth
from unsloth.utils import attention_dispatch as dispatch
from rlexp.backend.patches import packed_kernel
assert packed_kernel._right(packed_kernel._repeatable(dispatch._LeanFlashVarlen).apply)
packed_kernel.apply()
assert dispatch._TORCH_VARLEN_ATTN or dispatch.HAS_XFORMERS or dispatch.HAS_FLASH_ATTENTION
"""
SAMPLED = """
import torch
from vllm.v1.worker.gpu.sample import logprob
from rlexp.backend.patches import sampled_logprobs
logits = 3 * torch.randn(32, 151936, device="cuda")
ids = logits.argmax(-1, keepdim=True)
original = logprob.compute_token_logprobs(logits, ids)
torch.testing.assert_close(sampled_logprobs.compute(logits, ids), original, atol=1e-4, rtol=0)
"""


@pytest.mark.parametrize("code", [PACKED, SAMPLED], ids=["packed attention", "log-probabilities of samples"])
def test_what_takes_the_place_of_a_librarys_kernel_computes_the_same(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
