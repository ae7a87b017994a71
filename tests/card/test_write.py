"""The card of a run from its record: what is said once, what hostile text cannot do, and a person's notes."""

import json

import pytest
import yaml
from huggingface_hub import ModelCard

from rlexp.card import markdown, measured, sections, write
from rlexp.errors import RunError
from rlexp.export import snippets
from tests.record import made

HOSTILE = "a|b\\|c ```\n````\n<script>x</script> [y](z) | \x1b[2J\u202e"


def evaluation(subjects, sampled=0.0, general=(), lost=()):
    """An evaluation of one task; subject -> its digest."""
    task = {"version": 1, "kind": "completions", "config": {"temperature": sampled, "samples": 1}}
    estimate = {"mean": 0.5, "low": 0.4, "high": 0.6, "prompts": 10}
    names = list(subjects)
    claim = {"metric": "accuracy", "claimed": True, "mean": 0.1, "low": 0.0, "high": 0.2}
    return {
        "tasks": {"sums": task},
        "subjects": {name: {"digest": digest} for name, digest in subjects.items()},
        "samples": {"sums": {name: {"file": f"samples/{name[-1]}{sampled}.parquet"} for name in subjects}},
        "results": {"sums": {name: {"accuracy": estimate} for name in subjects}},
        "differences": {"sums": [{**claim, "one": names[0], "other": other} for other in names[1:]]},
        "detectable": {"sums": 0.2},
        "general": list(general),
        "forgotten": [{**claim, "task": "sums", "subject": name, "base": "base"} for name in lost],
    }


RUN = {"weights": "1"}


@pytest.fixture
def finished_run(composed, tmp_path):
    """A run of which nothing was evaluated, exported or benchmarked."""
    return made.write(tmp_path / "outputs/a", made.locked(composed("hardware=cpu"), "hardware=cpu"))


def test_a_task_is_told_once_with_what_it_began_with_and_without_artifacts():
    alone = evaluation({"outputs/a": RUN})
    both = evaluation({"base": {}, "outputs/a": RUN, "exports/a/merged": {"artifact": "merged"}})
    (found,) = measured.of([alone, both, alone], "outputs/a", RUN)
    assert list(found.results) == ["base", "outputs/a"] and found.name == "sums, greedy"
    assert [one["other"] for one in found.claims] == ["outputs/a"]
    assert measured.of([both], "outputs/a", {"weights": "2"}) == [], "of weights that are there no more"
    assert [one.name for one in measured.of([both, evaluation({"outputs/a": RUN}, 1.0)], "outputs/a", None)] == [
        *("sums, greedy", "sums, temperature 1")
    ]


def test_what_was_forgotten_is_said_and_also_that_nothing_was():
    subjects = {"base": {}, "outputs/a": RUN}
    said = [
        sections.regression(measured.of([one], "outputs/a", RUN))
        for one in (
            evaluation(subjects),
            evaluation(subjects, general=["sums"]),
            evaluation(subjects, general=["sums"], lost=["outputs/a"]),
        )
    ]
    assert said[0] == "" and "is seen to be worse" in said[1] and "| sums, greedy | accuracy | base |" in said[2]


def test_hostile_text_ends_no_fence_and_no_cell():
    fenced = markdown.fence(HOSTILE).splitlines()
    assert fenced[0] == fenced[-1] == "`" * 5 and "\x1b" not in "".join(fenced) and "\u202e" not in "".join(fenced)
    row = markdown.table(["a", "b"], [[HOSTILE, 1]]).splitlines()
    assert len(row) == 3 and "\\<script\\>" in row[2] and r"b\\\|c" in row[2]


def test_a_prompt_may_hold_the_words_that_a_program_is_filled_by():
    text = 'LIMIT of the FOLDER "FOLDER" KWARGS MESSAGES'
    program = snippets.program("transformers", [{"role": "user", "content": text}], 7, {})
    placed = snippets.placed(program, 'a "b"')
    assert json.dumps(text) in placed and "max_new_tokens=7" in placed and r'from_pretrained("a \"b\"")' in placed
    compile(placed, "snippet", "exec")


def test_the_hub_reads_the_head_and_what_a_person_writes_wrongly_is_said(finished_run, tmp_path):
    folder = tmp_path / "exports"
    file = write.write(finished_run, folder, None)
    head = ModelCard.load(file).data.to_dict()
    assert head["license"] == "unknown" and head["pipeline_tag"] == "text-generation"
    notes = folder / "card/notes.md"
    notes.write_text("---\nlicense: mit\nlanguage: en\nuse: '# sums'\ntags: [sums]\n---\nSeen by Ada.\n")
    text = write.write(finished_run, folder, None).read_text()
    head = yaml.safe_load(text.split("---\n")[1])
    assert (head["license"], head["language"]) == ("mit", "en") and "sums" in head["tags"]
    assert text.endswith("## Notes\n\nSeen by Ada.\n") and "It was not evaluated" in text
    before = file.read_bytes()
    for wrong in ("license: free", "tags: sums", "language: {a: b}", "- a", "a: [", "license_name: A B"):
        notes.write_text(f"---\n{wrong}\n---\n")
        with pytest.raises(RunError) as error:
            write.write(finished_run, folder, None)
        assert "notes.md" in error.value.where and error.value.hint and file.read_bytes() == before
