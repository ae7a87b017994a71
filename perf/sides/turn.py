"""How a side is measured: warm-up steps at once, then rounds of steps, each when the harness says so.

The harness writes ``go.N`` into the side's folder; the side trains its steps of round N and writes ``done.N.json``.
So the sides may be loaded side by side and still have the device for themselves while timed.
"""

from __future__ import annotations

import contextlib
import cProfile
import fcntl
import functools
import hashlib
import io
import itertools
import json
import os
import pstats
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import kernels

BEGAN = time.time()


def job() -> dict[str, Any]:
    """What this side was told to do (the file named as the first word of its command line)."""
    return json.loads(Path(sys.argv[1]).read_text())


def write(path: Path, content: Any) -> None:
    """Writes JSON so that a reader sees all of it or nothing."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(content, default=str))
    partial.replace(path)


def wait_for(path: Path) -> None:
    """Returns once the file is there; this process uses no device and next to no processor until then."""
    while not path.exists():
        time.sleep(0.005)


@contextlib.contextmanager
def engine(spec: dict[str, Any]) -> Iterator[None]:
    """Held while a model and its engine start: the made model is there, and no other engine starts at the same time
    (vLLM looks at the free memory). The size of vLLM's cache is given, so that what the others hold says nothing; 0
    leaves it to vLLM."""
    wait_for(Path(spec["model"]) / ".made")
    with open(Path(spec["work"]) / "engine.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if spec["vllm"] and spec["kv_gib"]:
            from vllm.engine.arg_utils import EngineArgs

            if not hasattr(EngineArgs, "plain_init"):
                EngineArgs.plain_init = EngineArgs.__init__  # type: ignore[attr-defined]

                @functools.wraps(EngineArgs.plain_init)  # type: ignore[attr-defined]  # Unsloth reads the signature
                def sized(self: Any, *args: Any, **kwargs: Any) -> None:
                    kwargs["kv_cache_memory_bytes"] = int(spec["kv_gib"] * 2**30)
                    self.plain_init(*args, **kwargs)

                EngineArgs.__init__ = sized  # type: ignore[method-assign]
        yield


def pairs_of(dataset: Any) -> dict[str, Any]:
    """What a trainer of pairs learns from: a hash of its tokens in their order, and how many a pair has (both answers,
    each with its prompt)."""
    whole, digest = 0, hashlib.sha256()
    for row in dataset:
        sides = []
        for name in ("chosen", "rejected"):
            # DPO keeps prompt and answer apart, ORPO also both together.
            ids = row.get(f"{name}_input_ids")
            sides.append(list(ids if ids is not None else [*row["prompt_ids"], *row[f"{name}_ids"]]))
        whole += sum(map(len, sides))
        digest.update(json.dumps(sides).encode())
    return {"pairs": len(dataset), "tokens_a_pair": whole / len(dataset), "pairs_sha256": digest.hexdigest()[:16]}


def functions(profile: cProfile.Profile) -> list[str]:
    """The functions in which the host spent most time, with those they call and without."""
    report = io.StringIO()
    for order in ("cumulative", "tottime"):
        pstats.Stats(profile, stream=report).sort_stats(order).print_stats(60)
    return report.getvalue().splitlines()


def callback(spec: dict[str, Any], split: Callable[[], list[dict[str, float]]] = list) -> Any:
    """A transformers callback that keeps the turns of a trainer.

    Args:
        split: the parts of every step so far, where the side times them.
    """
    import torch
    from transformers import TrainerCallback

    folder = Path(spec["folder"])
    warm, per_round, rounds = spec["warm"], spec["steps"], spec["rounds"]
    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"

    def clock() -> float:
        if cuda:
            torch.cuda.synchronize()
        return time.perf_counter()

    def end() -> None:
        """Ends the process at once: its engine would take seconds to shut down."""
        sys.stdout.flush()
        os._exit(0)

    class Turn(TrainerCallback):
        """The turns."""

        profile: Any = None
        """What is measured of one step, where it is."""

        def watch(self, trainer: Any) -> Any:
            """Has the step that is profiled on the device begin with its first pass; returns the trainer."""
            compute_loss = trainer.compute_loss

            @functools.wraps(compute_loss)
            def profiled(*args: Any, **kwargs: Any) -> Any:
                if trainer.state.global_step == warm + rounds * per_round and self.profile is None:
                    clock()
                    self.profile = torch.profiler.profile(record_shapes=True)
                    self.profile.start()
                return compute_loss(*args, **kwargs)

            if spec["profile"] == "device":
                trainer.compute_loss = profiled
            return trainer

        def passes(self) -> list[str]:
            """From the first pass of a step to its end: the operations and kernels by their time on the device."""
            clock()
            self.profile.stop()
            trace = folder / "passes.trace.json"
            self.profile.export_chrome_trace(str(trace))
            found = kernels.read(json.loads(trace.read_text()))
            trace.unlink()
            shown = {"max_name_column_width": 70, "max_shapes_column_width": 90}
            operations = self.profile.key_averages(group_by_input_shape=True)
            return [
                f"device busy {found['device_ms']:.1f} ms, {found['kernels']:.0f} kernels",
                *(f"{name}: {value:.1f} ms" for name, value in found["groups_ms"].items()),
                *(f"{value:9.2f} ms {name[:120]}" for name, value in found["top"]),
                *operations.table(sort_by=f"self_{device}_time_total", row_limit=40, **shown).splitlines(),
            ]

        def __init__(self) -> None:
            self.begins: list[float] = []
            self.lengths: list[float] = []
            self.tokens: list[float] = []
            self.losses: list[float] = []
            self.tokens_a_pair = 0.0
            self.laps: dict[str, float] = {}

        def on_train_begin(
            self, args: Any, state: Any, control: Any, model: Any = None, train_dataloader: Any = None, **_: Any
        ) -> None:
            if cuda:
                torch.cuda.reset_peak_memory_stats()
            adapter = {n: c.to_dict() for n, c in getattr(model, "peft_config", {}).items()}
            trained = [p for p in model.parameters() if p.requires_grad]
            facts = {
                "trained_parameters": sum(p.numel() for p in trained),
                "trained_dtype": sorted({str(p.dtype) for p in trained}),
                "dtype": str(next(model.parameters()).dtype),
                "r": [a["r"] for a in adapter.values()],
                "lora_alpha": [a["lora_alpha"] for a in adapter.values()],
                "targets": [len(a["target_modules"] or ()) for a in adapter.values()],
            }
            if spec["method"] != "grpo":
                facts |= pairs_of(train_dataloader.dataset)
                self.tokens_a_pair = facts["tokens_a_pair"]
            write(folder / "effective.json", {**args.to_dict(), **{f"model.{k}": v for k, v in facts.items()}})

        def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            done = state.global_step
            if done == 0:
                self.laps["first_step_begins"] = time.time() - spec["started"]
            if done == warm:
                laps = {"python": BEGAN - spec["started"], **self.laps}
                write(folder / "warm.json", laps)
            if (
                done >= warm
                and (done - warm) % per_round == 0
                and (done < warm + rounds * per_round or spec["profile"])
            ):
                if cuda:
                    torch.cuda.empty_cache()  # what this side keeps for later, the others need now
                wait_for(folder / f"go.{(done - warm) // per_round}")
                self.begins, self.lengths = [], []
            if spec["profile"] == "host" and done == warm + rounds * per_round:
                self.profile = cProfile.Profile()
                self.profile.enable()
            self.begins.append(clock())

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step == 1:
                clock()
                self.laps["first_step_ends"] = time.time() - spec["started"]

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
            if not logs or ("completions/mean_length" if spec["method"] == "grpo" else "loss") not in logs:
                return
            done = state.global_step - warm
            self.losses.append(logs["loss"])
            self.lengths.append(logs.get("completions/mean_length", self.tokens_a_pair))
            self.tokens.append(logs.get("num_tokens", 0.0))
            if done > rounds * per_round:
                write(folder / "profile.json", functions(self.profile) if spec["profile"] == "host" else self.passes())
                end()
            if done <= 0 or done % per_round or done > rounds * per_round:
                return
            marks = [*self.begins, clock()]
            number = done // per_round - 1
            prompt = 0.0
            if spec["method"] == "grpo":
                prompt = (self.tokens[-1] - self.tokens[-2]) / spec["sequences"] - self.lengths[-1]
            memory = {}
            if cuda:
                free, total = torch.cuda.mem_get_info()
                memory = {
                    "allocated_gib": torch.cuda.max_memory_allocated() / 2**30,
                    "reserved_gib": torch.cuda.max_memory_reserved() / 2**30,
                    "device_used_gib": (total - free) / 2**30,
                    "card": torch.cuda.get_device_name(),
                }
            content = {
                "steps": [b - a for a, b in itertools.pairwise(marks)],
                "completion_tokens": [length * spec["sequences"] for length in self.lengths],
                "prompt_tokens": prompt,
                "reward_std": logs.get("reward_std"),
                "losses": self.losses[:3],
                "memory": memory,
                "split": split()[-per_round:],
            }
            write(folder / f"done.{number}.json", content)
            if number == rounds - 1 and not spec["profile"]:
                end()

    return Turn()
