"""Damages whole captures, files and runs at random and opens them: `python tests/fuzz.py --mutants 1000`.

Every mutant is opened in a process of its own with 10 s and 2 GB. It must be opened with sane contents, or refused with an InputError: a
traceback, a hang, more memory or nonsense is a failure, and the exit code is 1. The same seed makes the same mutant:
`--only colmap --seed 7` tries that one again.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "scenes")]

from mutant_readers import Reader, quiet, readers  # noqa: E402
from trying_mutants import FAILURES, try_mutant  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=1000, help="how many, over all readers")
    parser.add_argument("--only", default="", help="one reader")
    parser.add_argument("--seed", type=int, help="one mutant of that reader")
    parser.add_argument("--first", type=int, default=0, help="seed of the first mutant of each reader")
    options = parser.parse_args()
    chosen = [reader for reader in readers() if options.only in ("", reader.name)]
    if not chosen:
        parser.error(f"no reader {options.only}: choose one of {', '.join(reader.name for reader in readers())}")
    quiet()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:
        for reader in chosen:
            seeds = [options.seed] if options.seed is not None else range(options.first, options.first + -(-options.mutants // len(chosen)))
            failed += _try(reader, Path(place), seeds, options.seed is not None)
    print(f"{failed} failures")
    sys.exit(1 if failed else 0)


def _try(reader: Reader, place: Path, seeds: list[int] | range, loud: bool) -> int:
    folder = place / reader.name.replace(" ", "-")
    folder.mkdir()
    (folder / "whole").mkdir()
    whole = reader.make(folder / "whole")
    reader.open(whole) if reader.name not in ("prepared", "archive") else None  # those write into their folder
    counts: Counter[str] = Counter()
    for seed in seeds:
        outcome = try_mutant(reader, whole, seed)
        counts[outcome.kind] += 1
        if loud or outcome.kind in FAILURES:
            print(f"  {reader.name} --seed {seed}: {outcome.kind}: {outcome.what}\n    {outcome.said.strip()[-1500:]}", flush=True)
    print(
        f"{reader.name:<16} {sum(counts.values()):>5} mutants: {', '.join(f'{count} {kind}' for kind, count in counts.most_common())}",
        flush=True,
    )
    return sum(counts[kind] for kind in FAILURES)


if __name__ == "__main__":
    main()
