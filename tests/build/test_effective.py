"""Every argument of the trainer with how it came to be."""

import sys
from types import SimpleNamespace

import pytest

from rlexp.build import model
from rlexp.build.arguments import requested
from rlexp.build.effective import built, compact, table
from tests.conftest import rlexp


def test_every_argument_has_a_status_and_its_reason(composed, tmp_path):
    run = composed("hardware=cpu", "method.max_steps=7")
    asked = requested(run, tmp_path)
    held = SimpleNamespace(**asked | {"dataloader_pin_memory": False, "num_iterations": 3})
    found = {item.name: item for item in table(run, asked, held)}
    assert set(found) == set(asked)
    statuses = {name: found[name].status.value for name in ("max_steps", "seed", "adam_beta1", "num_iterations")}
    assert statuses == {"max_steps": "asked", "seed": "derived", "adam_beta1": "default", "num_iterations": "changed"}
    assert found["dataloader_pin_memory"].status.value == "adjusted" and "CPU" in found["dataloader_pin_memory"].why
    kept = compact(list(found.values()))
    assert kept["asked"]["max_steps"] == 7 and kept["changed"]["num_iterations"]["held"] == 3
    assert str(tmp_path) not in str(kept)


def test_plan_shows_the_table_of_a_built_trainer_and_leaves_nothing_behind(project):
    done = rlexp(project, "plan", "--effective", "method.beta=0.04")
    assert done.returncode == 0, done.stderr
    (beta,) = [line.split() for line in done.stdout.splitlines() if line.startswith("beta ")]
    assert beta[1:4] == ["0.04", "0.04", "asked"]
    assert "others are held at TRL's defaults" in done.stdout
    assert not (project / "outputs").exists()


def test_the_options_of_plan_are_said_to_be_wrong_in_one_message(project):
    for arguments in (["--all"], ["--effective", "-m", "seed=1,2"], ["--effectiv"]):
        done = rlexp(project, "plan", *arguments)
        assert done.returncode == 2 and "Traceback" not in done.stderr


def test_what_the_libraries_print_meanwhile_goes_to_a_file_since_vllm_redirects_its_descriptor(composed, monkeypatch):
    def libraries(run):
        assert sys.stdout.fileno() > 2 and sys.stderr.fileno() > 2
        raise ZeroDivisionError

    monkeypatch.setattr(model, "import_libraries", libraries)
    with pytest.raises(ZeroDivisionError):
        built(composed("hardware=cpu"), SimpleNamespace(model=None))
