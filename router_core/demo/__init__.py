"""Simulated traffic whose true outcomes are known: something to look at, and to check projections against."""

from router_core.demo.fill import DemoReport, fill, is_demo, is_empty
from router_core.demo.truth import DemoTruth, TrueChange, true_change, truth, truth_path

__all__ = ["DemoReport", "DemoTruth", "TrueChange", "fill", "is_demo", "is_empty", "true_change", "truth", "truth_path"]
