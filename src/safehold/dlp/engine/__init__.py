"""The machine that finds matches of many rules in Arrow text; what it looks for is data."""
