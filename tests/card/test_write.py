"""The card of a run from its record: what is said once, what hostile text cannot do, and a person's notes."""

import json

import pytest
import yaml
from huggingface_hub import ModelCard

from rlexp.card import markdown, measured, programs, prose, sections, speed, standing, write
from rlexp.errors import RunError
from rlexp.export import snippets
from rlexp.record import exports, status
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


def artifact(folder, run, name, **facts):
    """An artifact of a file, in its folder; what the manifest tells of it."""
    kind, _, of_type = name.partition("-")
    place = folder / name
    place.mkdir(parents=True)
    (place / "model.bin").write_text(name)
    of = {"run": "outputs/a", "subject": RUN, "identity": run.lock["identity"], "step": None}
    said = {"kind": kind, "type": of_type or "16bit", "path": "model.bin", "runtime": "llama.cpp", "note": None}
    said |= {"seconds": 1.0, "tools": {}, "mix": {}, "files": exports.hashed(place)}
    own = {"format": exports.FORMAT, "name": name, "of": of, "template_kwargs": {}, **said}
    exports.write_json(place / exports.ARTIFACT, own)
    reasons = [{"name": "divergence", "level": "identical", "why": "near"}]
    gate = {"died": "of a test", "baselines": dict.fromkeys(("q8_0", "q4_0"), BASELINE)}
    told = {"bytes": 6, "verdict": "identical", "reasons": reasons, "gate": gate, "task": None, "snippet": None}
    return of, {**said, **told, **facts}


BASELINE = {key: {"value": 0.1, "error": 0.0} for key in ("mean_kld", "adapter_share")}


@pytest.fixture
def exported(finished_run, tmp_path):
    """Two GGUFs of the run, the second one worse."""
    folder = tmp_path / "exports"
    snippet = {"program": 'ask("FOLDER")', "same": True, "said": "4"}
    worse = [{"name": "divergence", "level": "degraded", "why": "far"}]
    worse += [{"name": "task.untold", "level": "identical", "why": "cannot tell"}]
    shared = {"snippet": snippet, "modelfile": "FROM ./model.bin\n"}
    of, first = artifact(folder, finished_run, "gguf-f16", **shared)
    _, second = artifact(folder, finished_run, "gguf-q4", **shared, verdict="degraded", reasons=worse)
    content = {"format": exports.FORMAT, "of": of, "prompt": None, "artifacts": {"gguf-f16": first, "gguf-q4": second}}
    exports.write_json(folder / exports.MANIFEST, content)
    return folder


def test_an_artifact_that_was_edited_is_refused_before_anything_is_written(finished_run, exported):
    weights, told = exported / "gguf-q4/model.bin", exported / "gguf-q4/artifact.json"
    weights.write_text("other")
    for wrong in ("its file alone", "its description with it"):
        with pytest.raises(RunError, match="is not the one that was") as error:
            write.write(finished_run, exported, None)
        assert error.value.hint and not (exported / "card").exists(), wrong
        exports.write_json(told, {**json.loads(told.read_text()), "files": exports.hashed(told.parent)})


def test_the_exports_of_another_run_are_refused(finished_run, exported):
    content = json.loads((exported / exports.MANIFEST).read_text())
    content["of"]["identity"] = "0" * 16
    exports.write_json(exported / exports.MANIFEST, content)
    with pytest.raises(RunError, match="exports of outputs/a"):
        write.write(finished_run, exported, None)


def test_of_what_is_gone_or_has_no_verdict_nothing_is_said(finished_run, exported):
    (exported / "gguf-q4").rename(exported.parent / "elsewhere")
    artifact(exported, finished_run, "onnx-int8")
    stands = standing.of(finished_run, exported)
    named = list(stands.manifest["artifacts"]), stands.gone, stands.beside
    assert named == (["gguf-f16"], ["gguf-q4"], ["onnx-int8"])
    assert "'export.gguf.types=[f16,q4]'" in stands.again, "what is gone is made again"
    text = write.write(finished_run, exported, None).read_text()
    assert "- gguf-q4: named by the last export and not there" in text and "- onnx-int8: there, and not held" in text


def test_programs_that_differ_in_the_place_only_stand_once_with_their_answer(finished_run, exported):
    said = programs.section(finished_run, standing.of(finished_run, exported))
    assert said.count("ask(") == 1 and 'ask("gguf-f16/model.bin")' in said and said.count("FROM ") == 1
    assert said.count("In the place of `gguf-f16/model.bin`: `gguf-q4/model.bin`.") == 2
    assert "Answer:\n\n```\n4\n```" in said and "FROM ./gguf-f16/model.bin" in said


def test_limits_say_the_reason_of_the_verdict_and_that_a_run_was_killed(composed, tmp_path, exported, finished_run):
    stands = standing.of(finished_run, exported)
    assert "- gguf-q4 is degraded: far." in prose.limits(finished_run, stands.manifest, [])
    known = made.locked(composed("hardware=cpu"), "hardware=cpu")
    killed = made.write(tmp_path / "killed", known, status="running", **{**status.process(), "process_began": 1})
    assert "), killed." in prose.summary(killed) and "did not finish: killed: " in prose.limits(killed, {}, [])


def test_a_benchmark_tells_how_its_score_was_sampled_and_what_it_left_out(finished_run, exported):
    manifest = standing.of(finished_run, exported).manifest
    score = {"task": "sums", "metric": "accuracy", "samples": 4, "prompts": 9, "mean": 0.5, "low": 0.4, "high": 0.6}
    score |= {"pass_hat": {}, "run": {"mean": 0.5, "low": 0.4, "high": 0.6}, "file": "x"}
    rate = {"limit_s": 0.0057, "per_s": None, "p99_s": None, "above_per_s": 135.0, "bound": "time", "trials": []}
    row = {"died": None, "bytes": 6, "score": score, "rate": rate}
    content = {"of": manifest["of"], "machine": {"processor": "one", "cpus": 2}}
    content |= {"artifacts": {"gguf-f16": row, "gguf-old": row}, "slow": ["gguf-old is slower than merged"]}
    said = speed.section(content, manifest, "temperature 1, 4 samples", ["sums, greedy"])
    assert "accuracy of sums, temperature 1, 4 samples (the verdicts' task is sums, greedy)" in said
    assert "gguf-old" not in said and "- Not measured: gguf-q4." in said
    assert "no rate of requests kept 5.7 ms for 99% of the answers; the lowest that was tried is 140 a second" in said
    stale = {**content, "artifacts": {"gguf-f16": {**row, "bytes": 7}}}
    assert speed.section(stale, manifest, "", []) == "", "it was exported anew since"


def test_the_change_of_held_out_rows_is_that_which_the_training_printed(finished_run):
    said = sections.held_out(finished_run)
    assert "sampled at temperature 1:" in said and "| reward | 0.800 | 1.600 | +100% |" in said


def test_the_head_names_the_data_that_was_asked():
    content = evaluation({"outputs/a": RUN})
    (plain,) = measured.of([content], "outputs/a", RUN)
    assert plain.dataset == ("sums", "sums"), "an evaluation that does not say its data"
    task = content["tasks"]["sums"]
    task["config"]["dataset"], task["data"] = {"name": "gsm8k"}, {"source": {"hub_id": "openai/gsm8k"}}
    assert plain.dataset == ("gsm8k", "openai/gsm8k")
