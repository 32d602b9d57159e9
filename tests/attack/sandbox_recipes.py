"""Recipes for tests: legitimate jobs."""
