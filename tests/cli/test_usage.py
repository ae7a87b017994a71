"""``--help`` of every verb says what the verb does, and does nothing."""

import pytest

from rlexp.__main__ import VERBS
from rlexp.cli.usage import HYDRA
from tests.conftest import files, rlexp


def test_help_lists_the_verbs_also_outside_of_a_project(tmp_path):
    done = rlexp(tmp_path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"\n  {verb} " in done.stdout for verb in VERBS)
    assert max(map(len, done.stdout.splitlines())) <= 120
    assert files(tmp_path) == set()


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_does_nothing_but_say_what_it_does(shared_project, verb):
    before = files(shared_project)
    done = rlexp(shared_project, verb, "--help", timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: python -m rlexp {verb}")
    assert files(shared_project) == before


@pytest.mark.parametrize("verb", sorted({*HYDRA} - {"train", "smoke"}))
@pytest.mark.parametrize("flag", ["--info", "--hydra-help"])
def test_a_verb_that_is_not_hydras_refuses_its_printing_modes(shared_project, verb, flag):
    before = files(shared_project)
    done = rlexp(shared_project, verb, flag, timeout=30)
    assert done.returncode == 2 and f"do:    leave out {verb}: python -m rlexp {flag}" in done.stderr
    assert files(shared_project) == before


def test_the_composed_config_is_still_hydras_to_print(shared_project):
    done = rlexp(shared_project, "--cfg", "job", "--package", "method")
    assert done.returncode == 0 and "num_generations: 8" in done.stdout
