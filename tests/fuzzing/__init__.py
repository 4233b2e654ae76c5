"""The parts of `python tests/fuzz.py`: how examples are altered, the doors that they are put through, and the judge."""
