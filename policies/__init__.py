"""The policy pack: what no run of the engine may do to the clouds, whatever the program declares.

Settings refuse configuration (`components/rules.py`); a policy refuses resources. `pack` is what the engine starts,
`--policy-pack policies/pack`; the tasks do that in every preview and up.
"""
