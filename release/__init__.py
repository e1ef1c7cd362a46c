"""Building what a release publishes, up to the upload: `nox -s release`."""
