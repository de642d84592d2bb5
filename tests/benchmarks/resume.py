"""Resuming a shuffled mixture at any row, against ``datasets`` streaming.

Run by itself, it prints how long the first row took at 1,000 positions (of theirs 20, which take
long), and how many rows each side loses or repeats against its own uninterrupted stream.
"""

import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pair import Benchmark

from tasks.artifacts import MixtureReceipt
from tasks.mixture.shards import write_shard

sys.path.append(str(Path(__file__).parents[1]))  # where ``fakes`` is
ROWS, PER_SHARD, BUFFER = 100_000, 8192, 1000
SHARES = (0.7, 0.2, 0.1)
NAMES = ("s0", "s1", "s2")
State = dict[str, Any]


def table(start: int, stop: int) -> pa.Table:
    """Return rows of chat length (lognormal, median 245 tokens) in the shards' columns."""
    draw = np.random.default_rng(start)
    lengths = np.clip(draw.lognormal(5.5, 0.8, stop - start), 8, 2048).astype(np.int64)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    ids = (draw.zipf(1.3, int(lengths.sum())) % 49_000).astype(np.int32)
    tokens = pa.ListArray.from_arrays(offsets, pa.array(ids))
    sources = pa.array(draw.choice(3, stop - start, p=SHARES).astype(np.int32))
    return pa.table(
        {
            "row_id": [f"{i:032x}" for i in range(start, stop)],
            "input_ids": tokens,
            "labels": tokens,
            "position": np.arange(start, stop),
            "source": pa.DictionaryArray.from_arrays(sources, pa.array(NAMES)),
            "epoch": pa.array(np.zeros(stop - start, dtype=np.int32)),
        }
    )


def our_mixture(folder: Path) -> MixtureReceipt:
    """Write a mixture of ``ROWS`` rows."""
    names, tokens = [], 0
    for start in range(0, ROWS, PER_SHARD):
        rows = table(start, min(start + PER_SHARD, ROWS))
        names.append(f"shard-{len(names):05d}.parquet")
        write_shard(rows, folder / names[-1])
        tokens += len(rows["input_ids"].chunk(0).values)
    return MixtureReceipt(
        path=folder,
        digest="",
        rows=ROWS,
        tokens=tokens,
        shards=tuple(names),
        supervised_tokens=tokens,
        sources=NAMES,
    )


def their_stream(folder: Path) -> Callable[[], Any]:
    """Write the three sources; return what opens their interleaved, shuffled stream."""
    from datasets import interleave_datasets, load_dataset

    files = []
    for i, share in enumerate(SHARES):
        files.append(folder / f"source-{i}.parquet")
        rows = table(i * ROWS, i * ROWS + round(ROWS * share))
        write_shard(rows.select(["row_id", "input_ids", "labels"]), files[-1])

    def opened() -> Any:
        parts = [
            load_dataset("parquet", data_files=str(f), split="train", streaming=True) for f in files
        ]
        mixed = interleave_datasets(parts, probabilities=list(SHARES), seed=17)
        return mixed.shuffle(seed=17, buffer_size=BUFFER)

    return opened


def their_states(opened: Callable[[], Any], positions: Sequence[int]) -> dict[int, State]:
    """Return the stream's state at each position, as a run that saves it would have."""
    wanted, states, stream = set(positions), {}, opened()
    for position, _ in enumerate(stream, start=1):
        if position in wanted:
            states[position] = stream.state_dict()
        if len(states) == len(wanted):
            return states
    raise AssertionError("the stream ends before the last position")


def our_first(mixture: MixtureReceipt, position: int) -> Any:
    """Return the first row after resuming at a position."""
    from fakes.stream import MixtureStream

    stream = MixtureStream(mixture)
    stream.load_state_dict({"position": position})
    return next(iter(stream))


def their_first(opened: Callable[[], Any], state: State) -> Any:
    """Return the first row after resuming from a state."""
    stream = opened()
    stream.load_state_dict(state)
    return next(iter(stream))


def resume() -> Benchmark:
    """Resume at 3 positions and take the first row of each."""
    folder = Path(tempfile.mkdtemp())
    mixture, opened = our_mixture(folder), their_stream(folder)
    positions = random.Random(3).sample(range(1, ROWS // 2), 3)
    states = their_states(opened, positions)
    return Benchmark(
        metric="resumes/s to the first row, 100,000 rows of 3 sources, shuffled",
        units=len(positions),
        ours=lambda: [our_first(mixture, p) for p in positions],
        peer=lambda: [their_first(opened, states[p]) for p in positions],
        peer_name="datasets",
        target=10.0,
    )


def _milliseconds(calls: Sequence[Callable[[], Any]]) -> str:
    taken = []
    for call in calls:
        started = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - started))
    return f"median {np.median(taken):.1f} ms, max {max(taken):.1f} ms of {len(taken)}"


def _difference(before: Iterator[str], after: Iterator[str], whole: Sequence[str]) -> str:
    seen = Counter([*before, *after])
    lost = sum(1 for row in whole if not seen[row])
    return f"{lost} rows lost, {sum(seen.values()) - len(seen)} repeated"


def main(positions: int = 1000, theirs: int = 20, stop: int = 20_000) -> None:
    """Print times to the first row, and rows lost or repeated by a stop at row ``stop``."""
    from fakes.stream import MixtureStream

    folder = Path(tempfile.mkdtemp())
    mixture, opened = our_mixture(folder), their_stream(folder)
    places = random.Random(3).sample(range(1, ROWS // 2), max(positions, theirs))
    our_first(mixture, 0)  # what is imported once isn't timed
    print("ours:", _milliseconds([lambda p=p: our_first(mixture, p) for p in places[:positions]]))
    whole = [row["row_id"] for row in MixtureStream(mixture)]
    stream = MixtureStream(mixture)
    iterator = iter(stream)
    before = [next(iterator)["row_id"] for _ in range(stop)]
    again = MixtureStream(mixture, start=stream.state_dict()["position"])
    after = [row["row_id"] for row in again]
    assert before + after == whole
    print("ours:", _difference(iter(before), iter(after), whole))
    states = their_states(opened, [*places[:theirs], stop])
    print(
        "datasets:",
        _milliseconds([lambda p=p: their_first(opened, states[p]) for p in places[:theirs]]),
    )
    whole = [row["row_id"] for row in opened()]
    resumed = opened()
    resumed.load_state_dict(states[stop])
    print("datasets:", _difference(iter(whole[:stop]), (r["row_id"] for r in resumed), whole))


if __name__ == "__main__":
    main()
