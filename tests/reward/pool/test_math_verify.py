"""math-verify sets alarms of its own: they and the limits of the pool go together."""

from rlexp.inputs.reward_source import read
from rlexp.reward.pool.call import Failure
from rlexp.reward.pool.pool import Workers

MATHEMATICS = """
from math_verify import parse, verify
SLOW = parse(r"$\\sum_{k=1}^{100000000} \\frac{1}{k^2+1}$"), parse(r"$\\sum_{k=2}^{100000001} \\frac{1}{(k-1)^2+1}$")

def score(completions, seconds):
    return [float(verify(*SLOW, timeout_seconds=seconds[0], raise_on_error=completions[0] == "tells"))]
"""


def test_the_time_limits_of_math_verify_and_of_the_pool_go_together(tmp_path):
    """Its alarm of one second comes first, its alarm of nine never; and what comes next has both again. The comparison
    takes more than 25 seconds."""
    (tmp_path / "rewards").mkdir()
    (tmp_path / "rewards/maths.py").write_text(f"version = 1\n{MATHEMATICS}\n")
    columns = {"completions": ["is silent", "is silent", "tells"], "seconds": [1, 9, 1]}
    with Workers({"maths": (read(tmp_path, "rewards/maths.py"), {})}, 1, 2.0) as workers:
        scores = workers.score("maths", columns)
    assert scores[0] == 0.0
    assert scores[1].kind == "timed out"
    assert scores[2] == Failure("raised", "TimeoutException: Timeout during comparison", "rewards/maths.py:7")
