"""The worked example of docs/add-a-format.md: its blocks make a format that is made and loaded."""

from __future__ import annotations

import sys
import types

from rlexp.compose import schema_export
from rlexp.compose.exports import artifact
from rlexp.export import formats
from rlexp.export.formats import Making
from rlexp.files import whole_folder
from rlexp.runtimes.host import Host
from rlexp.runtimes.protocol import Spec
from tests.conftest import ROOT
from tests.docs.test_docs import blocks


def test_the_format_of_the_page_is_one(tmp_path, monkeypatch):
    module, *entries = [one for one in blocks((ROOT / "docs/add-a-format.md").read_text()) if one.language == "python"]
    made = types.ModuleType("rlexp.export.plain")
    exec(module.text, made.__dict__)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    monkeypatch.setitem(formats.FORMATS, "plain", None)
    monkeypatch.setitem(schema_export.TYPES, "plain", {})
    for entry in entries:
        exec(entry.text, {**vars(formats), **vars(schema_export)})
    assert artifact("plain", "bf16") == "plain"
    with whole_folder(tmp_path / "plain") as folder:
        assert formats.make("plain", Making(ROOT / "models/tiny", folder, "bf16", None, list)).mix == {"bfloat16": 1.0}
    with Host(Spec(formats.FORMATS["plain"].runtime, tmp_path / "plain")) as host:
        assert host.ends == [0, 2] and "bfloat16" in host.loaded
