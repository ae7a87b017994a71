"""The config source of ``a+b``, ``auto`` and the schemas: Hydra's own suite for such sources, and what is ours."""

from __future__ import annotations

import pytest
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigSource
from hydra.test_utils.config_source_common_tests import ConfigSourceTestSuite
from omegaconf import OmegaConf

from rlexp import project
from rlexp.compose import options
from rlexp.compose.methods import METHODS
from rlexp.compose.options import ComposedOptions, detect_hardware, hardware_named
from rlexp.errors import RunError
from rlexp.nvidia import Gpu


@pytest.fixture
def source(root, monkeypatch):
    monkeypatch.setattr(project, "root", lambda: root)
    return ComposedOptions(provider="test", path="rlexp://conf")


HYDRAS_FILES = "its files are Hydra's own fixtures (dataset/imagenet.yaml, ...), and this source holds no file"


class TestHydrasSuite(ConfigSourceTestSuite):
    """Hydra's contract for a ConfigSource, as far as a source of computed options can meet it.

    The suite looks for a tree of files that Hydra's own tests hold. What it says of that tree is said of ours in its
    place, by the same functions: a group, a config, what is in neither, an option that overlaps with a group's name.
    """

    @pytest.fixture
    def type_(self, source):
        return type(source)

    @pytest.fixture
    def path(self):
        return "rlexp://conf"

    def skip_overlap_config_path_name(self) -> bool:
        return True  # no option of ours is called like a group

    def test_not_available(self, type_, path):
        pytest.skip("it is always there: what it answers does not lie at its path")

    @pytest.mark.parametrize(
        ("config_path", "expected"),
        [
            ("schema", True),
            ("schema/method", True),
            *(("schema/method/grpo", False), ("schema/run", False), ("not_found", False), ("reward", False)),
        ],
    )
    def test_is_group(self, type_, path, config_path, expected):
        super().test_is_group(type_, path, config_path, expected)

    @pytest.mark.parametrize(
        ("config_path", "expected"),
        [
            *(("", False), ("schema", False), ("reward", False), ("not_found", False)),
            *(("reward/format+correct", True), ("reward/format+correct.yaml", True)),
            ("reward/format+correct.foobar", False),
            ("reward/format", False),  # a file's
            ("reward/format+missing", True),  # whether each part is an option is Hydra's to find out
            ("reward/+format", False),
            ("model/tiny+tiny", False),  # options of this group do not add up
            *(("hardware/auto", True), ("hardware/auto.yaml", True), ("hardware/cpu", False), ("model/auto", False)),
            *(
                (f"{group}/{place}", True)
                for group in ("model", "dataset")
                for place in ("hub:a/b@c", "./m", "/m", "m/n")
            ),
            *(
                ("model/m", False),
                ("method/./m", False),
                ("model/method/dpo", False),
            ),  # the last: a group below its own
            *(("schema/run", True), ("schema/method/dpo", True), ("schema/method/ppo", False)),
        ],
    )
    def test_is_config(self, type_, path, config_path, expected):
        super().test_is_config(type_, path, config_path, expected)

    @pytest.mark.parametrize(
        ("config_path", "results_filter", "expected"),
        [
            ("hardware", ObjectType.CONFIG, ["auto"]),
            ("hardware", None, ["auto"]),
            ("hardware", ObjectType.GROUP, []),
            ("reward", None, []),  # every sum there could be is not listed
        ],
    )
    def test_list(self, type_, path, config_path, results_filter, expected):
        super().test_list(type_, path, config_path, results_filter, expected)
        assert type_(provider="foo", path=path).list(config_path, results_filter) == expected

    @pytest.mark.parametrize(
        ("config_path", "expected_config", "expected_defaults_list", "expected_package"),
        [
            ("reward/correct+format", {"defaults": ["correct", "format"]}, None, None),
            ("reward/format+correct", {"defaults": ["correct", "format"]}, None, None),  # in any order
            ("reward/format+correct.yaml", {"defaults": ["correct", "format"]}, None, None),
            ("hardware/auto", {"defaults": ["cpu"]}, None, None),
        ],
    )
    def test_source_load_config(
        self, type_, path, config_path, expected_defaults_list, expected_package, expected_config, recwarn, monkeypatch
    ):
        monkeypatch.setattr(options, "gpus", lambda: [])
        super().test_source_load_config(
            type_, path, config_path, expected_defaults_list, expected_package, expected_config, recwarn
        )

    def test_package_behavior(self, type_, path):
        pytest.skip(f"no option of this source has a package of its own: {HYDRAS_FILES}")

    def test_default_package_for_primary_config(self, type_, path):
        pytest.skip(f"conf/config.yaml is a file: {HYDRAS_FILES}")

    def test_primary_config_with_non_global_package(self, type_, path):
        pytest.skip(f"conf/config.yaml is a file: {HYDRAS_FILES}")


def test_it_is_found_by_its_scheme_and_always_there(source):
    assert isinstance(source, ConfigSource) and source.scheme() == "rlexp" and source.available() is True


def test_an_answer_names_its_source_and_place(source):
    answer = source.load_config("reward/format+correct")
    assert (answer.provider, answer.path) == ("test", "rlexp://reward/format+correct")
    assert OmegaConf.to_container(answer.config) == {"defaults": ["correct", "format"]}


def test_the_schemas_are_typed_and_vllms_names_are_open(source):
    run = source.load_config("schema/run").config
    assert OmegaConf.is_struct(run.rollout) is not False and OmegaConf.is_struct(run.rollout.engine) is False
    for method in METHODS:
        assert source.load_config(f"schema/method/{method}").config.name == method


@pytest.mark.parametrize("typed", ["format+format", "format+correct+format"])
def test_a_part_that_is_named_twice_is_refused_with_what_was_meant(source, typed):
    with pytest.raises(RunError, match="names format twice") as caught:
        source.load_config(f"reward/{typed}")
    once = "+".join(dict.fromkeys(typed.split("+")))
    assert caught.value.hint == f"type reward={once}"


@pytest.mark.parametrize(
    ("gpu", "option"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"),
        ("NVIDIA H200", "h200"),
        ("NVIDIA GH200 480GB", "cuda"),
        ("Tesla T4", "t4_16gb"),
        ("NVIDIA L4", "l4_24gb"),
        ("NVIDIA L40S", "cuda"),
        ("NVIDIA A100-SXM4-80GB", "a100_80gb"),
        ("nvidia a100 80gb pcie", "a100_80gb"),
        ("NVIDIA A100-SXM4-40GB", "cuda"),
        ("NVIDIA GeForce RTX 4090", "rtx4090_24gb"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "cuda"),
        ("NVIDIA RTX A6000", "cuda"),
    ],
)
def test_auto_finds_the_option_by_what_nvidia_smi_calls_the_gpu(source, monkeypatch, root, gpu, option):
    assert hardware_named(gpu, {path.stem for path in (root / "conf/hardware").glob("*.yaml")}) == option
    monkeypatch.setattr(options, "gpus", lambda: [Gpu(gpu, *_rest()), Gpu("NVIDIA H200", *_rest())])
    assert source.load_config("hardware/auto").config.defaults == [option]  # the first one counts


def _rest():
    return [None] * (len(Gpu.__dataclass_fields__) - 1)


def test_auto_finds_an_option_of_ones_own_by_a_word_of_the_name():
    assert hardware_named("NVIDIA RTX A6000", {"cuda", "cpu", "a6000"}) == "a6000"
    assert hardware_named("a CPU for cuda", {"cuda", "cpu"}) == "cuda"
    assert hardware_named("NVIDIA H100", {"cuda", "cpu"}) == "cuda"  # whoever has no such option


def test_without_an_answer_of_nvidia_smi_it_is_a_cpu(monkeypatch):
    monkeypatch.setattr(options, "gpus", lambda: [])
    assert detect_hardware({"cpu", "h100"}) == "cpu"
