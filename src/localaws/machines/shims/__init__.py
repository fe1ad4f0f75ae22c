"""The programs that localaws puts first on the PATH of a machine; standard library only."""
