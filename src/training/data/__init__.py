"""Labelled pictures: found, checked, split, kept in small, and cut into views."""

from training.data.pictures import SPLITS, Data, Doubt, LeftOut, Picture
from training.data.read import clean_labels, read_data

__all__ = ["SPLITS", "Data", "Doubt", "LeftOut", "Picture", "clean_labels", "read_data"]
