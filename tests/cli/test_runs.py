"""``runs`` through the real command line."""

import json

from tests.conftest import rlexp
from tests.record.made import locked, write


def test_the_command_line_lists_runs(project, composed):
    assert "no run yet" in rlexp(project, "runs").stdout
    for name, overrides in (("a", ["method.beta=0.5", 'method.cache_implementation="[x]"']), ("b", [])):
        write(project / "outputs" / name, locked(composed(*overrides), *overrides))
    (project / "outputs/broken").mkdir()
    (project / "outputs/broken/manifest.json").write_text("{")
    done = rlexp(project, "runs", "--sort", "folder")
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[0].split()[:3] == ["folder", "started", "status"]
    assert "outputs/a" in said[1] and "beta=0.5" in said[1] and "[x]" in said[1] and "0.800 -> 1.600" in said[1]
    assert "outputs/b" in said[2] and "unreadable" in said[3] and said[-1] == "3 runs"
    done = rlexp(project, "runs", "method.beta<1", "--limit", "1", "status=finished", "--json")
    assert len(json.loads(done.stdout)) == 1, done.stderr
    assert "none of 3 runs matches: nowhere" in rlexp(project, "runs", "nowhere").stdout
    done = rlexp(project, "runs", "methd=grpo")
    assert done.returncode == 2 and "did you mean method?" in done.stderr


def test_runs_are_tagged_and_found_again(project, composed):
    for name in ("a", "b"):
        write(project / "outputs" / name, locked(composed()))
    words = ("--add", "baseline", "--add", "paper", "--note", "the one in the table", "--owner", "ada")
    done = rlexp(project, "runs", "tag", "outputs/a", *words)
    assert done.returncode == 0, done.stderr
    assert "baseline, paper" in done.stdout and "the one in the table" in done.stdout
    said = json.loads(rlexp(project, "runs", "tag=baseline", "--json").stdout)
    assert [(run["folder"], run["tags"], run["owner"]) for run in said] == [("outputs/a", ["baseline", "paper"], "ada")]
    header = rlexp(project, "runs").stdout.splitlines()[0].split()
    assert header[-3:] == ["tag", "owner", "note"]
    done = rlexp(project, "runs", "tag", "outputs/a", "outputs/b", "--remove", "paper")  # b has none: neither changes
    assert done.returncode == 2 and "no tag 'paper'" in done.stderr
    assert json.loads(rlexp(project, "runs", "tag", "outputs/a", "--json").stdout)[0]["tags"] == ["baseline", "paper"]
    done = rlexp(project, "runs", "tag", "outputs/aa", "--add", "x")
    assert done.returncode == 2 and "did you mean outputs/a?" in done.stderr
    for more in ((), ("--add", "x")):
        done = rlexp(project, "runs", "tga", "outputs/a", *more)
        assert "did you mean" in done.stdout + done.stderr and "runs tag" in done.stdout + done.stderr
    rlexp(project, "runs", "tag", "outputs/a", "--remove", "paper", "--remove", "baseline", "--note", "", "--owner", "")
    assert not (project / "outputs/a/notes.json").exists()
    assert rlexp(project, "runs").stdout.splitlines()[0].split()[-1] == "duration"
