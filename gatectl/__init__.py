"""gatectl: the gate controller of a parking site."""

__version__ = "0.1.0"
