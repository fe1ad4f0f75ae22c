"""Pictures that are the same photo: re-encoded, resized, mirrored or a little cropped.

P = pairs, N = pictures, T = side of their tiny grey versions, L = side of a closer look,
V = views of a picture (whole, cropped, each also mirrored).

A perceptual hash proposes pairs: the signs of the 64 lowest frequencies of a cosine transform
(pHash: Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010).
It takes near misses for copies where all pictures look alike, so each proposal is checked:
both are aligned by moving the four edges of a window until they correlate most, first in the
tiny versions, then closer, in texture alone.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from contract.preprocessing import decode
from training.data.pictures import Picture
from training.data.workers import cores, side_by_side

Reals = npt.NDArray[np.float32]
Wholes = npt.NDArray[np.int64]

NEAR_BITS = 14
"""Of 64: most that the hashes of a proposed pair differ in."""
LIKE_AT_ONCE, LIKE_SOON, LIKE_TINY, LIKE_CLOSER = 0.4, 0.7, 0.9, 0.75
"""Least correlation of a proposal, when aligned roughly and finely, and in texture."""
LIKE_TEXTURE = 0.3
"""Least correlation in texture before a closer alignment; it seldom gains more than 0.1."""
LIKE_ENOUGH = 0.97
"""Correlation at which an alignment cannot matter any more."""
LIKE_SMALL = 0.99
"""Least correlation of pictures too small to have texture, compared as they are."""
SMALL_PX = 48
"""Shorter side of these."""
CLOSER = 96
"""L, in pixels."""
FLAT = 4.0
"""Standard deviation in grey levels below which a picture shows nothing to compare."""
MOST_PROPOSED, MOST_ALIGNED, MOST_CLOSER = 20_000, 4_000, 400
"""The likeliest so many pairs are gone into: a set of look-alikes must not take for ever."""
ROWS = 128
WINDOWS = np.array(
    [[0, 1, 0, 1], [0.05, 0.95, 0.05, 0.95]]
    + [[y, y + 0.9, x, x + 0.9] for y in (0, 0.1) for x in (0, 0.1)],
    np.float32,
)
"""Top, bottom, left and right of the views that are hashed, as shares of height and width."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alike:
    """Two pictures of one photo, by their places in the sequence."""

    first: int
    second: int
    likeness: float
    """0 to 1."""


def alike(pictures: Sequence[Picture], grey_NTT: npt.NDArray[np.uint8]) -> list[Alike]:
    """Find copies across splits, and within a split across labels.

    Args:
        pictures: N of them.
        grey_NTT: their tiny versions, uint8.
    """
    shown = np.flatnonzero(grey_NTT.reshape(len(grey_NTT), -1).std(1) >= FLAT)
    if len(shown) < 2:
        return []
    split_N, label_N = (
        np.unique([getattr(pictures[int(index)], kind) for index in shown], return_inverse=True)[1]
        for kind in ("split", "label")
    )
    proposed = _propose(grey_NTT[shown].astype(np.float32), split_N, label_N)
    first_P, second_P, view_P = shown[proposed[0]], shown[proposed[1]], proposed[2]
    closer: dict[tuple[int, int], tuple[float, int, int, bool, Reals]] = {}
    for one in sorted(_tiny_alike(pictures, grey_NTT, first_P, second_P, view_P), key=_likeness):
        closer.setdefault((min(one[1:3]), max(one[1:3])), one)
    found: dict[tuple[int, int], float] = {}

    def look(candidate: tuple[float, int, int, bool, Reals]) -> tuple[int, int, float]:
        torch.set_num_threads(1)
        likeness, first, second, mirrored, edges = candidate
        a, b = pictures[first], pictures[second]
        if _shorter(a, b) >= SMALL_PX:
            likeness = _closer(a, b, mirrored, edges)
        elif likeness < LIKE_SMALL:
            likeness = 0.0
        return min(first, second), max(first, second), likeness

    for first, second, likeness in side_by_side(look, list(closer.values())[:MOST_CLOSER], cores()):
        if likeness >= LIKE_CLOSER:
            found[first, second] = likeness
    return [
        Alike(first=first, second=second, likeness=round(min(1.0, likeness), 4))
        for (first, second), likeness in sorted(found.items())
    ]


def _likeness(candidate: tuple[float, int, int, bool, Reals]) -> tuple[float, int, int]:
    """The likeliest first."""
    return -candidate[0], candidate[1], candidate[2]


def hashes(grey_NTT: Reals) -> npt.NDArray[np.uint64]:
    """64 bits of every view of every picture: (V, N); the second half of the views is mirrored."""
    size = grey_NTT.shape[-1]
    places = np.arange(size) + 0.5
    cosines = np.cos(np.pi * np.outer(np.arange(1, 9), places) / size).astype(np.float32)
    odd = np.where(np.arange(1, 9) % 2 == 1, -1, 1).astype(np.float32)
    plain, mirrored = [], []
    for top, bottom, left, right in WINDOWS:
        rows = cosines @ _window(np.array([top]), np.array([bottom]), size)[0]
        columns = cosines @ _window(np.array([left]), np.array([right]), size)[0]
        waves = rows @ grey_NTT @ columns.T
        plain.append(_bits(waves))
        mirrored.append(_bits(waves * odd))  # odd waves change their sign in a mirror
    return np.stack([*plain, *mirrored])


def _bits(waves: Reals) -> npt.NDArray[np.uint64]:
    flat = waves.reshape(len(waves), 64)
    packed = np.packbits(flat > np.median(flat, 1, keepdims=True), axis=1)
    return packed.view(np.uint64)[:, 0]


def _propose(grey_NTT: Reals, split_N: Wholes, label_N: Wholes) -> tuple[Wholes, Wholes, Wholes]:
    """Pairs whose hashes are near: a whole picture, another one, and its view that is like it.

    Across splits every view is compared; within one, under two labels, whole pictures are.
    """
    views_VN = hashes(grey_NTT)
    half = len(views_VN) // 2

    def rows(mine: Wholes) -> tuple[Wholes, ...]:
        whole, parts = views_VN[0, mine, None], []
        for others, views in (
            (np.flatnonzero(split_N != split_N[mine[0]]), range(half)),
            (np.flatnonzero(split_N == split_N[mine[0]]), range(1)),
        ):
            for first_view in (0, half):
                best = np.full((len(mine), len(others)), 64, np.uint8)
                for view in views:
                    other = views_VN[first_view + view, others]
                    np.minimum(best, np.bitwise_count(whole ^ other), out=best)
                row, column = np.nonzero(best <= NEAR_BITS)
                first, second, bits = mine[row], others[column], best[row, column]
                told = (split_N[first] != split_N[second]) | (label_N[first] != label_N[second])
                first, second, bits = first[told], second[told], bits[told]
                seen = views_VN[first_view : first_view + len(views)][:, second]
                view = np.bitwise_count(seen ^ views_VN[0, first]).argmin(0) + first_view
                parts.append((first, second, view, bits))
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))

    splits = [np.flatnonzero(split_N == split) for split in np.unique(split_N)]
    blocks = [part[i : i + ROWS] for part in splits for i in range(0, len(part), ROWS)]
    found = list(side_by_side(rows, blocks, cores()))
    first, second, view, bits = (np.concatenate(part) for part in zip(*found, strict=True))
    likeliest = np.argsort(bits, kind="stable")[:MOST_PROPOSED]
    return first[likeliest], second[likeliest], view[likeliest]


def _tiny_alike(
    pictures: Sequence[Picture],
    grey_NTT: npt.NDArray[np.uint8],
    first_P: Wholes,
    second_P: Wholes,
    view_P: Wholes,
) -> Iterator[tuple[float, int, int, bool, Reals]]:
    """Proposals that hold in the tiny versions: likeness, both, whether mirrored, the window."""
    edges = WINDOWS[view_P % len(WINDOWS)]
    mirrored_P = view_P >= len(WINDOWS)
    edges[mirrored_P] = np.column_stack([
        edges[mirrored_P, :2], 1 - edges[mirrored_P, 3], 1 - edges[mirrored_P, 2]
    ])  # fmt: skip
    small = np.array([_shorter(pictures[a], pictures[b]) < SMALL_PX
                      for a, b in zip(first_P, second_P, strict=True)], bool)  # fmt: skip
    edges[small] = WINDOWS[0]
    whole = grey_NTT[first_P].astype(np.float32)
    part = grey_NTT[second_P].astype(np.float32)
    part[mirrored_P] = part[mirrored_P][:, :, ::-1]
    likeness = _correlation(whole, _seen(part, edges))
    chosen = np.argsort(-likeness, kind="stable")[:MOST_ALIGNED]
    chosen = chosen[likeness[chosen] >= LIKE_AT_ONCE]
    for steps, least in (((0.04,), LIKE_AT_ONCE), ((0.02, 0.01), LIKE_SOON)):
        some = chosen[(likeness[chosen] >= least) & ~small[chosen]]
        for them in (some[i : i + ROWS] for i in range(0, len(some), ROWS)):
            likeness[them], edges[them] = _align(
                whole[them], part[them], edges[them], lambda grey: grey, steps
            )
    for k in chosen[likeness[chosen] >= LIKE_TINY]:
        yield (
            float(likeness[k]), int(first_P[k]), int(second_P[k]), bool(mirrored_P[k]), edges[k]
        )  # fmt: skip


def _closer(first: Picture, second: Picture, mirrored: bool, edges: Reals) -> float:
    """How alike two aligned pictures are in texture, at a larger scale."""
    size = min(CLOSER, _shorter(first, second))
    whole, part = (_grey(picture, size)[None] for picture in (first, second))
    if mirrored:
        part = part[:, :, ::-1]
    start = _correlation(_texture(whole), _texture(_seen(part, edges[None])))
    if start[0] < LIKE_TEXTURE:
        return float(start[0])
    likeness, _ = _align(whole, part, edges[None], _texture, (0.01, 0.005))
    return float(likeness[0])


def _grey(picture: Picture, size: int) -> Reals:
    image = decode(picture.path.read_bytes(), -(-size // 2)).convert("L")
    return np.asarray(image.resize((size, size), Image.Resampling.BOX)).astype(np.float32)


def _texture(grey_PLL: Reals) -> Reals:
    """What differs from its surroundings, as strong everywhere: fur counts as much as outlines."""
    places = np.arange(grey_PLL.shape[-1])
    near = (np.abs(places[:, None] - places) <= 2).astype(np.float32)
    near /= near.sum(1, keepdims=True)
    fine = grey_PLL - _product(near, grey_PLL, near.T)
    spread = _product(near, fine * fine, near.T)
    strength = np.sqrt(spread + np.float32(FLAT * FLAT))
    texture: Reals = (fine / strength).astype(np.float32)
    return texture


def _align(
    whole_PLL: Reals,
    part_PLL: Reals,
    edges_P4: Reals,
    shown: Callable[[Reals], Reals],
    steps: Sequence[float],
) -> tuple[Reals, Reals]:
    """Move each window's edges while that makes what is shown correlate more."""
    target = shown(whole_PLL)
    edges = edges_P4.copy()
    best = _correlation(target, shown(_seen(part_PLL, edges)))
    for step in (step for step in steps for _ in range(2)):
        if (best >= LIKE_ENOUGH).all():
            break
        for edge in range(4):
            for move in (step, -step):
                tried = edges.copy()
                tried[:, edge] = np.clip(tried[:, edge] + move, *((0, 0.3), (0.7, 1))[edge % 2])
                likeness = _correlation(target, shown(_seen(part_PLL, tried)))
                better = likeness > best
                best[better], edges[better] = likeness[better], tried[better]
    return best, edges


def _seen(grey_PLL: Reals, edges_P4: Reals) -> Reals:
    """The part of each picture inside its window, at the same size."""
    size = grey_PLL.shape[-1]
    rows = _window(edges_P4[:, 0], edges_P4[:, 1], size)
    columns = _window(edges_P4[:, 2], edges_P4[:, 3], size)
    return _product(rows, grey_PLL, columns.transpose(0, 2, 1))


def _product(left: Reals, middle: Reals, right: Reals) -> Reals:
    """Their matrix product, on this thread alone: numpy's own library would start more."""
    parts = (torch.from_numpy(np.ascontiguousarray(part)) for part in (left, middle, right))
    first, second, third = parts
    product: Reals = (first @ second @ third).numpy()
    return product


def _window(low_P: npt.NDArray[Any], high_P: npt.NDArray[Any], size: int) -> Reals:
    """Matrices (P, size, size) that stretch [low, high] to the whole length, linearly."""
    places = ((np.arange(size) + 0.5) / size).astype(np.float32)
    low, high = (edge.astype(np.float32)[:, None] for edge in (low_P, high_P))
    wanted = np.clip((low + places * (high - low)) * size - 0.5, 0, size - 1)
    distance = np.abs(wanted[:, :, None] - np.arange(size, dtype=np.float32))
    matrices: Reals = np.maximum(0, 1 - distance)
    return matrices


def _correlation(a_PLL: Reals, b_PLL: Reals) -> Reals:
    a = a_PLL - a_PLL.mean((1, 2), keepdims=True)
    b = b_PLL - b_PLL.mean((1, 2), keepdims=True)
    both = (a * a).sum((1, 2)) * (b * b).sum((1, 2))
    result: Reals = ((a * b).sum((1, 2)) / np.sqrt(both + 1e-6)).astype(np.float32)
    return result


def _shorter(first: Picture, second: Picture) -> int:
    return min(first.width_px, first.height_px, second.width_px, second.height_px)
