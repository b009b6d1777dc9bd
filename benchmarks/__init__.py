"""What training costs, as ratios taken in one run on the machine at hand; see README.md beside this file."""
from benchmarks.study import BenchStudy, run

__all__ = ["BenchStudy", "run"]
