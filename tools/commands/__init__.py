"""The sub-commands of `onebook`, one file each."""
