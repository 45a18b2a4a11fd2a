"""What the numbers of many runs say: tables, claims, verdicts, choices, the answer."""
