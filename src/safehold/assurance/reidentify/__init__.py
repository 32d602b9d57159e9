"""How well people are recognised in a stream that was minimised: the attackers, the figure and its bound.

Every attacker is trained again on the protected stream, as the project's own ``minimise`` leaves it. The figure of a
level is the rank-1 of the worst attacker, and what is compared with a charter's gate is its upper confidence bound.
"""
