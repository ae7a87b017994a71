"""Several data sets at once through the command line: numbers by source, and a replay from nothing but the lock."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml

from tests.conftest import rlexp
from tests.going_on import selection

pytestmark = pytest.mark.end_to_end
SMALL = ("held_out.draw=first", "held_out.rows=8", "held_out.samples=0", "method.prompts_per_step=4")


@pytest.fixture
def mixable(project):
    """A project with a second option of each arithmetic data set, whose numbers are small."""
    for kind, made in (("sums", "arithmetic"), ("preferences", "arithmetic_preferences")):
        option = yaml.safe_load((project / f"conf/dataset/{made}.yaml").read_text())
        option |= {"name": f"small_{kind}", "params": {"train": 40, "test": 8, "seed": 0, "low": 0, "high": 9}}
        (project / f"conf/dataset/small_{kind}.yaml").write_text(yaml.safe_dump(option))
    return project


def lines(folder) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.long
def test_grpo_on_a_mixture_says_the_reward_of_each_source_and_is_replayed_from_the_lock(mixable):
    done = rlexp(
        mixable,
        *("dataset=small_sums+arithmetic", "dataset.parts.small_sums.weight=2", "dataset.parts.arithmetic.weight=0.02"),
        *(*SMALL, "method.max_steps=4", "method.num_generations=4", "held_out.every=2", "hydra.run.dir=outputs/mixed"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    run_dir = mixable / "outputs/mixed"
    steps = [line for line in lines(run_dir) if "reward" in line]
    assert [line["step"] for line in steps] == [1, 2, 3, 4]
    seen = set()
    for line in steps:
        parts = {name for name in ("small_sums", "arithmetic") if f"source/{name}/reward" in line}
        seen |= parts
        means = [line[f"source/{name}/reward"] for name in parts]
        assert parts and min(means) - 1e-6 <= line["reward"] <= max(means) + 1e-6
    assert seen == {"small_sums", "arithmetic"}
    assert any("held_out/source/small_sums/reward" in line for line in lines(run_dir))
    held_out = json.loads((run_dir / "manifest.json").read_text())["held_out"]
    assert list(held_out)[:3] == ["correct", "format", "reward"] and len(held_out) == 9
    both = (held_out["source/arithmetic/reward"]["after"] + held_out["source/small_sums/reward"]["after"]) / 2
    assert held_out["reward"]["after"] == pytest.approx(both)  # four rows of each
    assert "source/small_sums/correct" in done.stdout
    locked = yaml.safe_load((run_dir / "run.lock.yaml").read_text())["inputs"]["data"]
    assert locked["path"] == "data/arithmetic+small_sums" and list(locked["source"]["parts"]) == [
        "arithmetic",
        "small_sums",
    ]
    shutil.rmtree(mixable / "data")
    (mixable / "data_prep/arithmetic.py").unlink()  # the run kept a copy
    (mixable / "conf/dataset/small_sums.yaml").unlink()
    again = rlexp(mixable, "replay", "outputs/mixed", "--dir", "outputs/again")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "made again of its parts in data/arithmetic+small_sums" in again.stdout
    assert "trajectory identical: every value of" in again.stdout
    assert (
        selection(run_dir) == selection(mixable / "outputs/again")
        and (run_dir / "selection.jsonl").read_text().count("\n") == 3
    )


def test_dpo_on_a_mixture_is_evaluated_by_source(mixable):
    done = rlexp(
        mixable,
        *("method=dpo", "dataset=small_preferences+arithmetic_preferences", *SMALL, "method.max_steps=2"),
        "hydra.run.dir=outputs/pairs",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    held_out = json.loads((mixable / "outputs/pairs/manifest.json").read_text())["held_out"]
    for name in ("loss", "rewards/margins"):
        parts = [held_out[f"source/{part}/{name}"]["after"] for part in ("small_preferences", "arithmetic_preferences")]
        assert held_out[name]["after"] == pytest.approx(sum(parts) / 2, abs=1e-4)
        assert parts[0] != parts[1]
    assert not any(name.startswith("source/") for line in lines(mixable / "outputs/pairs") for name in line)


def test_a_run_on_one_data_set_says_nothing_by_source(project):
    done = rlexp(project, *SMALL, "method.max_steps=1", "method.num_generations=2", "hydra.run.dir=outputs/one")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "source/" not in (project / "outputs/one/metrics.jsonl").read_text() + done.stdout
    locked = yaml.safe_load((project / "outputs/one/run.lock.yaml").read_text())
    assert locked["config"]["dataset"]["parts"] == {} and "parts" not in locked["inputs"]["data"]["source"]
