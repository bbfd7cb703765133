"""The library with which services of a compute node plug ports (facts rest-api.md 12).

In come the calls of nova's plug-in and its like; out go runs of `vrouter-port-control`. It needs
nothing but the standard library and makes no connection itself.
"""

from contrail_vrouter_api.vrouter_api import ContrailVRouterApi

__all__ = ["ContrailVRouterApi"]
