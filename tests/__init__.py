"""The tests: unit, contract, process, cluster, bench; see CONTRIBUTING.md."""
