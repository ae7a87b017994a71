"""Composing from Python: what the command line composes, and its messages as exceptions."""

from __future__ import annotations

import dataclasses
import gc
import os
import subprocess
import sys

import pytest

from rlexp import api
from rlexp.api import composed as of_api
from rlexp.api import place
from rlexp.record.lock import identity


def test_it_imports_no_torch_and_switches_telemetry_off():
    program = "import os, sys, rlexp.api; print('torch' in sys.modules, 'transformers' in sys.modules, os.environ[%r])"
    unset = {name: value for name, value in os.environ.items() if name != "HF_HUB_DISABLE_TELEMETRY"}
    command = [sys.executable, "-c", program % "HF_HUB_DISABLE_TELEMETRY"]
    assert subprocess.run(command, env=unset, capture_output=True, text=True).stdout.split() == ["False", "False", "1"]


def test_a_run_is_the_command_lines(root, composed, monkeypatch):
    monkeypatch.chdir(root / "docs")
    assert identity(api.compose()) == "0ca3ed73c5b72c23"
    assert api.compose("method=dpo", "dataset=arithmetic_preferences") == composed(
        "method=dpo", "dataset=arithmetic_preferences"
    )
    assert os.getcwd() == str(root / "docs")


def test_the_points_of_a_sweep_are_a_list_and_each_keeps_what_was_typed_for_it(root):
    made = api.points("method.beta=0,0.04", "seed=1", "hydra.run.dir=outputs/x", "hydra.sweep.dir=y", root=root)
    assert [run.arguments["beta"] for run in made] == [0.0, 0.04]
    assert of_api.typed_of(made[1]).overrides == ("method.beta=0.04", "seed=1", "hydra.run.dir=outputs/x")


@pytest.mark.parametrize(
    ("overrides", "what", "hint"),
    [
        (["metod=grpo"], "there is no key metod", "did you mean method?"),
        (["reward=format+corect"], "there is no reward named 'corect'", "did you mean reward=format+correct?"),
        (["method.beta=0,0.04"], "compose makes one run, and method.beta=0,0.04 asks for several", "api.points"),
        (["hydra.mode=MULTIRUN"], "compose makes one run, and hydra.mode=MULTIRUN", "api.points"),
        (["-m", "seed=1,2"], "-m is an option of the command line", "api.points"),
        (["--config-dir=x"], "--config-dir=x is an option of the command line", "leave out --config-dir=x"),
        ([["seed=1"]], "an override is a text", "api.compose(*overrides)"),
        ([{"seed": 1}], "an override is a text", "api.compose("),
        (["seed"], "", ""),
        (["train"], "", ""),
        ([""], "", ""),
        (["method.beta="], "", ""),
    ],
)
def test_a_mistake_is_an_exception_with_what_to_do(root, overrides, what, hint):
    with pytest.raises(api.RunError) as caught:
        api.compose(*overrides, root=root)
    assert what in caught.value.what and hint in caught.value.hint and caught.value.hint


def test_without_a_project_it_says_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for call in (api.compose, api.points, lambda: api.reward("format"), lambda: api.open("outputs/x")):
        with pytest.raises(api.RunError, match="not an rlexp project"):
            call()


def test_a_run_that_was_changed_or_came_from_elsewhere_is_not_trained(root):
    run = api.compose(root=root)
    for other in (dataclasses.replace(run, seed=7), "run", None):
        with pytest.raises(api.RunError) as caught:
            api.train(other)
        assert "api.compose(" in caught.value.hint


def test_a_run_that_is_gone_is_forgotten(root):
    run = api.compose(root=root)
    key = id(run)
    assert key in of_api._typed
    del run
    gc.collect()
    assert key not in of_api._typed


def test_a_run_that_the_project_composes_otherwise_by_now_is_not_trained(project):
    run = api.compose(root=project)
    config = project / "conf/config.yaml"
    config.write_text(config.read_text().replace("seed: 0", "seed: 3"))
    with pytest.raises(api.RunError, match="composes another run now: seed 0 -> 3"):
        api.train(run)
    assert not (project / "outputs").exists()


def test_a_message_holds_no_secret(root, monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "s3cr3t-s3cr3t-s3cr3t")
    with pytest.raises(api.RunError) as caught, place.inside(root):
        raise api.RunError("s3cr3t-s3cr3t-s3cr3t is wrong", hint="leave out s3cr3t-s3cr3t-s3cr3t")
    assert "s3cr3t" not in f"{caught.value} {caught.value.args}"


def test_a_script_that_a_library_imports_again_is_one_message(root):
    from multiprocessing import process

    process.current_process()._inheriting = True
    try:
        with pytest.raises(SystemExit) as caught:
            api.train(api.compose(root=root))
    finally:
        del process.current_process()._inheriting
    assert 'if __name__ == "__main__"' in str(caught.value.code)


def test_a_root_that_is_no_folder_is_not_searched_above(root, monkeypatch):
    monkeypatch.chdir(root)
    with pytest.raises(api.RunError, match="there is no folder nowhere"):
        api.compose(root="nowhere")


def test_one_run_trains_at_a_time(root):
    run = api.compose(root=root)
    with place.alone(), pytest.raises(api.RunError, match="another run trains in this process"):
        api.train(run)
    with place.alone():
        pass
