"""Mutation testing of the gate: every mutant of its source must fail a test, but for those below, which change nothing.

    make test-safety

Mutants are cosmic-ray's, and each statement left out. They run in this process, on the tests of `test_tx_guard`.
"""

import ast
import itertools
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from cosmic_ray.mutating import mutate_code  # noqa: E402
from cosmic_ray.plugins import get_operator, operator_names  # noqa: E402
from safety import test_tx_guard as tests  # noqa: E402
from safety.gate import SOURCE, Gate, load  # noqa: E402

# Identity instead of equality and the like are the same for small numbers, and None; variables are replaced at random.
LEFT_OUT = ("VariableReplacer", "VariableInserter", "Eq_Is", "_Is_Eq", "IsNot_NotEq", "NotEq_IsNot")
SLOW = "exhaustive"
LONGEST_S = 5
# What a mutant made of a line where it behaves as the original does, and why.
EQUIVALENT = {
    "data[ecu.at | 2]": "at is 0 or 1",
    "data[ecu.at ^ 2]": "at is 0 or 1",
    "if length <= 0 or": "a byte is never below 0",
    "second & 0x7F <= 0": "it is never below 0",
    "service < _TESTER_PRESENT or": "no service above it gets so far",
    "elif state >= _PASSIVE or": "the states above it were judged before",
    "len(self._sent_at) == _FRAMES_A_SECOND": "there are never more",
    "len(self._sent_at) is _FRAMES_A_SECOND": "there are never more",
    "self._beat_at = None  =>  pass": "open() sets it before it is read",
    "_SENT_SIZE = const( 17)": "the log's rows lie further apart",
    "bytearray(_LOG << _SENT_SIZE)": "the log has more room than it needs",
}


def suite() -> list[Callable[[Gate], None]]:
    return [test for name, test in vars(tests).items() if name.startswith("test_") and SLOW not in name]


def mutants(source: str) -> Iterator[tuple[str, str, str]]:
    """(operator, the changed lines before and after, source) of every mutant."""
    seen = {source}
    for name in operator_names():
        if name.endswith(LEFT_OUT):
            continue
        operator = get_operator(name)()
        for occurrence in itertools.count():
            changed = mutate_code(source, operator, occurrence)
            if changed is None:
                break
            if changed not in seen:
                seen.add(changed)
                yield name, difference(source, changed), changed
    for changed in without_a_statement(source):
        if changed not in seen:
            seen.add(changed)
            yield "left out", difference(source, changed), changed


def without_a_statement(source: str) -> Iterator[str]:
    """The source with one simple statement of a function left out at a time."""
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        simple = isinstance(node, ast.Assign | ast.AugAssign | ast.Expr | ast.Return | ast.Raise | ast.Continue)
        if simple and node.col_offset and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            hole = " " * node.col_offset + "pass\n"
            yield "".join([*lines[: node.lineno - 1], hole, *lines[node.end_lineno :]])


def difference(before: str, after: str) -> str:
    """The first line that differs, as it was and as it became."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    return next(f"{a.strip()}  =>  {b.strip()}" for a, b in pairs if a != b)


def killer(source: str) -> str:
    """The first test that the mutant fails, or does not end; empty when it passes all."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    warnings.simplefilter("ignore", SyntaxWarning)
    for test in suite():
        signal.alarm(LONGEST_S)
        try:
            test(load(source))
        except BaseException:
            return test.__name__
        finally:
            signal.alarm(0)
    return ""


def main() -> int:
    source = SOURCE.read_text()
    if killer(source):
        print(f"{SOURCE.name} itself fails {killer(source)}", file=sys.stderr)
        return 1
    found = list(mutants(source))
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        killers = list(pool.map(killer, [changed for _, _, changed in found], chunksize=8))
    alive = [(operator, told) for (operator, told, _), test in zip(found, killers, strict=True) if not test]
    unexplained = [(operator, told) for operator, told in alive if not any(part in told for part in EQUIVALENT)]
    for operator, told in unexplained:
        print(f"survives: {operator}: {told}")
    print(f"{len(found)} mutants of {SOURCE.name}: {len(found) - len(alive)} killed, {len(alive) - len(unexplained)} equivalent, "
          f"{len(unexplained)} survive")  # fmt: skip
    return bool(unexplained)


if __name__ == "__main__":
    sys.exit(main())
