"""The node: in a component its ports, otherwise a node in memory. Both have the same functions."""

try:
    import wit_world  # noqa: F401  There is one only while a component is built.
except ImportError:
    from .memory import Host
else:
    from .component import Host

__all__ = ["Host"]
