"""The terms of the page: tooltips where they are used, and one list at the end."""

from __future__ import annotations

from privacy_report.gate.words import AUDITED

GLOSSARY = {
    "accuracy": ("Accuracy", "The share of non-members that the model classifies correctly."),
    "advantage": (
        "Advantage",
        "The largest gap between members found and non-members accused, over all thresholds. "
        "0 is no leak, 1 is certainty. Being a maximum, it is a little above 0 without any leak.",
    ),
    "auc": (
        "AUC",
        "How often a random member looks more like one than a random non-member does. "
        "0.5 is a coin flip, 1 is certainty.",
    ),
    "audited": ("ε audited", AUDITED),
    "canary": (
        "Canaries",
        "Examples or gradients. A fair coin decides for each whether it takes part in the training. "
        "They are in audit twins, which are trained like their variant and never shipped.",
    ),
    "epsilon": (
        "ε claimed",
        "The limit that differential privacy promises for the leak, whatever the attack. "
        "Less is more private. The claim holds for whichever checkpoint is chosen.",
    ),
    "found": (
        "Found at 1% FPR",
        "The share of members found by an attacker who wrongly accuses 1% of the non-members. "
        "Guessing finds 1%.",
    ),
    "fpr": (
        "FPR",
        "False-positive rate: the share of non-members that an attacker wrongly accuses of being members.",
    ),
    "interval": (
        "95% interval",
        "It covers chance in who was drawn as a member or a non-member, for one attack at one checkpoint.",
    ),
    "leak": (
        "Leak",
        "A leak is detected where the p-value of an attack survives Holm's correction for all attacks, "
        "slices and checkpoints of the variant.",
    ),
    "named": (
        "Named, 10% wrong",
        "How many members the best attack names when at most one name in ten is wrong.",
    ),
    "placebo": (
        "Placebo",
        "The attack rmia on a reference model, which trained on members and non-members alike. "
        "It should find nothing.",
    ),
    "reference": (
        "Reference models",
        "Models that the attacker trained with the same recipe, to know what is normal for each example.",
    ),
    "twin": ("Audit twin", "A variant trained once more with canaries, to be audited and never shipped."),
}
"""Key -> the term and what it means."""
