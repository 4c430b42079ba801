"""Speed, as ratios within one run: `./inv bench`, or `python -m benchmarks NAME`. docs/benchmarks.md reads them."""
