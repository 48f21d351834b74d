"""Support of the tests: frames, capture files, a plain reference of the product, Hypothesis strategies.

Rule: frames, capture files and the reference use no room of the product but `fields`.
"""
