"""Finds secrets in files, as Docker and Kubernetes mount them."""
