"""The real command line: every mistake is one message with exit code 2, no torch imported and nothing written."""

import json
import re

import pytest

from tests.conftest import files, rlexp

HEAVY = ("torch", "transformers", "trl", "unsloth", "datasets")


def imported(importtime: str) -> set[str]:
    """The top-level packages in the output of ``PYTHONPROFILEIMPORTTIME``."""
    lines = [line for line in importtime.splitlines() if line.startswith("import time:")]
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}


@pytest.mark.parametrize(
    ("arguments", "what", "nearest"),
    [
        (["reward=format+corect"], "no reward named 'corect'", "reward=format+correct"),
        (["method.num_generation=4"], "no key method.num_generation", "method.num_generations"),
        (["+method.junk=1"], "no key method.junk", "--cfg job --package method"),
        (["method.beta=abc"], "could not be converted to Float", "method.beta=VALUE"),
        (["dataset.path=nowhere"], "no snapshot at nowhere", "data/arithmetic"),
        (["dataset=arithmetic_preferences"], "grpo trains on prompt_only data", "dataset=arithmetic"),
        (["method=dpo"], "dpo trains on preference data", "dataset=arithmetic_preferences"),
        (["method.num_generations=1"], "num_generations is 1", "method.num_generations=2"),
        (["-m", "method.num_generations=1,4"], "1 of 2 points", "method.num_generations=2"),
        (["trian", "method=grpo"], "no verb 'trian'", "train"),
        (["method.max_steps"], "method.max_steps needs a value", "method.max_steps=VALUE"),
        (["-m", "--cfg", "job"], "-m and --cfg do not go together", "--cfg alone"),
        (["--resolve"], "--resolve belongs to --cfg", "--cfg job --resolve"),
        (["--experimental-rerun", "x"], "a pickled config", "replay RUN"),
        (["hardware=h100"], "no GPU here", "hardware=cpu"),
        (["plan", "train"], "train is a verb", "python -m rlexp plan"),
        (["--config-dir=/nosuch", "method.max_steps=1"], "not there: /nosuch", "leave --config-dir out"),
        (["plan", "--config-path=nosuch"], "not there: nosuch", "leave --config-path out"),
        (["plan", "--config-path=rewards"], "holds no config.yaml", "leave out --config-path"),
        (["method.beta=0,0.04"], "several values", "-m method.beta=0,0.04"),
    ],
)
def test_a_mistake_costs_one_message_and_nothing_else(project, arguments, what, nearest):
    before = files(project)
    done = rlexp(project, *arguments, PYTHONPROFILEIMPORTTIME="1")
    said = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert done.returncode == 2
    assert said[0].startswith("error: ") and what in said[0] + said[1]
    assert nearest in said[-1]
    assert not any("Traceback" in line for line in said)
    assert not imported(done.stderr) & set(HEAVY)
    assert files(project) == before


@pytest.mark.parametrize("arguments", [["plan"], ["--cfg", "job"], ["plan", "-m", "method.beta=0,0.04"]])
def test_looking_costs_no_torch_and_writes_nothing(project, arguments):
    before = files(project)
    done = rlexp(project, *arguments, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    assert "grpo" in done.stdout
    assert not imported(done.stderr) & set(HEAVY)
    assert files(project) == before


def test_outside_a_project_the_message_says_where_to_go(tmp_path):
    done = rlexp(tmp_path, "plan")
    assert done.returncode == 2
    assert "not an rlexp project" in done.stderr and "Traceback" not in done.stderr


def test_a_command_typed_in_a_folder_below_works_on_the_project(project):
    done = rlexp(project / "conf" / "method", "plan")
    assert done.returncode == 0


def test_rows_that_break_the_contract_stop_the_run_before_anything_is_loaded(project):
    broken = project / "pairs.jsonl"
    good = {"prompt": "What is 1 + 1?", "chosen": "2", "rejected": "3"}
    rows = [{**good, "prompt": f"What is 1 + {n}?"} for n in range(10)]
    rows[4]["rejected"] = rows[4]["chosen"]
    broken.write_text("\n".join(map(json.dumps, rows)))
    arguments = ["method=dpo", "dataset=local", "dataset.type=preference", f"dataset.params.file={broken}"]
    done = rlexp(project, *arguments, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 2
    assert "chosen and rejected are the same" in done.stderr
    assert "torch" not in imported(done.stderr)
    assert not (project / "outputs").exists()


def test_the_version_is_said_also_outside_of_a_project(tmp_path):
    done = rlexp(tmp_path, "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"rlexp \d+\.\d+\.\d+\n", done.stdout)


@pytest.mark.parametrize("words", [["version"], ["seed=1", "--version"], ["help"], ["-h"], ["doctor"]])
def test_these_need_no_project(tmp_path, words):
    done = rlexp(tmp_path, *words)
    assert done.stderr == "" and ("rlexp" in done.stdout or "python.version" in done.stdout)
