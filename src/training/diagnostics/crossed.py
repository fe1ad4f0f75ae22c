"""What each training picture looks like to a model that has not learnt from it.

N = pictures, F = features, D = dimensions kept, K = classes.
"""

from collections import Counter
from collections.abc import Sequence

import torch
from torch import Tensor

from training.chance import chance

FOLDS = 5
DIMENSIONS = 512
"""Features are projected to as many at most; distances stay within a few percent (Johnson and
Lindenstrauss, 1984)."""
RIDGE = 0.1
"""Penalty, as a share of the mean variance."""


def out_of_sample(
    features_NF: Tensor, labels_N: Tensor, homes: Sequence[str], classes: int, seed: int
) -> Tensor:
    """Answers of a ridge classifier, each from the folds that do not hold the picture.

    The sums of all pictures less those of a fold are the sums of the others, so each fold costs
    one solution of D equations.

    Args:
        features_NF: of a backbone that did not learn from these pictures.
        labels_N: what their folders say.
        homes: the folder of each picture; the smaller folders of a label are kept together, so
            that a wrong one does not speak for itself.
        classes: how many there are.
        seed: of the folds and the projection.

    Returns:
        Class numbers of shape (N).
    """
    x_ND = _projected(features_NF.double(), seed)
    x_ND = x_ND - x_ND.mean(0)
    y_NK = torch.nn.functional.one_hot(labels_N, classes).double() - 1 / classes
    fold_N = _folds(labels_N, homes, seed)
    gram_DD, cross_DK = x_ND.T @ x_ND, x_ND.T @ y_NK
    penalty = RIDGE * float(gram_DD.diagonal().mean()) + 1e-12
    answers_N = torch.empty(len(labels_N), dtype=torch.int64)
    for fold in range(FOLDS):
        inside_N = fold_N == fold
        if not inside_N.any():
            continue
        x_MD, y_MK = x_ND[inside_N], y_NK[inside_N]
        left_DD = gram_DD - x_MD.T @ x_MD
        left_DD.diagonal().add_(penalty)
        weight_DK = torch.linalg.solve(left_DD, cross_DK - x_MD.T @ y_MK)
        answers_N[inside_N] = (x_MD @ weight_DK).argmax(1)
    return answers_N


def _projected(x_NF: Tensor, seed: int) -> Tensor:
    if x_NF.shape[1] <= DIMENSIONS:
        return x_NF
    normal = chance(seed, 0, 0).standard_normal((x_NF.shape[1], DIMENSIONS))
    normal_FD = torch.from_numpy(normal / DIMENSIONS**0.5)
    return torch.mm(x_NF, normal_FD)


def _folds(labels_N: Tensor, homes: Sequence[str], seed: int) -> Tensor:
    """Each label's pictures are dealt out evenly, but for its smaller folders, which stay whole."""
    order_N = torch.from_numpy(chance(seed, 0, 1).permutation(len(labels_N)))
    fold_N = torch.empty(len(labels_N), dtype=torch.int64)
    for label in sorted(set(labels_N.tolist())):
        mine = order_N[labels_N[order_N] == label]
        fold_N[mine] = torch.arange(len(mine)) % FOLDS
    size, of_label = Counter(homes), Counter(labels_N.tolist())
    whole = [
        home
        for home, label in dict(zip(homes, labels_N.tolist(), strict=True)).items()
        if size[home] < of_label[label] / 2
    ]
    place = {home: number % FOLDS for number, home in enumerate(sorted(whole))}
    for index, home in enumerate(homes):
        if home in place:
            fold_N[index] = place[home]
    return fold_N
