"""The cases that stand in every reward file, and the version that its code is recorded under."""

from pathlib import Path

import pytest

from rlexp.inputs import reward_versions
from rlexp.inputs.reward_source import read
from rlexp.inputs.script import load_script
from rlexp.reward import sandbox
from rlexp.reward.cases import run_case

ROOT = Path(__file__).parents[1]
FILES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "rewards").glob("*.py"))
UNTRIED = {"rewards/judge.py", "rewards/preferred.py", "rewards/reward_model.py"}
"""They need an endpoint or a model: tests/rewards/ holds what can be said of them."""
CASES = [(file, case) for file in FILES for case in load_script(ROOT / file).cases]


@pytest.mark.parametrize(("file", "case"), CASES, ids=lambda value: Path(value).stem if isinstance(value, str) else "")
def test_a_case_scores_as_it_says(file, case):
    source = read(ROOT, file)
    if "sandbox" in source.params and not sandbox.available():
        pytest.skip("it runs untrusted code, and there is no sandbox here: tests/reward/sandboxes.py says why")
    outcome = run_case(source, load_script(ROOT / file).score, case, params={})
    assert outcome.problem is None, outcome


@pytest.mark.parametrize("file", FILES)
def test_every_reward_has_cases_and_an_option(file):
    assert len(load_script(ROOT / file).cases) >= 5 or file in UNTRIED
    assert (ROOT / "conf/reward" / f"{Path(file).stem}.yaml").is_file()


@pytest.mark.parametrize("file", FILES)
def test_the_version_of_every_reward_is_recorded_with_its_present_code(file):
    source = read(ROOT, file)
    assert reward_versions.faults(ROOT, [source]) == []
    assert reward_versions.mark(reward_versions.read(ROOT), source) == reward_versions.RECORDED, (
        "type: python -m rlexp score --record"
    )
