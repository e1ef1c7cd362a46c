"""The live tier of worker engines: several processes, real signals, and the engine's own local backend."""
