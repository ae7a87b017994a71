"""``--json``: one strict document on stdout for every verb and every mistake, in the shape of its schema."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from rlexp.__main__ import VERBS
from rlexp.cli.answer import of_error, strict
from rlexp.cli.schema_page import MARK, PAGE, written
from rlexp.cli.schemas import ANSWERS, ERROR, SCHEMAS
from rlexp.errors import Failed, RunError, Stopped
from tests.conftest import ROOT, files, rlexp


def closed(schema: Any) -> Any:
    """The schema without room for fields that it does not name."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    shut = {"additionalProperties": False} if "properties" in schema and "type" in schema else {}
    return shut | {key: closed(part) for key, part in schema.items()}


def refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")


def document(verb: str, stdout: str) -> Any:
    """The one document on stdout, which has the shape of the verb's answer and no field beside."""
    found = json.loads(stdout, parse_constant=refuse)
    branches = [*ANSWERS[verb].get("oneOf", [ANSWERS[verb]]), ERROR]
    Draft202012Validator(closed({"anyOf": branches})).validate(found)
    Draft202012Validator(SCHEMAS[verb]).validate(found)
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_a_schema(verb):
    Draft202012Validator.check_schema(SCHEMAS[verb])


@pytest.mark.parametrize("verb", VERBS)
def test_a_mistake_is_an_answer_too_for_every_verb(shared_project, verb):
    before = files(shared_project)
    done = rlexp(shared_project, "--json", verb, "--nosuch", "nosuch=1")
    said = document(verb, done.stdout)
    assert done.returncode == said["exit_code"] == 2
    assert all(text in done.stderr for text in (said["error"]["what"], said["error"]["where"], said["error"]["hint"]))
    assert files(shared_project) == before


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_is_an_answer_too(shared_project, verb):
    done = rlexp(shared_project, verb, "--help", "--json")
    said = document("help", done.stdout)
    assert done.returncode == 0 and said["verb"] == verb and said["schema"] == SCHEMAS[verb]
    assert "--json" in said["help"]


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        (["trian"], 2, "no verb 'trian'"),
        (["plan", "--jsn"], 2, "no flag --jsn"),
        (["json", "plan"], 2, "json is a flag without its dashes"),
        (["plan", "seed=1", "json"], 2, "json is a flag without its dashes"),
        (["plan", "--json=1"], 2, "takes no value"),
        (["--info", "searchpath"], 2, "--info prints text"),
        (["-m", "--cfg", "job"], 2, "do not go together"),
        (["plan", "reward=format+corect"], 2, "no reward named"),
        (["score", "--save-as=x.yaml"], 2, "does not take --save-as"),
        (["inspect", "nowhere"], 2, "no run at nowhere"),
    ],
)
def test_no_mistake_leaves_stdout_empty(shared_project, words, code, what):
    done = rlexp(shared_project, *words, "--json")
    said = document("plan", done.stdout)
    assert done.returncode == said["exit_code"] == code and what in said["error"]["what"]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["--version"], ["version"], ["help"], ["--help"]])
def test_what_needs_no_project_answers_anywhere(tmp_path, words):
    done = rlexp(tmp_path, "--json", *words)
    document("version" if "version" in words[0] else "help", done.stdout)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("plan", ["plan"]),
        ("plan", ["plan", "-m", "method.beta=0,0.04"]),
        ("plan", ["plan", "hardware=h100", "model=smollm2_135m"]),
        ("train", ["--cfg", "job"]),
        ("score", ["score", "reward=format+length"]),
        ("runs", ["runs"]),
        ("doctor", ["doctor"]),
    ],
)
def test_what_loads_no_model_answers(shared_project, verb, words):
    done = rlexp(shared_project, *words, "--json", HF_HUB_OFFLINE="1")
    said = document(verb, done.stdout)
    assert done.returncode in (0, 1) and "error" not in said


def test_without_json_nothing_of_it_is_printed(shared_project):
    done = rlexp(shared_project, "plan")
    assert done.returncode == 0 and done.stderr == "" and done.stdout.startswith("identity ")


def test_whatever_prints_meanwhile_goes_to_stderr(project):
    """What a script of the project, its children and C code print."""
    (project / "data_prep/loud.py").write_text(
        '"""Loud."""\nimport os\nimport subprocess\n\n\ndef rows():\n'
        '    print("from Python")\n    os.write(1, b"from C")\n    subprocess.run(["echo", "from a child"])\n'
        '    rows = [{"prompt": f"Say {n}", "answer": str(n)} for n in range(40)]\n'
        '    return {"train": rows[:30], "test": rows[30:]}\n'
    )
    (project / "conf/dataset/loud.yaml").write_text("{name: loud, type: prompt_only, prepare: loud, params: {}}\n")
    done = rlexp(project, "prepare", "dataset=loud", "--json")
    said = document("prepare", done.stdout)
    assert said["ready"][0]["dataset"] == {"name": "loud", "path": "data/loud", "rows": {"train": 30, "test": 10}}
    for text in ("making data/loud", "from Python", "from C", "from a child", "ready: "):
        assert text in done.stderr


def test_a_failure_that_nobody_foresaw_is_an_answer_with_a_traceback_on_stderr(project):
    script = "import sys; from rlexp import __main__, project; project.root = lambda: 1 / 0; __main__.main()"
    command = [sys.executable, "-c", script, "plan", "--json"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    said = document("plan", done.stdout)
    assert done.returncode == said["exit_code"] == 1
    assert "ZeroDivisionError" in said["error"]["what"] and "Traceback" in done.stderr


def test_a_reader_that_goes_away_is_no_failure(shared_project):
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "rlexp", "plan", "--json"]
    done = subprocess.run(command, cwd=shared_project, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.returncode == 0 and "Traceback" not in done.stderr


def test_an_answer_is_strict_json():
    found = strict({"a": float("nan"), 1: [float("inf"), -0.5, True, None], "b": ROOT, "c": ("\udc80", "ä")})
    assert found == {"a": None, "1": [None, -0.5, True, None], "b": str(ROOT), "c": ["?", "ä"]}


@pytest.mark.parametrize(("error", "code"), [(RunError, 2), (Stopped, 2), (Failed, 1)])
def test_an_error_says_its_exit_code_and_keeps_secrets(error, code, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "Planted-1234567")
    said = of_error(error("the key Planted-1234567 is wrong", "a", "b"))
    assert said == {
        "format": 1,
        "error": {"what": "the key *** is wrong", "where": "a", "hint": "b"},
        "exit_code": code,
    }


def test_the_page_has_every_field_and_every_exit_code():
    page = (ROOT / PAGE).read_text()
    assert {match["name"] for match in MARK.finditer(page)} == {"exit_codes", "error", *ANSWERS}
    assert written(page) == page, "python -m rlexp.cli.schema_page"
