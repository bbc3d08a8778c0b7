"""The JSON that each command prints with ``--json``, as its ``--help`` says it. Scripts depend on these shapes."""

from __future__ import annotations

SHAPES: dict[str, str] = {
    "answer": (
        'JSON: {"law", "perturbation", "threshold", "mechanisms": [name, ..], "rows": [{"compute" (FLOP), "parameters", '
        '"steps" or null, "tokens" or null, "excess", "share", "reducible_ratio", "residual", "critical_diversity", '
        '"critical_diversity_converged", "critical_diversity_fixed_point", "measured_critical_diversity", and with --noise '
        '"noise_critical_diversity"}, ..], "map": [{"compute", "diversity", "leader", "n_eff", "expected_bits", '
        '"deployment_loss"}, ..], "paragraph"}'
    ),
    "solve": (
        'JSON: {"time": [..], "states": {name: [..]}, "observables": {name: [..]}, "status": "ok", "method": ".."}; what is '
        "no finite number is null; exit code 3 if the status is not ok"
    ),
    "follow": (
        'JSON: {"branches": [{"param": [..], "states": {name: [..]}, "stable": [..]}], "special": [{"kind": "fold|hopf|branch" '
        '(of a map "fold|branch|flip|neimark-sacker"), "param", "state": {..}, "omega", "criticality"}]}, with --cycles also '
        '"cycles": [{"param", "period", "low", "high", "stable", "kind", "ends_in", "says"}]; with --second {"curves": [{"kind": '
        '"fold|hopf", "param", "second"}], "special": [{"kind": "cusp|bogdanov-takens|generalized-hopf|zero-hopf", "param", '
        '"second", "state"}]}. omega in radians per time (of a map: per step); omega and criticality are null but at Hopf '
        "points, flips and Neimark-Sacker points. Exit code 3: not everything was followed; what was not is said on standard "
        "error"
    ),
    "basins": (
        'JSON: {"model", "over": {name: [values]} (with --samples [name, ..]), "outcomes": [{"name", "count", "fraction", '
        '"low", "high", and without --outcome "state": {name: x} (of a cycle its mean) and "period" (0 at rest)}, ..], '
        '"unresolved": share, "notes": [why, ..], "labels": nested lists in the '
        'order of over (position in outcomes, -1 unresolved), "complete": true if nothing is unresolved, with --refine '
        '"boundary": [{"along": name, "low": {name: x}, "high": {name: x}, "labels": [a, b], "done": true}, ..]}; exit code '
        "3 if something is unresolved"
    ),
    "models": (
        'JSON without NAME: {"models": [{"name", "question"}, ..]}; with NAME: {"name", "question", "reference", '
        '"fingerprint", "latex", "states": [{"name", "meaning"}, ..], "parameters": [{"name", "default", "domain": '
        '"[low, high]", "meaning"}, ..], "observables": [{"name", "meaning"}, ..], "claims": [{"name", "statement", "kind", '
        '"verdict", "derivation"}, ..]}'
    ),
    "verify": (
        'JSON: {"claim", "kind", "verdict": "PROVED|REFUTED|UNDECIDED|NUMERICAL", "reason", "counterexample": '
        '{name: "p/q"} or null, "residual", "points", "precision"}; exit code 1 if REFUTED'
    ),
    "check": (
        'JSON: {"claims": [{"model", "name", "kind", "verdict": "PROVED|REFUTED|UNDECIDED|NUMERICAL", "derivation"}, ..], '
        '"cross_checks": [{"model", "name", "error" (in units of what is allowed), "ok"}, ..]}; exit code 1 if a claim is '
        "REFUTED or a cross-check is not ok"
    ),
    "scaling": (
        'JSON: {"law", "source", "rows": [{"quantity", "source", "stated", "derived", "follows": true or false, "note"}, ..]}'
    ),
    "fit": (
        'JSON: {"constants": {"E", "A", "B", "alpha", "beta"}, "intervals": {constant: [low, high]} (empty without '
        '--bootstrap), "objective", "n_runs"}; L(N, D) = E + A/N^alpha + B/D^beta in nats'
    ),
    "sweep": (
        'JSON: {"cells", "done", "status": {name: cells}, "variables": {name: {"min", "max"}}, "labels": {name: {label: '
        'cells}}, "store", "notes": [..]}; with '
        '--verify also "damaged": {"blocks": {number: reason}, "metadata": [..]}. Exit codes: 3 where cells are not run or '
        "failed, 130 interrupted, 143 terminated; what is done is in the store, and --resume goes on from there"
    ),
    "warmup": 'JSON: {"compiled": [{"what", "seconds"}], "cache": directory}',
    "info": 'JSON: {"toymesa", "python", "system", package: version or "not installed", .., "cache": directory}',
    "fixed-points": (
        'JSON: {"points": [{"state": {name: x}, "enclosure": {name: [lo, hi]}, "eigenvalues": [[re, im], ..], "kind": "..", '
        '"certified": true}], "continua": [{"dimension": 1, "through": {name: x}, "kind": ".."}], '
        '"undecided": [{name: [lo, hi]}], "complete": true}; kinds: stable, stable-spiral, saddle, unstable, '
        "unstable-spiral, centre, drift, undecided; exit code 3 if something stayed undecided"
    ),
    "assess": (
        'JSON: {"model", "params": {name: x}, "start": {name: x}, "verdict": {"joint": "shares|optimizers|states", '
        '"stable": true, false or null, "meaning": "saddle|spiral|drift|", "point": index or null, "n_eff", "sentence"}, '
        '"points": [as stability, and "shares": {name: x}, "n_eff", "exists": "proved|numerical"}], "undecided": [{name: '
        '[lo, hi]}], "conditions": [text, ..] or null, "training": {"start", "ends_in": '
        '"rest|line|cycle|away|wandering|open", "status", "end", "point", "time", "settle", "period", "low", "high", '
        '"n_eff": {"start", "end", "least", "least_at", "half_at"}, "shares", "shift", "leave", "amplified", "growth", '
        '"growth_at", "shifted": the same or null}, "basins": {"over": {name: [lo, hi, count]}, "outcomes": [{"outcome", '
        '"fraction", "interval"}], "unresolved"} or null, "scans": [{"param", "range": [lo, hi], "here", "tracked", '
        '"changes": [{"param", "at", "here", "kind": "fold|hopf|branch|flip|neimark-sacker", "meaning", "copies", "state", '
        '"joint", "below", '
        '"above", "omega", "criticality", "says"}], "side_by_side": [{"low", "high", "equal_potential"}], "left", '
        '"notes"}], "not_looked_at": [text, ..], "complete", "seconds"}; exit code 3 if something was left undecided or '
        "not followed; what is not known is null"
    ),
    "stability": (
        'JSON: {"points": [{"model", "point": {name: x}, "eigenvalues": [[re, im], ..], "kind": "..", "dimension": 0, '
        '"growth_rate", "reactivity", "return_time": x or null, "meaning": "saddle|spiral|drift|", "mode": {name: x}, '
        '"certified": true}]}'
    ),
}
