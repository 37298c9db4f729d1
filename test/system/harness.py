# SPDX-License-Identifier: Apache-2.0
"""What a system test needs, by one import; each name is explained where it is made.

    from system.harness import Instance, OracleInstance, Sink, Ledger
"""
from .instance import Instance, OracleInstance
from .ledger import Count, Ledger
from .maillog import Line, Maillog, parse
from .sink import DROP, Message, Sink
from .world import enter, need_build, need_oracle, need_private

__all__ = ["Count", "DROP", "Instance", "Ledger", "Line", "Maillog", "Message",
           "OracleInstance", "Sink", "enter", "need_build", "need_oracle", "need_private",
           "parse"]

# Before any test starts a thread: an ordinary user's namespace can only be made then.
enter()
