"""``python -m memory_guild``, the same as the command ``memory-guild``."""

from memory_guild.cli import main

main()
