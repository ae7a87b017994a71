"""Every argument of the trainer with how it came to be."""

import sys
from types import SimpleNamespace

import pytest

from rlexp.backend import model
from rlexp.backend.trainers.arguments import requested
from rlexp.backend.trainers.dry_build import built
from rlexp.backend.trainers.effective import require, table, to_json
from rlexp.errors import RunError
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
    kept = to_json(list(found.values()))
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
    def libraries(run, patches):
        assert sys.stdout.fileno() > 2 and sys.stderr.fileno() > 2
        raise ZeroDivisionError

    monkeypatch.setattr(model, "import_libraries", libraries)
    with pytest.raises(ZeroDivisionError):
        built(composed("hardware=cpu"), SimpleNamespace(model=None))


def test_a_difference_nobody_asked_for_is_an_error_that_names_every_argument(composed):
    held = SimpleNamespace(num_iterations=2, epsilon_high=0.28)
    found = table(composed("hardware=cpu"), {"num_iterations": 1, "epsilon_high": None}, held)
    with pytest.raises(RunError, match=r"epsilon_high=0.28 where None was asked for, num_iterations=2 where 1"):
        require(found)


@pytest.mark.parametrize(("wanted", "got"), [(0, False), (0.0, 0.04), (True, False), (None, None), (False, True)])
def test_zero_and_false_are_values_and_not_nothing(composed, wanted, got):
    found = table(composed("hardware=cpu"), {"beta": wanted}, SimpleNamespace(beta=got))
    if wanted == got:
        require(found)
    else:
        with pytest.raises(RunError):
            require(found)


def test_what_was_left_open_and_known_adjustments_are_recorded(composed):
    requested = {"generation_batch_size": None, "dataloader_pin_memory": True, "report_to": "none"}
    held = SimpleNamespace(generation_batch_size=64, dataloader_pin_memory=False, report_to=[])
    found = to_json(table(composed("hardware=cpu"), requested, held))["adjusted"]
    assert found["generation_batch_size"]["held"] == 64 and "left open" in found["generation_batch_size"]["why"]
    assert "CPU" in found["dataloader_pin_memory"]["why"]
    assert "report_to" not in found
