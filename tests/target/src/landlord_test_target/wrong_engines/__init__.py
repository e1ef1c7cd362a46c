"""Engines that each break one rule of the contracts, and a conformant engine from which they are made."""
