"""The pool of workers: every hazard costs its completion only, and the scores are those of calling in this process."""

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rlexp.errors import RunError
from rlexp.inputs.reward_source import read
from rlexp.reward.pool.call import Failure
from rlexp.reward.pool.jobs import ChunkSizes, ScoreRequest
from rlexp.reward.pool.pool import Workers, hard_limit

LIMIT = 0.2

REWARDS = {
    "length": "def score(completions, weight, *, scale): return [len(completions[0]) * weight[0] / scale]",
    "hazards": """
import ctypes, itertools, os, time

def wait():
    while True: sum(range(100))

def score(completions):
    what = completions[0]
    if what == "raises": raise ValueError("planted")
    if what == "raises what cannot be shown":
        class Shy(Exception):
            def __str__(self): raise RuntimeError
        raise Shy
    if what == "exits Python": raise SystemExit(4)
    if what == "recurses": return score(completions)
    if what == "loops": wait()
    if what == "loops and catches":
        while True:
            try: wait()
            except Exception: pass
    if what == "catches everything":
        try: wait()
        except: return [0.0]
    if what == "catches everything once":
        try: wait()
        except: wait()
    if what == "catches everything for ever":
        while True:
            try: wait()
            except: pass
    if what == "sleeps": time.sleep(100)
    if what == "hangs in C": max(itertools.repeat(1))
    if what == "ends the process": os._exit(3)
    if what == "crashes": ctypes.string_at(0)
    if what == "closes every file": os.closerange(3, 256)
    if what == "nan": return [float("nan")]
    if what == "infinite": return [float("inf")]
    if what == "beyond every float": return [10 ** 9999]
    return {"none": [None], "zero": [0], "true": [True], "a tuple": (0.5,)}.get(what, [1.0])
""",
    "wrong_length": "def score(completions): return [1.0] * (1 + (completions[0] == 'bad'))",
    "wrong_type": "def score(completions): return ['1' if completions[0] == 'bad' else 1.0]",
    "no_list": "def score(completions): return 1.0",
    "asynchronous": """
import asyncio
async def score(completions):
    await asyncio.sleep(0.01)
    return [len(completions)] * len(completions)
""",
    "groups": "def score_group(completions): return [len(completions) - n for n, _ in enumerate(completions)]",
    "asynchronous_groups": "async def score_group(completions): return [len(completions)] * len(completions)",
    "batches": "batched = True\ndef score(completions): return [len(completions)] * len(completions)",
    "batches_fail": "batched = True\ndef score(completions): return [1 / (c != 'bad') for c in completions]",
    "prints": "import os\ndef score(completions): print('x' * 100000); os.system('echo loud'); return [1.0]",
    "process": "import os, time\ndef score(completions): time.sleep(0.01); return [os.getpid()]",
    "surroundings": """
import os, sys
def score(completions):
    seed, threads = os.environ["PYTHONHASHSEED"], os.environ["OMP_NUM_THREADS"]
    return [{"torch": "torch" in sys.modules, "seed": int(seed), "threads": int(threads)}[completions[0]]]
""",
    "calls": """
import os, time
def score(completions, file):
    with open(file[0], "a") as stream: stream.write(completions[0] + "\\n")
    if completions[0] == "ends": os._exit(1)
    return [1.0]
""",
    "needs": """
import os, time
def score(completions, file):
    if completions[0] == "makes": open(file[0], "w").close()
    while not os.path.exists(file[0]): time.sleep(0.01)
    return [1.0]
""",
    "starts": """
import subprocess, time
def score(completions, file):
    open(file[0], "w").write(str(subprocess.Popen(["sleep", "1000"]).pid))
    time.sleep(100)
""",
}


def source(folder: Path, name: str, body: str):
    (folder / "rewards").mkdir(exist_ok=True)
    (folder / f"rewards/{name}.py").write_text(f"version = 1\n{body}\n")
    return read(folder, f"rewards/{name}.py")


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("project")
    return {n: (source(folder, n, b), {"scale": 2} if n == "length" else {}) for n, b in REWARDS.items()}


@pytest.fixture(scope="module")
def pool(sources):
    with Workers(sources, 2, LIMIT) as workers:
        yield workers


@pytest.fixture(scope="module")
def here(sources):
    return Workers(sources, 0, LIMIT)


def line(text: str) -> str:
    """Where a line of the reward ``hazards`` stands."""
    (number,) = [n for n, written in enumerate(REWARDS["hazards"].splitlines(), start=2) if text in written]
    return f"rewards/hazards.py:{number}"


def gone(process: int) -> bool:
    """Whether a process has ended, or waits only to be asked how."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes() == b""
    except OSError:
        return True


def eventually(true) -> bool:
    return any(true() or time.sleep(0.02) for _ in range(500))


def test_scores_come_in_order_and_equal_those_of_this_process(pool, here):
    columns = {"completions": ["x" * (n * 7919 % 500) for n in range(5000)], "weight": [n % 7 for n in range(5000)]}
    assert pool.score("length", columns) == here.score("length", columns)
    assert here.score("length", columns)[:3] == [0.0, 419 * 1 / 2, 338 * 2 / 2]


HAZARDS = [
    # what the reward does, kind of failure, message, line
    ("raises", "raised", "ValueError: planted", line("planted")),
    ("raises what cannot be shown", "raised", "Shy: (its message raised RuntimeError)", line("raise Shy")),
    ("exits Python", "raised", "SystemExit: 4", line("SystemExit")),
    ("recurses", "raised", "RecursionError: maximum recursion depth exceeded", None),
    ("loops", "timed out", "more than 0.2 s of computing", None),
    ("loops and catches", "timed out", "more than 0.2 s of computing", None),
    ("catches everything", "timed out", "more than 0.2 s of computing", None),
    ("catches everything once", "timed out", "more than 0.2 s of computing", None),
    ("catches everything for ever", "timed out", "more than", None),  # interrupted, if that comes between two tries,
    ("sleeps", "timed out", "more than 1.4 s, and not to be interrupted", line("time.sleep")),
    ("hangs in C", "timed out", "more than 1.4 s, and not to be interrupted", line("itertools.repeat")),
    ("ends the process", "died", "the worker ended with exit code 3", None),
    ("crashes", "died", "the worker was ended by SIGSEGV", line("string_at")),
    ("nan", "not finite", "scored nan", None),
    ("infinite", "not finite", "scored inf", None),
    ("beyond every float", "not finite", "scored an integer beyond every float", None),
]


@pytest.mark.parametrize(("what", "kind", "message", "where"), HAZARDS, ids=[row[0] for row in HAZARDS])
def test_a_hazard_costs_its_completion_only(pool, monkeypatch, what, kind, message, where):
    if "computing" in message:  # however busy the machine is, the soft limit comes first
        monkeypatch.setattr("rlexp.reward.pool.pool.hard_limit", lambda *_: 60.0)
    scores = pool.score("hazards", {"completions": ["none", *["fine"] * 40, what, *["fine"] * 40, "none"]})
    failure = scores[41]
    assert [*scores[:41], *scores[42:]] == [None, *[1.0] * 80, None]
    assert (failure.kind, failure.message[: len(message)]) == (kind, message)
    assert failure.where.startswith("rewards/hazards.py")
    assert where in (None, failure.where)


def test_many_hazards_at_once_cost_no_more(pool):
    mixed = [row[0] for row in HAZARDS if "1.4 s" not in row[2]] + ["fine"] * 100
    mixed = [mixed[n * 7 % len(mixed)] for n in range(len(mixed))]
    kinds = {row[0]: row[1] for row in HAZARDS}
    scores = pool.score("hazards", {"completions": mixed})
    assert [getattr(score, "kind", score) for score in scores] == [kinds.get(what, 1.0) for what in mixed]


def test_a_worker_that_closes_its_pipe_is_replaced(pool):
    scores = pool.score("hazards", {"completions": ["fine", "closes every file", "fine"]})
    assert (scores[0], scores[2]) == (1.0, 1.0)


def test_exceptions_and_numbers_that_are_not_finite_are_failures_in_this_process_too(pool, here):
    columns = {"completions": ["raises", "fine", "nan", "beyond every float", "recurses"]}
    assert here.score("hazards", columns) == pool.score("hazards", columns)


@pytest.mark.parametrize(("what", "score"), [("none", None), ("zero", 0.0), ("true", 1.0), ("a tuple", 0.5)])
def test_a_number_or_none_is_a_score(pool, here, what, score):
    for workers in (pool, here):
        (got,) = workers.score("hazards", {"completions": [what]})
        assert (got, type(got)) == (score, type(score))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong_length", "the reward wrong_length answered 2 scores for 1 completions"),
        ("wrong_type", "the reward wrong_type scored '1', which is no finite number"),
        ("no_list", "the reward no_list answered float for 1 completions"),
    ],
)
def test_an_answer_that_is_none_is_a_mistake_of_the_reward(pool, here, name, message):
    for workers in (pool, here):
        with pytest.raises(RunError) as caught:
            workers.score(name, {"completions": ["good"] * 50 + ["bad"] + ["good"] * 50})
        assert caught.value.what == message
        assert f"rewards/{name}.py" in caught.value.where
    assert pool.score("hazards", {"completions": ["fine"]}) == [1.0]


@pytest.mark.parametrize(
    ("name", "group_size", "scores"),
    [
        ("asynchronous", 1, [6.0] * 6),
        ("batches", 1, [6.0] * 6),
        ("batches", 3, [6.0] * 6),
        ("groups", 3, [3.0, 2.0, 1.0] * 2),
        ("groups", 1, [1.0] * 6),
        ("asynchronous_groups", 2, [2.0] * 6),
    ],
)
def test_a_function_is_given_what_it_wants_to_see(pool, here, name, group_size, scores):
    for workers in (pool, here):
        assert workers.score(name, {"completions": list("abcdef")}, group_size) == scores


def test_what_a_whole_batch_raises_is_a_failure_of_every_completion(pool):
    scores = pool.score("batches_fail", {"completions": ["good", "bad", "good"]})
    assert {(score.kind, score.message) for score in scores} == {("raised", "ZeroDivisionError: division by zero")}


def test_a_batch_larger_than_a_chunk_comes_back_whole(pool):
    assert pool.score("batches", {"completions": ["x"] * 10_000}) == [10_000.0] * 10_000
    assert pool.score("groups", {"completions": ["x"] * 10_000}, 5_000)[4_999:5_001] == [1.0, 5_000.0]


def test_columns_that_do_not_fit_are_refused(pool):
    with pytest.raises(ValueError, match="no whole groups of 4"):
        pool.submit("groups", {"completions": ["x"] * 6}, 4)
    with pytest.raises(ValueError, match="different lengths"):
        pool.submit("length", {"completions": ["x"], "weight": [1, 2]})
    with pytest.raises((TypeError, AttributeError), match="pickle"):
        pool.score("length", {"completions": ["x"], "weight": [lambda: 1]})
    assert pool.score("length", {"completions": [], "weight": []}) == []


def test_jobs_are_scored_side_by_side(pool):
    slow = pool.submit("hazards", {"completions": ["sleeps"]})
    assert pool.score("hazards", {"completions": ["fine"] * 100}) == [1.0] * 100
    assert not slow.done()
    assert slow.result()[0].kind == "timed out"


def test_what_a_reward_prints_disturbs_nothing(pool):
    assert pool.score("prints", {"completions": ["x"] * 20}) == [1.0] * 20


def test_a_worker_has_one_thread_no_torch_and_one_order_of_sets(pool):
    seed = float(os.environ.get("PYTHONHASHSEED", 0))
    assert pool.score("surroundings", {"completions": ["torch", "threads", "seed"]}) == [0.0, 1.0, seed]


def test_a_completion_is_scored_once_whatever_becomes_of_those_behind_it(pool, tmp_path):
    """What a worker scored before it ended counts, and goes to no other worker."""
    file, texts = tmp_path / "calls", [str(n) for n in range(100)] + ["ends"] + [str(n) for n in range(101, 200)]
    scores = pool.score("calls", {"completions": texts, "file": [str(file)] * 200})
    assert [n for n, score in enumerate(scores) if isinstance(score, Failure)] == [100]
    assert sorted(file.read_text().split()) == sorted(texts)


def test_a_slow_completion_gives_back_those_behind_it(pool, tmp_path):
    """The first waits for the second, which was sent to the same worker."""
    columns = {"completions": ["waits", "makes"], "file": [str(tmp_path / "made")] * 2}
    assert len(ScoreRequest("needs", columns, 1).take(ChunkSizes(2).next(ScoreRequest("needs", columns, 1))).rows) == 2
    assert pool.score("needs", columns) == [1.0, 1.0]


def test_what_a_reward_started_ends_with_its_worker(pool, tmp_path):
    file = tmp_path / "pid"
    (failure,) = pool.score("starts", {"completions": ["x"], "file": [str(file)]})
    assert failure.kind == "timed out"
    assert eventually(lambda: gone(int(file.read_text())))


def processes(workers) -> set[int]:
    """Every worker of a pool of two."""
    found: set[int] = set()

    def both() -> bool:
        found.update(map(int, workers.score("process", {"completions": ["x"] * 8})))
        return len(found) == 2

    assert eventually(both)
    return found


def test_an_interrupt_is_not_for_the_workers(pool):
    before = processes(pool)
    for process in before:
        os.kill(process, signal.SIGINT)
    assert processes(pool) == before
    assert os.getpgid(0) not in {os.getpgid(process) for process in before}


def test_a_worker_that_is_ended_while_idle_is_replaced(pool):
    before = processes(pool)
    for process in before:
        os.kill(process, signal.SIGKILL)
    assert pool.score("hazards", {"completions": ["fine"] * 30}) == [1.0] * 30
    assert processes(pool).isdisjoint(before)


def test_the_pool_starts_in_the_background_and_each_worker_loads_a_file_once(tmp_path):
    note = f"import os, time; open('{tmp_path}/' + __name__ + str(os.getpid()), 'x').close(); time.sleep(0.5)\n"
    plain = source(tmp_path, "plain", note + "def score(completions): return [1.0]")
    model = source(tmp_path, "model", note + "batched = True\ndef score(completions): return [1.0] * len(completions)")
    began = time.monotonic()
    with Workers({"plain": (plain, {}), "model": (model, {})}, 2, LIMIT) as workers:
        assert time.monotonic() - began < 0.4
        for _ in range(3):
            assert workers.score("plain", {"completions": ["x"] * 40}) == [1.0] * 40
            assert workers.score("model", {"completions": ["x"] * 40}) == [1.0] * 40
        assert eventually(lambda: len(list(tmp_path.glob("rewards.plain*"))) == 2)
    assert len(list(tmp_path.glob("rewards.model*"))) == 1  # a model is held by one worker only


@pytest.mark.parametrize(
    ("body", "what", "where"),
    [
        ("import nothing_like_it", "ModuleNotFoundError: No module named 'nothing_like_it' when imported", "mine.py:2"),
        ("import os; os._exit(0)", "a worker ended with exit code 0 while loading the reward mine", "mine.py"),
        ("import os; os._exit(7)", "a worker ended with exit code 7 while loading the reward mine", "mine.py"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_a_mistake_of_the_reward(tmp_path, body, what, where):
    mine = source(tmp_path, "mine", f"{body}\ndef score(completions): return [1.0]")
    with Workers({"mine": (mine, {})}, 1, LIMIT) as workers:
        for _ in range(2):
            with pytest.raises(RunError, match=what) as caught:
                workers.score("mine", {"completions": ["x"]})
            assert caught.value.where == f"rewards/{where}"


def test_closing_ends_the_workers_and_what_they_were_at(sources):
    workers = Workers(sources, 2, LIMIT)
    started = processes(workers)
    pending = workers.submit("hazards", {"completions": ["sleeps"] * 4})
    time.sleep(0.1)
    workers.close()
    workers.close()
    assert all(map(gone, started))
    with pytest.raises(RuntimeError, match="closed"):
        pending.result(timeout=1)
    with pytest.raises(RuntimeError, match="closed"):
        workers.score("hazards", {"completions": ["fine"]})


# No guard: a worker must not import the main module of its parent, which may hold a model.
PARENT = """
import sys, time
from pathlib import Path
from rlexp.inputs.reward_source import read
from rlexp.reward.pool.pool import Workers

print("imported", flush=True)
workers = Workers({"hangs": (read(Path(sys.argv[1]), "rewards/hangs.py"), {})}, 2, 60)
print(*set(workers.score("hangs", {"completions": ["x"] * 30})), flush=True)
workers.submit("hangs", {"completions": ["hangs"] * 2})
time.sleep(60)
"""


def test_workers_end_with_their_parent_even_if_it_is_killed_and_they_hang(tmp_path):
    body = """
import itertools, os, time
def score(completions):
    if completions[0] == "hangs": max(itertools.repeat(1))
    time.sleep(0.01)
    return [os.getpid()]
"""
    source(tmp_path, "hangs", body)
    (tmp_path / "parent.py").write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, tmp_path / "parent.py", tmp_path], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout.readline() == "imported\n"
        started = [int(float(process)) for process in parent.stdout.readline().split()]
        time.sleep(0.3)
        assert started and not any(map(gone, started))
        parent.kill()
    assert eventually(lambda: all(map(gone, started)))


def test_the_hard_limit_leaves_the_soft_one_time():
    assert all(hard_limit(t, n) >= 2 * t * n for t, n in itertools.product((0.1, 1, 30), (1, 64)))
