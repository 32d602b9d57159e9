"""A server of the Model Context Protocol: how agents reach Safehold, also those without a line of their own.

It holds no right. It knows who calls by a token for this server alone and a fresh proof of the agent's key, and asks
the keeper as itself; the keeper decides every call of a tool, and writes it down, before anything is done.
"""
