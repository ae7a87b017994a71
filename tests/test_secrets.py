"""Which strings are secrets, and texts without them."""

import json
from urllib.parse import quote

import pytest

from rlexp import console, files, secrets


@pytest.fixture(autouse=True)
def nothing_is_known(monkeypatch, tmp_path):
    monkeypatch.setattr(secrets, "_watched", set())
    monkeypatch.setattr(secrets, "_learned", set())
    for name in ("HF_TOKEN_PATH", "NETRC"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("OPENAI_API_KEY", "Planted-1", True),
        ("my_password", "hunter2hunter2", True),
        ("DB_CREDENTIALS", "user;Pass-1", True),
        ("HF_TOKEN", "drawn0123", True),
        ("EDITOR_NAME", "Planted-1", False),
        ("SHORT_KEY", "Pl-1", False),  # stands in too many texts by chance
        ("DATASET_KEY", "arithmetic", False),  # a plain word
        ("SIGNING_KEY", "correct-horse-battery-staple", True),
        ("KEY_FILE", "/etc/hostname", False),  # a path that is there says where, not what
    ],
)
def test_values_are_secret_by_the_name_of_their_variable(monkeypatch, name, value, secret):
    monkeypatch.setenv(name, value)
    assert (secrets.masked(f"a {value} b") == "a *** b") is secret
    assert (secrets.holder(f"a {value} b") == name) is secret


def test_a_variable_that_a_config_refers_to_is_secret_whatever_its_name(monkeypatch):
    monkeypatch.setenv("PLAIN", "Planted-2")
    assert secrets.masked("Planted-2") == "Planted-2"
    secrets.watch("PLAIN")
    assert secrets.masked("Planted-2") == "***"


def test_secrets_of_files_are_learned(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("# A=comment-0000\nexport A='Planted-env-1'\nB=\"Planted-env-2\"\n")
    (tmp_path / ".env.local").write_text("C=Planted-env-3\n")
    (tmp_path / "token").write_text("Planted-hub-4\n")
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password Planted-netrc-5\n")
    monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    secrets.learn(tmp_path)
    text = "Planted-env-1 Planted-env-2 Planted-env-3 Planted-hub-4 Planted-netrc-5 comment-0000"
    assert secrets.masked(text) == "*** *** *** *** *** comment-0000"


@pytest.mark.parametrize("write", [json.dumps, lambda text: json.dumps(text, ensure_ascii=False), repr, quote])
def test_a_secret_is_masked_however_it_was_written(monkeypatch, write):
    value = "Planted'\"é\n7/8"
    monkeypatch.setenv("A_SECRET", value)
    assert "Planted" not in secrets.masked(f"x {write(value)} y")


@pytest.mark.parametrize(
    "text",
    [
        *("hf_" + "a1B2" * 8, "sk-proj-" + "a1b2" * 8, "ghp_" + "A1b2" * 9, "github_pat_" + "a1" * 20),
        *("AKIA" + "ABCD1234" * 2, "xoxb-" + "1234567890", "AIza" + "a1b2c3d4e5" * 4, "glpat-" + "a1b2" * 5),
        "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_keys_of_known_providers_are_masked_wherever_they_come_from(text):
    assert secrets.masked(f"a {text} b") == "a *** b" and secrets.holder(text) == ""


@pytest.mark.parametrize(
    "text", ["a task-specific-risk-score-2024-11-of-models", "sk-learn", "https://example.org/a@b", "hf_hub", "AKIA"]
)
def test_ordinary_text_is_left_alone(text):
    assert secrets.masked(text) == text


def test_the_login_of_a_url_is_masked():
    assert secrets.masked("https://user:token@example.org/x.git") == "https://***@example.org/x.git"
    assert secrets.masked_tree({"a": ["https://u:p@h/x", 1, None]}) == {"a": ["https://***@h/x", 1, None]}


def test_what_is_written_is_masked_and_so_is_what_libraries_print(monkeypatch, tmp_path):
    monkeypatch.setenv("A_TOKEN", "Planted-9")
    files.write_text(tmp_path / "a", "Planted-9")
    files.append_text(tmp_path / "a", " Planted-9")
    with console.quiet(tmp_path / "log"):
        print("said Planted-9")
    assert (tmp_path / "a").read_text() == "*** ***" and (tmp_path / "log").read_text() == "said ***\n"


def test_a_file_that_is_no_text_keeps_its_bytes(monkeypatch, tmp_path):
    (tmp_path / "a").write_bytes(b"\xff Planted-9 \xfe")
    monkeypatch.setenv("A_TOKEN", "Planted-9")
    secrets.clean_file(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"\xff *** \xfe"
