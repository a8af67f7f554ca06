"""Membership-inference audits of model training: datasets, training, attacks, a gate and a report."""
