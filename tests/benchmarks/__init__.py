"""What `make bench` measures; `docs/performance.md` explains the figures."""
