"""Every script is importable, has a main, and uses public names; the quickest draw their figures."""

import importlib.util
import re
from pathlib import Path

import pytest

# benchmarks measure the inside; the others answer a question each, by public names
SCRIPTS = sorted(
    path for path in (Path(__file__).parent.parent / "scripts").glob("*.py") if not path.stem.startswith("benchmark")
)


def loaded(path):
    spec = importlib.util.spec_from_file_location(f"script_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_scripts_are_whole(path):
    text = path.read_text(encoding="utf-8")
    assert callable(loaded(path).main)
    assert text.rstrip().endswith('if __name__ == "__main__":\n    main(Path(sys.argv[1]))')
    assert not re.search(r"toymesa\.(sweep|solver|kernels|symbolic)\b|\._", text), "public names only"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["two_objectives", "depth_and_scale"])
def test_scripts_draw_their_figures(name, tmp_path):
    path = next(p for p in SCRIPTS if p.stem == name)
    loaded(path).main(tmp_path)
    (figure,) = tmp_path.iterdir()
    assert figure.name == f"{name}.png"
    assert figure.stat().st_size > 20_000
