"""The record of a benchmark: what was measured is kept and read again, and a stranger's is refused or shown."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from rlexp.api.benchmark import Benchmarked
from rlexp.benchmark import plots
from rlexp.cli import benchmark_view
from rlexp.errors import RunError
from rlexp.record import benchmarks
from tests import hostile

SPREAD = {"p50": 0.01, "p95": 0.02, "p99": 0.03}
LEVEL = {
    **{"together": 1, "requests": 8, "tokens": 80, "tokens_per_s": 100.0, "answers_per_s": 10.0},
    **{"first_token_s": SPREAD, "token_s": SPREAD, "answer_s": SPREAD},
}
MEASURED = {
    "died": None,
    "loaded": "transformers 5.17.0, float16",
    "load": {"seconds": 4.0, "imports_s": 3.0},
    "levels": [LEVEL, {**LEVEL, "together": 4}],
    "peak_gib": 0.5,
    "rate": {
        **{"limit_s": 0.3, "per_s": 8.0, "p99_s": 0.25, "above_per_s": 9.0, "bound": "runtime"},
        "trials": [{"per_s": 8.0, "p99_s": 0.25}, {"per_s": 9.0, "p99_s": None}],
    },
    "repeated": {"repeats": 20, "together": 4, "alone": 1.0, "crowd": 0.95},
    "odd": {"empty": {"outcome": "ended", "why": None}, "control": {"outcome": "refused", "why": "it said\nno"}},
    "quality": {"answers": 40, "ended": 0.9, "garbage": 0.025, "by_rule": {"loop": 1}},
}
ENDS = {"mean": 0.5, "low": 0.4, "high": 0.6}
SCORE = {
    **{"task": "sums", "metric": "accuracy", "samples": 4, "prompts": 8, **ENDS, "pass_hat": {"4": ENDS}},
    **{"run": ENDS, "file": "outputs/a/evaluation/0/evaluation.json"},
}
ROW = {"kind": "merged", "type": "16bit", "runtime": "transformers", "bytes": 10**6, "tools": {"transformers": "5"}}
CONTENT: dict[str, Any] = {
    "format": 1,
    "of": {"run": "outputs/a", "step": None, "identity": "0" * 16, "subject": {}},
    "machine": {"processor": "AMD EPYC", "cpus": 2, "threads": 1},
    "settings": {"requests": 8, "seconds": 10.0, "p99": None, "max_new_tokens": 64},
    "artifacts": {
        "merged": {**ROW, **MEASURED, "score": SCORE},
        "gguf-q8_0": {
            **{**ROW, "kind": "gguf", "type": "q8_0", "runtime": "llama.cpp", "score": None},
            "died": {"part": "loading", "why": "llama.cpp was ended by SIGABRT; it wrote: [1] no"},
        },
    },
    "slow": ["merged is slow"],
}


def shown(content, folder, capsys):
    benchmark_view.show(Benchmarked(folder, content), folder)
    return capsys.readouterr().out


def test_the_table_names_what_was_measured_and_what_died(tmp_path, capsys):
    out = shown(CONTENT, tmp_path, capsys)
    assert "CPU, 2 cores, 1 threads: AMD EPYC" in out and "10 / 20 / 30" in out and "4.0 (imports 3.0)" in out
    assert "score: accuracy of sums, 8 prompts x 4 samples; of the run 0.500 [0.400, 0.600]" in out
    assert "4: 0.500" in out and "95%" in out and "1 ended, 1 refused" in out
    assert "merged: p99 of an answer within 0.3 s: up to 8 requests a second (p99 0.25 s)" in out
    assert "merged: the prompt 'control': refused, it said\n" in out
    assert "gguf-q8_0 died at loading: llama.cpp was ended by SIGABRT; it wrote: [1] no" in out


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"bound": "time"}, "at least 8 requests a second (p99 0.25 s), below 9, as far as the time reached"),
        ({"bound": "time", "above_per_s": None}, "with no end seen, as far as the time reached"),
        ({"per_s": None, "p99_s": None}, "at no rate that was tried; not at 9 requests a second"),
    ],
)
def test_a_rate_that_time_bounded_is_said_to_be(tmp_path, capsys, changed, said):
    content = json.loads(json.dumps(CONTENT))
    content["artifacts"]["merged"]["rate"] |= changed
    assert said in shown(content, tmp_path, capsys)


def test_leaves_in_wrong_ways_are_refused_in_one_message_or_shown(tmp_path, capsys):
    file, refused = tmp_path / benchmarks.FILE, 0
    every = [(path, wrong) for path in hostile.leaves(CONTENT) for wrong in hostile.WRONG if wrong != "missing"]
    cases = [(path, "missing") for path in hostile.leaves(CONTENT)]
    cases += random.Random(hostile.SEED).sample(every, 100)
    for path, wrong in cases:
        file.write_text(json.dumps(hostile.changed(CONTENT, path, wrong)))
        try:
            content = benchmarks.read(tmp_path)
        except RunError:
            refused += 1
            continue
        shown(content, tmp_path, capsys)
    assert refused > len(cases) / 2
    benchmarks.write(tmp_path, CONTENT)
    assert benchmarks.read(tmp_path) == CONTENT


def test_what_was_measured_of_other_files_is_not_taken(tmp_path):
    benchmarks.keep(tmp_path, "merged", "0" * 64, MEASURED)
    assert benchmarks.kept(tmp_path, "merged", "0" * 64) == MEASURED
    assert benchmarks.kept(tmp_path, "merged", "1" * 64) is None
    assert benchmarks.kept(tmp_path, "gguf-q8_0", "0" * 64) is None


def test_plots_are_drawn_of_what_was_measured(tmp_path):
    pytest.importorskip("matplotlib")
    made = plots.draw(CONTENT, tmp_path)
    assert [path.name for path in made] == [plots.LATENCY, plots.SIZE]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made)
    assert plots.draw({"artifacts": {"gguf-q8_0": CONTENT["artifacts"]["gguf-q8_0"]}}, tmp_path) == []
