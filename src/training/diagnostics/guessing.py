"""What a loss is compared with.

K = classes.
"""

import math


def guessing(classes: int) -> float:
    """The loss of a model that says every class is equally likely, in nats."""
    return math.log(classes)


def far_worse_than_guessing(classes: int) -> float:
    """A loss that no healthy step has."""
    return 2.0 * guessing(classes) + 1.0
