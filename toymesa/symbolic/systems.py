"""Equations as rational functions: of the symbols, and of whatever transcendental pieces they contain.

A piece such as exp(x) or log(1 + y) stands in as a generator of its own. An identity between rational functions of the
generators is then an identity between the formulas, whatever else the pieces may have to do with each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp
from sympy.polys.fields import FracElement
from sympy.polys.matrices import DomainMatrix
from sympy.polys.matrices.exceptions import DMNonInvertibleMatrixError
from sympy.polys.polyerrors import CoercionFailed

from toymesa.symbolic.functions import with_log_shares

_MOST_POWER = (
    16  # of one exponential: beyond it another stands in, for factors of polynomials of high degree take minutes
)


class Fractions:
    """The field of rational functions in which some expressions live.

    ``elements`` are the expressions in it. ``pieces`` maps each stand-in, of a symbol or of a transcendental piece, to
    what it stands for; stand-ins carry no assumptions, which makes SymPy many times faster on large formulas.
    """

    def __init__(self, symbols: Sequence[sp.Symbol], exprs: Sequence[sp.Expr]) -> None:
        self.symbols = tuple(symbols)
        self._stands: dict[sp.Expr, sp.Dummy] = {}
        bare = {s: self._stand(s) for s in self.symbols}
        exprs = [with_log_shares(e) for e in exprs]
        self._steps = _steps(exprs)
        plain = [self._plain(e).xreplace(bare) for e in exprs]
        self.pieces = {d: e for e, d in self._stands.items()}
        self.field = sp.QQ.frac_field(*self.pieces)
        self.elements: list[FracElement] = [self.field.from_sympy(e) for e in plain]

    def expr(self, element: Any) -> sp.Expr:
        """An element of the field (or of its polynomial ring) as an expression in the symbols again."""
        return element.as_expr().xreplace(self.pieces)

    def moving(self, poly: Any) -> bool:
        """Whether a polynomial depends on a symbol, directly or through a piece."""
        return bool(poly.as_expr().xreplace(self.pieces).free_symbols)

    def _plain(self, expr: Any) -> sp.Expr:
        if expr.is_Rational or expr.is_Symbol:
            return expr
        if expr.is_Add or expr.is_Mul:
            return expr.func(*(self._plain(a) for a in expr.args))
        if expr.is_Pow and expr.exp.is_Integer:
            return self._plain(expr.base) ** expr.exp
        if isinstance(expr, sp.exp):
            return sp.Mul(*[self._exponential(t) for t in sp.Add.make_args(sp.expand(expr.args[0]))])
        return self._stand(expr)

    def _exponential(self, term: sp.Expr) -> sp.Expr:
        """exp(n a) as the n-th power of exp(a): exponentials of sums are products of independent ones."""
        factor, power = term.as_coeff_Mul()
        step = self._steps.get(power)
        if step is None or not factor.is_Rational or abs(factor / step) > _MOST_POWER:
            return self._stand(sp.exp(term))
        return self._stand(sp.exp(step * power)) ** (factor / step)

    def _stand(self, piece: sp.Expr) -> sp.Expr:
        if piece not in self._stands:
            self._stands[piece] = sp.Dummy(f"g{len(self._stands)}")
        return self._stands[piece]


def _steps(exprs: Sequence[sp.Expr]) -> dict[sp.Expr, sp.Rational]:
    """The largest a of each term t such that all exponentials exp(b t) in the expressions are powers of exp(a t)."""
    steps: dict[sp.Expr, sp.Rational] = {}
    for exponential in sp.Tuple(*exprs).atoms(sp.exp):
        for term in sp.Add.make_args(sp.expand(exponential.args[0])):
            factor, power = term.as_coeff_Mul()
            if factor.is_Rational and factor != 0:
                before = steps.get(power, sp.Integer(0))
                steps[power] = sp.Rational(sp.gcd(before, factor))
    return steps


def fractions(symbols: Sequence[sp.Symbol], exprs: Sequence[sp.Expr], *, largest: int = 4000) -> Fractions | None:
    """The expressions as rational functions; None where they are too large (more than ``largest`` operations)."""
    if sum(e.count_ops() for e in exprs) > largest:
        return None
    try:
        return Fractions(symbols, exprs)
    except (CoercionFailed, ZeroDivisionError, NotImplementedError):
        return None


def systems(inside: Fractions, *, most: int = 64) -> list[tuple[Any, ...]] | None:
    """The zero set of the expressions as a union of zero sets of smaller systems of irreducible polynomials.

    Every numerator is factored, a factor is chosen of each in every way, and what another choice contains is left out.
    A factor that is an exponential never vanishes. Each system is a tuple of polynomials of the ring, linearly
    independent over the rationals; empty if everything vanishes everywhere. None where there are more than ``most``.
    """
    choices: list[frozenset[Any]] = [frozenset()]
    first: dict[Any, int] = {}  # the equation that a factor came from: systems keep the order of the states
    for i, element in enumerate(inside.elements):
        if element == 0:
            continue
        factors = {f.monic() for f, _ in element.numer.factor_list()[1] if inside.moving(f)}
        factors = {f for f in factors if not _exponential(inside, f)}
        for f in factors:
            first.setdefault(f, i)
        done = [c for c in choices if c & factors]
        done += [c | {f} for c in choices if not c & factors for f in factors]
        choices = [c for c in set(done) if not any(other < c for other in done)]
        if len(choices) > most:
            return None
    out = {tuple(_independent(sorted(c, key=lambda f: (first[f], str(f))))) for c in choices}
    return sorted(out, key=lambda system: (len(system), str(system)))


def _exponential(inside: Fractions, factor: Any) -> bool:
    return isinstance(inside.pieces.get(factor.as_expr()), sp.exp)


def _independent(polys: list[Any]) -> list[Any]:
    """The polynomials without those that are rational combinations of earlier ones: conserved quantities show as such."""
    kept: list[Any] = []
    reduced: list[Any] = []
    for poly in polys:
        rest = poly
        for r in reduced:
            lead = r.leading_expv()
            rest = rest - r * (rest.coeff(rest.ring({lead: rest.ring.domain.one})) / r.LC)
        if rest != 0:
            kept.append(poly)
            reduced.append(rest)
    return kept


class Elimination:
    """States that some equations fix once the others are known, and the equations that are left for the others.

    block, rest: positions of the states. solved: the states of the block in terms of the others. left: the equations
    of the others. never_zero: denominators; the elimination holds wherever none of them vanishes. All in the stand-ins
    ``pieces``.
    """

    def __init__(self, inside: Fractions, polys: Sequence[Any], pairs: Mapping[int, int]) -> None:
        field = inside.field.field
        ring, gens = field.ring, field.gens
        n, size = len(inside.symbols), len(pairs)
        self.block = list(pairs.values())
        self.rest = [i for i in range(n) if i not in self.block]
        at_zero = [(ring.gens[j], 0) for j in self.block]
        slopes = [[polys[i].diff(ring.gens[j]) for j in self.block] for i in pairs]
        matrix = DomainMatrix(slopes, (size, size), ring.to_domain()).to_field()
        right = DomainMatrix([[-polys[i].subs(at_zero)] for i in pairs], (size, 1), ring.to_domain()).to_field()
        values = dict(zip(self.block, matrix.lu_solve(right).to_list_flat(), strict=True))
        self.pieces = inside.pieces
        self.solved = [values[j].as_expr() for j in self.block]
        left = [_composed(polys[i], values, gens) for i in range(n) if i not in pairs]
        self.left = [_grouped(field, e, self.rest) for e in left]
        factors = {f for e in (*values.values(), matrix.det(), *left) for f, _ in e.denom.factor_list()[1]}
        factors |= {f for f, _ in matrix.det().numer.factor_list()[1]}
        self.never_zero = [f.as_expr() for f in factors]


def eliminate(inside: Fractions, polys: Sequence[Any]) -> Elimination | None:
    """Solve a block of equations that is jointly affine in some states; None where there is none.

    An equation is taken for its own state, or for another one that it contains with a constant coefficient.
    """
    n = len(inside.symbols)
    gens = inside.field.field.ring.gens[:n]
    hidden = {s for piece in inside.pieces.values() if not piece.is_Symbol for s in piece.free_symbols}
    pairs: dict[int, int] = {}
    for i in range(n):
        for j in sorted(range(n), key=lambda j: j != i):
            slope = polys[i].diff(gens[j])
            if j in pairs.values() or inside.symbols[j] in hidden or slope == 0 or (j != i and not slope.is_ground):
                continue
            wider = {**pairs, i: j}
            slopes = [polys[a].diff(gens[b]) for a in wider for b in wider.values()]
            if all(s.degree(gens[b]) <= 0 for s in slopes for b in wider.values()):
                pairs = wider
                break
    if not pairs or len(pairs) == n:
        return None
    try:
        return Elimination(inside, polys, pairs)
    except (DMNonInvertibleMatrixError, ZeroDivisionError):
        return None


def _composed(poly: Any, values: dict[int, Any], gens: Sequence[Any]) -> Any:
    """A polynomial with elements of the field put in for some of its generators."""
    total = gens[0].field.zero
    for powers, coefficient in poly.terms():
        term = gens[0].field.one * coefficient
        for i, power in enumerate(powers):
            if power:
                term = term * values.get(i, gens[i]) ** power
        total = total + term
    return total


def _grouped(field: Any, element: Any, states: list[int]) -> sp.Expr:
    """A fraction as a sum over the monomials in the states: what cancels inside a coefficient has then cancelled."""
    groups: dict[tuple[int, ...], Any] = {}
    for powers, coefficient in element.numer.terms():
        key = tuple(powers[i] for i in states)
        groups[key] = groups.get(key, field.ring.zero) + field.ring({powers: coefficient})
    parts = [field.one * g / element.denom for g in groups.values()]
    # nested: fewer operations, and bounds that are never wider than those of the expanded form
    return sp.Add(*[sp.horner(p.numer.as_expr()) / sp.horner(p.denom.as_expr()) for p in parts])
