"""Each argument of TRL's that can be typed, with each method: a legal value trains a step, an illegal one is refused
before anything is loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rlexp.compose.methods import METHODS
from rlexp.compose.points import points
from rlexp.errors import RunError
from tests.backend.trainers.argument_values import NEEDS_MORE, illegal, legal
from tests.backend.trainers.train_each import DATA

pytestmark = pytest.mark.long
HANG_S = 1200


@pytest.mark.parametrize("method", METHODS)
def test_a_legal_value_trains(method, project):
    facts = METHODS[method]
    cases = {
        name: overrides for name in facts.arguments if name not in facts.unserved if (overrides := legal(facts, name))
    }
    assert len(cases) > 30
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("train_each.py"), method],
        input=json.dumps(list(cases.values())),
        cwd=project,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases), done.stderr[-2000:]
    wrong = []
    for name, answer in zip(cases, answers, strict=True):
        text = NEEDS_MORE.get(name)
        right = text in str(answer.get("refused") or answer.get("failed")) if text else "trained" in answer
        if name == "optim":
            right = answer.get("trained") == "Adafactor"
        if not right:
            wrong.append(answer)
    assert wrong == []


@pytest.mark.parametrize("method", METHODS)
def test_an_illegal_value_is_refused_before_anything_is_loaded(method, project):
    facts, accepted, tried = METHODS[method], [], 0
    for name in facts.arguments:
        if override := illegal(facts, name):
            tried += 1
            try:
                points(project / "conf", [f"method={method}", f"dataset={DATA[method]}", override], multirun=False)
            except RunError as error:
                assert f"method.{name}" in (error.where or ""), str(error)
                assert error.hint, str(error)
            else:
                accepted.append(override)
    assert tried > 30 and accepted == []
