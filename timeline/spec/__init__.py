"""Specs: what a timeline is, as one TOML file says it."""

from timeline.spec.loading import load_spec
from timeline.spec.spec import Spec

__all__ = ["Spec", "load_spec"]
