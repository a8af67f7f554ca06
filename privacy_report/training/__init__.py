"""How models are trained, the attacked ones and the attacker's own."""
