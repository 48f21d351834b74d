"""Programs that make or check files of the repository. Run them from its root: `python -m scripts.NAME`."""
