# SPDX-License-Identifier: GPL-2.0-or-later
"""What the system tests share: packets, host networks, the daemon, a guest."""
