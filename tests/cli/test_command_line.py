"""The command line: every typo gets one line on standard error and exit code 2; every JSON shape is in ``--help``."""

import json
import re

import pytest

from toymesa.cli import main, parser
from toymesa.scaling import EPOCH, Fit
from toymesa.symbolic.claim_files import load_claim

FLOW = '[states]\nx = "mu + lam*x - x**3"\n[params]\nmu = 0.0\nlam = 1.0\n[start]\nx = 0.1\n'
FILES = {
    "flow.toml": FLOW,
    "typo.toml": FLOW.replace("lam*x", "lamm*x"),
    "power.toml": FLOW.replace("x**3", "x^3"),
    "key.toml": FLOW.replace("[start]", "[strat]"),
    "value.toml": FLOW.replace("lam = 1.0", 'lam = "a"'),
    "huge.toml": FLOW.replace("lam = 1.0", "lam = 1" + "0" * 400),
    "syntax.toml": "[states]\nx = 3 4\n",
    "twice.toml": FLOW + "x = 2\n",
    "nested.toml": "x = " + "[" * 5000,
    "bytes.toml": b"\xff\xfe\x00",
    "flow.yaml": "states:\n  x: -x\n",
    "bilevel.toml": '[bilevel]\nouter = ["a"]\n',
    "outer.toml": '[bilevel]\nbase_loss = "a"\nmesa_objective = "a"\nouter = "a"\ninner = ["b"]\ncoupling = "joint"\n',
    "claim.toml": 'kind = "solution"\nmodel = "gatd"\n[solution]\nx = "1"\n',
    "beside.toml": 'kind = "solution"\nmodel = "typo.toml"\n[solution]\nx = "1"\n',
    "kind.toml": 'kind = "limitt"\n',
    "nokind.toml": 'expr = "1"\n',
    "point.toml": 'kind = "limit"\nexpr = "x"\nsymbols = ["x"]\nvariable = "x"\npoint = [1]\nvalue = 1\n',
    "strict.toml": 'kind = "inequality"\nexpr = "x"\nsymbols = ["x"]\nstrict = "false"\n',
    "symbol.toml": 'kind = "inequality"\nexpr = "1"\nsymbols = ["__import__(\'os\')"]\n',
    "empty.csv": "",
    "short.csv": "params,tokens,loss\n1,2,3\n",
    "text.csv": "params,tokens,loss\n" + "1,2,x\n" * 9,
    "bytes.csv": b"\x97\x00\xff",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("files")
    for name, content in FILES.items():
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    (root / "folder.toml").mkdir()
    return root


TYPOS = [
    ("slove gated", "unknown 'slove'; did you mean 'solve'"),
    ("solve", "required: MODEL"),
    ("solve gatd --t 1", "no model 'gatd'; did you mean 'gated'"),
    ("solve gated", "--t is missing"),
    ("solve gated --t x", "--t must be a number; got 'x'"),
    ("solve gated --t inf", "--t must be finite; got 'inf'"),
    ("solve gated --t 1,2,1", "strictly increasing"),
    ("solve gated --t -1,1", "one side of the start at 0; got -1 to 1"),
    ("solve gated --t -t", "written --t=VALUE"),
    ("solve gated --t=-1,1", "one side of the start at 0; got -1 to 1"),
    ("solve gated --t 1 --tt 2", "unknown argument '--tt'; did you mean '--t'"),
    ("solve gated --t 1 --jsn", "unknown argument '--jsn'; did you mean '--json'"),
    ("solve gated --t 1 --set diversty=2", "no parameter 'diversty'; did you mean 'diversity'"),
    ("solve gated --t 1 --set diversity=abc", "--set diversity must be a number; got 'abc'"),
    ("solve gated --t 1 --set diversity=nan", "--set diversity must be finite; got 'nan'"),
    ("solve gated --t 1 --set diversity", "--set takes name=value; got 'diversity'"),
    ("solve gated --t 1 --set diversity=1 diversity=2", "--set gives 'diversity' twice"),
    ("solve gated --t 1 --set diversity=-1", "parameter 'diversity' must lie in (0, inf); got -1"),
    ("solve gated --t 1 --start dd=1", "no state 'dd'; did you mean 'd'"),
    ("solve gated --t 1 --method RK45", "no method 'RK45'; did you mean 'tsit5'"),
    ("solve gated --t 1 --rtol abc", "--rtol: must be a number; got 'abc'"),
    ("solve gated --t 1 --rtol 0", "rtol must lie in [2.22045e-15, inf); got 0"),
    ("solve gated --t 1 --until stedy", "unknown 'stedy'; did you mean 'steady'"),
    ("solve gated --t 1 --mechanisms a,b", "--mechanisms goes with the model 'mechanisms'"),
    ("solve mechanisms --t 1 --mechanisms a", "at least two"),
    ("solve mechanisms --t 1 --mechanisms a,,b", "must be an identifier"),
    ("solve {}/none.toml --t 1", "there is no file"),
    ("solve {}/folder.toml --t 1", "is not a file"),
    ("solve {}/typo.toml --t 1", "typo.toml: states.x: column 6: unknown name 'lamm'; did you mean 'lam'"),
    ("solve {}/power.toml --t 1", "power.toml: states.x: column 15: '^' is not power; write '**'"),
    ("solve {}/key.toml --t 1", "key.toml: strat: unknown key; did you mean 'start'"),
    ("solve {}/value.toml --t 1", "value.toml: params.lam: must be a number; got str 'a'"),
    ("solve {}/huge.toml --t 1", "huge.toml: params.lam: is a whole number outside the range of floating point"),
    ("solve {}/syntax.toml --t 1", "syntax.toml: not valid TOML: Expected newline"),
    ("solve {}/syntax.toml --t 1", "line 2, column 7"),
    ("solve {}/twice.toml --t 1", "twice.toml: not valid TOML: Cannot overwrite a value (at line 8"),
    ("solve {}/nested.toml --t 1", "nested.toml: not valid TOML"),
    ("solve {}/bytes.toml --t 1", "bytes.toml: not a text file in UTF-8"),
    ("solve {}/flow.yaml --t 1", "flow.yaml: models and claims are TOML files; got .yaml"),
    ("solve {}/bilevel.toml --t 1", "bilevel.toml: bilevel: is missing base_loss, mesa_objective, inner, coupling"),
    ("solve {}/outer.toml --t 1", "outer.toml: outer: must be a list of names; got 'a'"),
    ("solve {}/flow.toml --t 1 --set lamm=1", "model 'flow' has no parameter 'lamm'; did you mean 'lam'"),
    ("models gatd", "did you mean 'gated'"),
    ("models {}/typo.toml", "typo.toml: states.x"),
    ("check gatd", "did you mean 'gated'"),
    ("verify {}/none.toml", "there is no file"),
    ("verify {}/claim.toml", "claim.toml: there is no model 'gatd'; did you mean 'gated'"),
    ("verify {}/beside.toml", "typo.toml: states.x: column 6"),
    ("verify {}/kind.toml", "kind.toml: kind: unknown kind 'limitt'; did you mean 'limit'"),
    ("verify {}/nokind.toml", "nokind.toml: top: is missing kind"),
    ("verify {}/point.toml", "point.toml: point: must be a formula or a number; got list [1]"),
    ("verify {}/strict.toml", "strict.toml: strict: must be true or false; got 'false'"),
    ("verify {}/symbol.toml", "symbol.toml: a symbol must be an identifier"),
    ("verify {}/kind.toml --points x", "--points: must be a whole number; got 'x'"),
    ("scaling epok", "no law 'epok'; did you mean 'epoch'"),
    ("scaling kaplan hoffmann", "unknown argument 'hoffmann'"),
    ("fit none.csv", "there is no file 'none.csv'"),
    ("fit {}", "is not a file"),
    ("fit {}/bytes.csv", "bytes.csv: not a text file in UTF-8"),
    ("fit {}/empty.csv", "empty.csv: the file is empty"),
    ("fit {}/short.csv", "short.csv: needs at least 6 runs"),
    ("fit {}/text.csv", "text.csv: line 2, column 'loss': not a number: 'x'"),
    ("fit {}/text.csv --loss los", "text.csv: there is no column 'los'; did you mean 'loss'"),
    ("answer --law kaplann", "did you mean 'kaplan'"),
    ("answer --law kaplan --runs x.csv", "--runs: not allowed with argument --law"),
    ("answer --runs none.csv", "there is no file 'none.csv'"),
    ("answer --compute 1e20", "--compute takes LO:HI, such as 1:1000; got '1e20'"),
    ("answer --compute 1:2:3", "--compute takes LO:HI"),
    ("answer --compute a:b", "--compute must be a number; got 'a'"),
    ("answer --compute 1e22:1e20", "compute must satisfy 0 < low <= high < inf; got 1e+22:1e+20"),
    ("answer --compute 1e-300:1e300", "compute spans 600 decades; at most 200"),
    ("answer --diversity -1:3", "0 < low <= high"),
    ("answer --diversity=-1:3", "diversity must satisfy 0 < low"),
    ("answer --threshold 1e-5", "threshold must lie in (0.0001, 0.75) (above the perturbation"),
    ("answer --perturbation 0", "perturbation must lie in (0, 0.25); got 0"),
    ("answer --noise -1", "noise must lie in [0, inf); got -1"),
    ("answer --initial-loss 0", "initial_loss must lie in (0, inf); got 0"),
    ("answer --mechanisms a", "at least two"),
    ("answer --out {}/empty.csv", "the output directory must not be a file"),
    ("info extra", "unknown argument 'extra'"),
]


@pytest.mark.parametrize(("line", "message"), TYPOS)
def test_a_typo_is_one_line_and_exit_code_2(line, message, place, capsys):
    try:
        code = main([part.replace("{}", str(place)) for part in line.split()])
    except SystemExit as stop:  # argparse's own way out
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2
    assert out == ""
    assert message in err
    assert err.startswith("toymesa")
    assert err.count("\n") == 1


def test_a_warning_is_one_line_too(capsys):
    assert main(["solve", "gated", "--t=-1", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == "toymesa solve: warning: gated: a gradient flow runs uphill backward in time and is unstable\n"
    assert json.loads(out)["time"][-1] == -1


def commands():
    (sub,) = (a for a in parser()._actions if a.dest == "command")
    return sub.choices


def keys(data):
    """Every key of nested JSON data that is the same for every model, law or file."""
    if isinstance(data, dict):
        return set(data).union(*(keys(v) for v in data.values()))
    return set().union(*(keys(v) for v in data)) if isinstance(data, list) else set()


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("solve gated --t 0,1", {"w", "m", "d", "output", "error", "loss"}),
        ("models", set()),
        ("models gated", set()),
        ("check gated", set()),
        ("verify {}/holds.toml", set()),
        ("warmup gated", set()),
        ("scaling epoch", set()),
        ("fit {}/runs.csv --bootstrap 1", set()),
        ("answer --compute 1e20:1e20 --diversity 10:10 --mechanisms a,b --noise 0.001", set()),
        (
            "info",
            {
                "numpy",
                "scipy",
                "sympy",
                "numba",
                "llvmlite",
                "matplotlib",
                "xarray",
                "zarr",
                "distributed",
                "python-flint",
                "hypothesis",
            },
        ),
    ],
)
def test_help_says_what_the_json_is(line, named, tmp_path, capsys, monkeypatch):
    (tmp_path / "holds.toml").write_text(
        'kind = "identity"\nlhs = "(x + 1)**2"\nrhs = "x**2 + 2*x + 1"\nsymbols = ["x"]\n'
    )
    (tmp_path / "runs.csv").write_text("params,tokens,loss\n" + "1,2,3\n" * 9)
    # the shape is asked for, not the proofs and the fit, which take long
    claims = (load_claim(tmp_path / "holds.toml"),)
    monkeypatch.setattr("toymesa.check.claims_about", lambda _: claims)
    monkeypatch.setattr("toymesa.check.derivations", lambda _: [("gated_1_0", claims)])
    monkeypatch.setattr("toymesa.scaling.fit", lambda *_, **__: Fit(EPOCH, 0.1, 9, {"E": (1.7, 1.9)}))
    assert main([*(part.replace("{}", str(tmp_path)) for part in line.split()), "--json"]) == 0
    printed = keys(json.loads(capsys.readouterr().out)) - named
    documented = set(re.findall(r'"(\w+)"', commands()[line.split()[0]].epilog))
    assert printed
    assert printed - {"E", "A", "B", "alpha", "beta"} <= documented


def test_every_command_documents_its_json():
    for name, command in commands().items():
        assert (command.epilog or "").startswith("JSON"), name


@pytest.mark.parametrize("value", ["-1e-3", "-1", "-.5e2", "-inf", "-1E+3", "-1,2", "-1e-3:2"])
def test_negative_numbers_are_values_of_every_option(value, capsys):
    """With and without exponents, in lists and ranges: argparse takes what it does not know for an option."""
    commands = next(a.choices for a in parser()._actions if isinstance(a.choices, dict))
    tried = 0
    for name, command in commands.items():
        options = [a for a in command._actions if a.option_strings and a.nargs != 0 and not a.choices]
        for option in options:
            arguments = [name, *("M" for a in command._actions if not a.option_strings and a.nargs != "?")]
            for other in command._actions:
                if other.required and other.option_strings and other is not option:
                    arguments += [other.option_strings[0], *["1"] * (other.nargs or 1)]
            arguments += [option.option_strings[0], *[value] * (option.nargs if isinstance(option.nargs, int) else 1)]
            tried += 1
            try:
                found = parser().parse_args(arguments)
            except SystemExit:
                assert "must be a" in capsys.readouterr().err  # a number that this option cannot take
            else:
                kept = getattr(found, option.dest)
                assert kept not in (None, option.default) or option.default == -1.0
    assert tried > 40
