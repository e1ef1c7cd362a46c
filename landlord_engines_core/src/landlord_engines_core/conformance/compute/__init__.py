"""The tiers of compute engines that call the engine: each call in a process of its own, some of them killed."""
