"""Support for the tests: a compute engine with its target, backends, proxies, workers and campaigns."""
